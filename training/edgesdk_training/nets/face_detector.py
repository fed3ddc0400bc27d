"""A small fully convolutional face detector without anchors: three strides, one face per cell.

The layers are those of YuNet (Wu, Peng and Yu 2023, "YuNet: a tiny millisecond-level face
detector"), so that training can begin with its weights, but for two things: maps shrink before
the costly layers and not behind them, and the heads of a stride share theirs. No layer knows the
picture's size; what depends on it, from cells to boxes and the suppression of doubles, is
`edgesdk.boxes`.
"""

import math
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from edgesdk_training.nets.common import ConvBnRelu

STRIDES = (8, 16, 32)
HEADS = {"score": 1, "box": 4, "points": 10}
NARROW, MIDDLE, WIDE = 16, 32, 64
SAID = 16  # channels that a head's answers are made of
# Before training a cell says "face" this often, so that the first steps are calm (Lin et al. 2017,
# "Focal loss").
PRIOR = 0.01


class Unit(nn.Sequential):
    """1x1, then 3x3 by channel: [N, C, H, W] to [N, outputs, H / stride, W / stride]."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        by_channel = ConvBnRelu(outputs, outputs, 3, groups=outputs)
        by_channel.conv.stride = (stride, stride)
        super().__init__(nn.Conv2d(inputs, outputs, 1), by_channel)


class Head(nn.Module):
    """What the cells of one stride say: score, box and points, each [N, K, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        by_channel = nn.Conv2d(SAID, SAID, 3, padding=1, groups=SAID)
        self.mixed = nn.Sequential(nn.Conv2d(WIDE, SAID, 1), by_channel)
        # One layer for all three: small ones cost more than their share.
        self.says = nn.Conv2d(SAID, sum(HEADS.values()), 1)

    def start(self) -> None:
        """Begin with rare faces in the middle of each cell."""
        assert self.says.bias is not None
        nn.init.normal_(self.says.weight, std=0.01)
        nn.init.constant_(self.says.bias, 0.5)
        with torch.no_grad():
            score, box, _ = self.says.bias.split(list(HEADS.values()))
            score.fill_(math.log(PRIOR / (1 - PRIOR)))
            box[2:] = math.log(3.0)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the three maps."""
        said: Tensor = self.says(self.mixed(x))
        ends = [0, *accumulate(HEADS.values())]
        # Slices, for XNNPACK splits no batch whose size is open.
        return [said[:, begin:end] for begin, end in pairwise(ends)]


class FaceDetector(nn.Module):
    """Pictures [N, 3, H, W] in -1..1, H and W multiples of 32, to nine maps.

    For each of the strides 8, 16 and 32: logits [N, 1, h, w], boxes [N, 4, h, w] and points
    [N, 10, h, w], as `edgesdk.boxes.decode` reads them.

    Args:
        whole: Shrink where YuNet does.
    """

    def __init__(self, whole: bool = False) -> None:
        super().__init__()
        self.stem = ConvBnRelu(3, NARROW, 3)
        self.stem.conv.stride = (2, 2)
        pool, narrow = nn.MaxPool2d(2), (Unit(NARROW, NARROW), Unit(NARROW, NARROW))
        order = (narrow[0], pool, narrow[1]) if whole else (pool, *narrow)
        self.quarter = nn.Sequential(*order, Unit(NARROW, MIDDLE))
        self.fine = nn.Sequential(
            Unit(MIDDLE, MIDDLE, stride=1 if whole else 2),
            Unit(MIDDLE, WIDE),
            pool if whole else nn.Identity(),
            *_two(WIDE),
        )
        self.medium = nn.Sequential(nn.MaxPool2d(2), *_two(WIDE))
        self.coarse = nn.Sequential(nn.MaxPool2d(2), *_two(WIDE))
        self.joined = nn.ModuleList([Unit(WIDE, WIDE) for _ in STRIDES])
        self.heads = nn.ModuleList([Head() for _ in STRIDES])
        self.start()

    def start(self) -> None:
        """Begin the heads as `Head.start` says."""
        for head in self.heads:
            assert isinstance(head, Head)
            head.start()

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the maps, the finest stride first."""
        fine = self.fine(self.quarter(self.stem(image)))
        medium = self.medium(fine)
        coarse = self.joined[2](self.coarse(medium))
        medium = self.joined[1](medium + _doubled(coarse))
        fine = self.joined[0](fine + _doubled(medium))
        levels = zip(self.heads, (fine, medium, coarse), strict=True)
        return tuple(found for head, level in levels for found in head(level))


def _two(width: int) -> tuple[Unit, Unit]:
    return Unit(width, width), Unit(width, width)


def _doubled(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
