"""MobileFaceNet (Chen et al. 2018, arXiv 1804.07573), to take the weights of others.

BatchNorms are folded from the start, as in the files that carry such weights; the two linear
layers at the end are one. Kernels of 4 at stride 2 pad evenly; those of 3 with the padding
that TensorFlow gives them fit in (`widened`).

`gated` puts small layers beside those of the tail (Rebuffi et al. 2018, arXiv 1803.10082, has such
adapters of residual blocks), whose answers count as far as the face is hidden, or as far as it is
not: what one kind of face teaches then costs the other less.
"""

import torch
from torch import Tensor, nn

from edgesdk_training.nets.common import unit

SIDE = 112
IDENTITY, READ = 192, 512
STEM = 64
# Channels inside, channels, blocks, stride of the first block.
STAGES = ((128, 64, 1, 2), (128, 64, 4, 1), (256, 128, 1, 2))
LAST_STAGES = ((256, 128, 6, 1), (512, 128, 1, 2), (256, 128, 2, 1))
LAST_SIDE = 7
# Of the last layer's answers: the squares of what it says add up to more than float16 holds.
LESS = 1 / 16
# Channels inside what corrects a block, and the hidden parts of a face between which that sets in.
CORRECTING = 12
LEAST_HIDDEN, MOST_HIDDEN = 0.03, 0.08


class Convolved(nn.Sequential):
    """Convolution with bias, and PReLU by channel unless `linear`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1,
        linear: bool = False, padded: bool = True,
    ) -> None:  # fmt: skip
        padding = (kernel - stride) // 2 if padded else 0
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups)
        ]
        super().__init__(*layers, *([] if linear else [nn.PReLU(outputs)]))


class Stem(Convolved):
    """The first convolution: what 8 bits lose here is lost for all that follow."""

    in_float = True


class Look(Convolved):
    """The last look at all places: sums of 49 products each, and nothing behind them averages."""

    in_float = True


class Said(nn.Linear):
    """The last product, of which little is to be computed and all is heard."""

    in_float = True


class Unit(nn.Module):
    """Rows of any length in, of length 1 out."""

    in_float = True

    def forward(self, said: Tensor) -> Tensor:
        """Return unit rows [N, D]."""
        return unit(LESS * said)


class Bottleneck(nn.Module):
    """Widen, convolve each channel, narrow; beside the map itself where the shape stays."""

    def __init__(self, inputs: int, inside: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Convolved(inputs, inside, 1),
            Convolved(inside, inside, stride + 2, stride, groups=inside),
            Convolved(inside, outputs, 1, linear=True),
        )
        self.beside = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, outputs, H / stride, W / stride]."""
        found: Tensor = self.layers(x)
        return x + found if self.beside else found


