"""Make the channels of a MobileFaceNet alike, so that 8 bits hold all of them; answers stay.

A channel may be scaled where it leaves a layer and back where it enters the next: PReLU and sums
let a scale through (Nagel et al. 2019, arXiv 1906.04721). Here largest answers are measured on
faces instead of being guessed from weights.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor, nn

from edgesdk_training.nets.mobile_face import Bottleneck, MobileFace

Layer: TypeAlias = nn.Conv2d | nn.Linear
# A channel that says or weighs less is left as it is.
SILENT = 1e-6


@dataclass
class Stream:
    """A map that some layers say, or add to, and others read."""

    said: list[Layer] = field(default_factory=list)
    read: list[Layer] = field(default_factory=list)


def make_alike(net: MobileFace, faces: Tensor) -> None:
    """Scale the channels between layers in place, so that they say about as much as each other.

    Args:
        net: In eval mode.
        faces: What it reads, [N, 3 or 4, 112, 112] in -1..1.
    """
    found = streams(net)
    with torch.no_grad():
        for stream, peaks in zip(found, peaks_of(net, found, faces), strict=True):
            scale = scale_of(stream, peaks)
            for layer in stream.said:
                layer.weight /= scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
                layer.bias /= scale
            for layer in stream.read:
                first = 0 if apart(layer) else 1
                layer.weight *= scale.reshape(-1, *[1] * (layer.weight.ndim - 1 - first))


def streams(net: MobileFace) -> list[Stream]:
    """Return the maps between layers, with what corrects them."""
    blocks = [*net.front, *net.tail]
    asides: list[nn.Module | None] = [None] * len(blocks)
    if net.corrections is not None:
        *smaller, last = net.corrections
        # Before the last but one, which has none.
        asides[-2 - len(smaller) :] = [*smaller, None, last]
    found = [Stream()]
    for block, aside in zip(blocks, asides, strict=True):
        chains = [convolutions(part) for part in (block, aside) if part is not None]
        found[-1].read += [chain[0] for chain in chains]
        inside = [Stream([a], [b]) for c in chains for a, b in pairwise(c)]
        goes_on = isinstance(block, Bottleneck) and block.beside
        found = [*inside, *found] if goes_on else [*inside, *found, Stream()]
        found[-1].said += [chain[-1] for chain in chains]
    found[-1].read.append(net.identity)
    return [stream for stream in found if stream.said]


def convolutions(part: nn.Module) -> list[Layer]:
    """Return the convolutions of a block, in the order in which they follow each other."""
    return [m for m in part.modules() if isinstance(m, nn.Conv2d)]


def peaks_of(net: MobileFace, found: list[Stream], faces: Tensor) -> list[Tensor]:
    """Return the largest absolute value of each channel [C] of each map."""
    peaks: dict[Layer, Tensor] = {}

    def look(layer: Layer, read: tuple[Tensor, ...]) -> None:
        # Channels first, whether a map [N, C, H, W] is read or a row [N, C].
        peaks[layer] = read[0].abs().transpose(0, 1).flatten(1).amax(1)

    hooks = [s.read[0].register_forward_pre_hook(look) for s in found]
    net(faces)
    for hook in hooks:
        hook.remove()
    return [peaks[s.read[0]] for s in found]


def scale_of(stream: Stream, peaks: Tensor) -> Tensor:
    """Return what each channel [C] is divided by; their geometric mean is 1.

    A layer that reads channels apart has levels for each; one that mixes them has none to spare
    for a channel that it must weigh much more than others, so both sides meet in the middle.
    """
    if all(apart(layer) for layer in stream.read):
        scale = peaks
    else:
        weighed = [layer.weight.abs().transpose(0, 1).flatten(1).amax(1) for layer in stream.read]
        scale = (peaks / torch.stack(weighed).amax(0).clamp_min(SILENT)).sqrt()
    scale = torch.where(peaks > SILENT, scale, scale.new_ones(()))
    return scale / scale.clamp_min(SILENT).log().mean().exp()


def apart(layer: Layer) -> bool:
    """Return whether a layer reads each channel apart from the others."""
    return isinstance(layer, nn.Conv2d) and layer.groups > 1
