"""A small fully convolutional face detector without anchors: three strides, one face per cell.

Separable convolutions as in MobileNet (Howard et al. 2017), a top-down pyramid (Lin et al. 2017)
and heads as YuNet's (Wu, Peng and Yu 2023). No layer knows the picture's size; what depends on
it, from cells to boxes and the suppression of doubles, is `edgesdk.boxes`.
"""

import math

import torch
from torch import Tensor, nn

from edgesdk_training.nets.common import ConvBnRelu

STRIDES = (8, 16, 32)
HEADS = {"score": 1, "box": 4, "points": 10}
WIDTHS = (16, 32, 64)
# Before training a cell says "face" this often, so that the first steps are calm (Lin et al. 2017,
# "Focal loss").
PRIOR = 0.01


class Separable(nn.Sequential):
    """3x3 by channel, then 1x1: [N, C, H, W] to [N, outputs, H / stride, W / stride]."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            # A kernel of 4 and not 3 would shrink the map evenly, but take as long again.
            _Depthwise(inputs, stride),
            ConvBnRelu(inputs, outputs, 1),
        )


class _Depthwise(ConvBnRelu):
    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(channels, channels, 3, relu=False, groups=channels)
        self.conv.stride, self.conv.padding = (stride, stride), (1, 1)


class Head(nn.Module):
    """What the cells of one stride say: score, box and points, each [N, K, H, W]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mixed = _Depthwise(width, 1)
        self.says = nn.ModuleDict({name: nn.Conv2d(width, n, 1) for name, n in HEADS.items()})

    def start(self) -> None:
        """Begin with rare faces in the middle of each cell."""
        for name, layer in self.says.items():
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            nn.init.normal_(layer.weight, std=0.01)
            first = {"score": math.log(PRIOR / (1 - PRIOR)), "box": 0.5, "points": 0.5}[name]
            nn.init.constant_(layer.bias, first)
        with torch.no_grad():
            self.says["box"].bias[2:] = math.log(3.0)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the three maps."""
        mixed = self.mixed(x)
        return [layer(mixed) for layer in self.says.values()]


class FaceDetector(nn.Module):
    """Pictures [N, 3, H, W] in -1..1, H and W multiples of 32, to nine maps.

    For each of the strides 8, 16 and 32: logits [N, 1, h, w], boxes [N, 4, h, w] and points
    [N, 10, h, w], as `edgesdk.boxes.decode` reads them.
    """

    def __init__(self, depths: tuple[int, int, int, int] = (1, 3, 2, 2)) -> None:
        super().__init__()
        narrow, middle, wide = WIDTHS
        self.stem = ConvBnRelu(3, narrow, 3)
        self.stem.conv.stride = (2, 2)
        self.quarter = _stage(narrow, middle, depths[0])
        self.fine = _stage(middle, wide, depths[1])
        self.medium = _stage(wide, wide, depths[2])
        self.coarse = _stage(wide, wide, depths[3])
        self.joined = nn.ModuleList([Separable(wide, wide), Separable(wide, wide)])
        self.heads = nn.ModuleList([Head(wide) for _ in STRIDES])
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
        coarse = self.coarse(medium)
        medium = self.joined[0](medium + _doubled(coarse))
        fine = self.joined[1](fine + _doubled(medium))
        levels = zip(self.heads, (fine, medium, coarse), strict=True)
        return tuple(found for head, level in levels for found in head(level))


def _stage(inputs: int, outputs: int, depth: int) -> nn.Sequential:
    first = Separable(inputs, outputs, stride=2)
    return nn.Sequential(first, *(Separable(outputs, outputs) for _ in range(depth - 1)))


def _doubled(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