class MobileFace(nn.Module):
    """Faces [N, 3, 112, 112] in -1..1 in, unit embeddings [N, 192] out.

    `front` ends where the map becomes 14 places wide; training may leave it as it is.

    Args:
        gated: Which faces are corrected: "masked", "bare" or "" for none. Where some are, faces
            are [N, 4, 112, 112]: the fourth channel is 1 where the face is hidden, else 0.
    """

    mimic_width, identity_width = READ, IDENTITY

    def __init__(self, gated: str = "") -> None:
        super().__init__()
        self.front = nn.Sequential(
            Stem(3, STEM, 4, 2),
            Convolved(STEM, STEM, 3, groups=STEM),
            Convolved(STEM, STEM, 1, linear=True),
            *_blocks(STEM, STAGES),
        )
        self.tail = nn.Sequential(
            *_blocks(STAGES[-1][1], LAST_STAGES),
            Convolved(LAST_STAGES[-1][1], READ, 1),
            Look(READ, READ, LAST_SIDE, groups=READ, linear=True, padded=False),
        )
        self.identity, self.unit = Said(READ, IDENTITY), Unit()
        self.bare = gated == "bare"
        self.corrections = nn.ModuleList(_corrections()) if gated else None

    def heads(self, face: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the last layer reads [N, 512], and the identity layer [N, 192]."""
        if self.corrections is None:
            read = self.tail(self.front(face)).flatten(1)
        else:
            masked = opened(face[:, 3:])
            gate = 1 - masked if self.bare else masked
            read = self.corrected(self.front(face[:, :3]), gate).flatten(1)
        return read, self.identity(read)

    def corrected(self, x: Tensor, gate: Tensor) -> Tensor:
        """Return what the tail makes of a map, corrected as far as `gate` [N, 1, 1, 1] is open."""
        assert self.corrections is not None
        *blocks, widen, look = self.tail
        *smaller, last = self.corrections
        for block, correction in zip(blocks, smaller, strict=True):
            x = block(x) + gate * correction(x)
        x = widen(x)
        corrected: Tensor = look(x) + gate * last(x)
        return corrected

    def forward(self, face: Tensor) -> Tensor:
        """Return unit embeddings [N, 192]."""
        embedding: Tensor = self.unit(self.heads(face)[1])
        return embedding


def opened(hidden: Tensor) -> Tensor:
    """Return how far a mask [N, 1, H, W] in 0..1 counts as one, [N, 1, 1, 1] in 0..1."""
    part = hidden.mean((2, 3), keepdim=True)
    return ((part - LEAST_HIDDEN) / (MOST_HIDDEN - LEAST_HIDDEN)).clamp(0, 1)


def _corrections() -> list[nn.Module]:
    """Return what corrects each block of the tail and its last look; nothing as yet."""
    found: list[nn.Module] = []
    width = STAGES[-1][1]
    for _, outputs, count, stride in LAST_STAGES:
        found.append(Bottleneck(width, CORRECTING, outputs, stride).layers)
        found += [Bottleneck(outputs, CORRECTING, outputs, 1).layers for _ in range(count - 1)]
        width = outputs
    found.append(Look(READ, READ, LAST_SIDE, groups=READ, linear=True, padded=False))
    for correction in found:
        last = [m for m in correction.modules() if isinstance(m, nn.Conv2d)][-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return found


def _blocks(width: int, stages: tuple[tuple[int, int, int, int], ...]) -> list[nn.Module]:
    """Return the blocks of stages that begin with a map of `width` channels."""
    blocks: list[nn.Module] = []
    for inside, outputs, count, stride in stages:
        blocks.append(Bottleneck(width, inside, outputs, stride))
        blocks += [Bottleneck(outputs, inside, outputs, 1) for _ in range(count - 1)]
        width = outputs
    return blocks


def widened(kernel: Tensor) -> Tensor:
    """Return a kernel of 3 as one of 4, for stride 2: zero above and to the left.

    What pads below and to the right alone then pads evenly.
    """
    return nn.functional.pad(kernel, (1, 0, 1, 0))


def put(net: MobileFace, layers: list[tuple[Tensor, Tensor, Tensor | None]]) -> MobileFace:
    """Give the network the weights of a file's layers, in their order.

    Args:
        net: Changed in place.
        layers: Kernel [O, I, h, w], bias [O] and slopes [O] of each convolution; the last two
            are linear and become one.

    Raises:
        ValueError: they are not those of this network.
    """
    parts = [m for m in net.modules() if isinstance(m, Convolved)]
    if len(layers) != len(parts) + 2:
        raise ValueError(f"{len(parts) + 2} convolutions wanted, found {len(layers)}")
    with torch.no_grad():
        for part, (kernel, bias, slopes) in zip(parts, layers[:-2], strict=True):
            convolution = part[0]
            assert isinstance(convolution, nn.Conv2d)
            wide = widened(kernel) if convolution.stride == (2, 2) else kernel
            if wide.shape != convolution.weight.shape or (slopes is None) != (len(part) == 1):
                raise ValueError(f"kernel {list(kernel.shape)} does not fit")
            convolution.weight.copy_(wide)
            convolution.bias.copy_(bias)
            if slopes is not None:
                part[1].weight.copy_(slopes)
        (first, first_bias, _), (last, last_bias, _) = layers[-2:]
        first, last = first.flatten(1), last.flatten(1)
        net.identity.weight.copy_(last @ first)
        net.identity.bias.copy_(last @ first_bias + last_bias)
    return net
