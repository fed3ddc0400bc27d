"""A residual student with the weights of bridge-face and twelve times its work.

Most of the work is done at full and half resolution, where a small face still has detail.
The last map is read place by place instead of averaged, because a face's parts have fixed
places. Faces of 32 px and more are first shrunk to maps of about 16 by the first layer, so
that they cost hardly more than small ones.
"""

import torch
from torch import Tensor, nn

from edgesdk_training.nets.common import ConvBnRelu, unit

MIMIC = IDENTITY = 128
WIDTHS = (48, 64, 64)
SMALL = 32
MAP = 16


class Residual(nn.Module):
    """Two 3x3 convolutions beside a skip, ReLU after the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = ConvBnRelu(width, width, 3)
        self.leave = ConvBnRelu(width, width, 3, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, width, H, W]."""
        return torch.relu(x + self.leave(self.enter(x)))


class Reading(nn.Conv2d):
    """Weigh the places of each map: a depthwise convolution as large as the map."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__(width, width, side, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, width]."""
        # As a convolution it would leave a map of one place, and LiteRT writes the mean of
        # that as a reshape to a batch of one.
        return (x * self.weight.squeeze(1)).sum((2, 3)) + self.bias


def first_stride(size: int) -> int:
    """Return how far the first layer shrinks a face of `size` px."""
    return 1 if size < SMALL else size // MAP


class BridgeFacePlus(nn.Module):
    """Faces [N, 3, size, size] in, unit embeddings [N, 128] out; size is 16 or more."""

    mimic_width, identity_width = MIMIC, IDENTITY

    def __init__(self, size: int = 16) -> None:
        super().__init__()
        full, half, quarter = WIDTHS
        stride = first_stride(size)
        self.trunk = nn.Sequential(
            ConvBnRelu(3, full, stride + 2, stride=stride),
            Residual(full),
            nn.MaxPool2d(2),
            ConvBnRelu(full, half, 3),
            Residual(half),
            nn.MaxPool2d(2),
            ConvBnRelu(half, quarter, 3),
            ConvBnRelu(quarter, MIMIC, 1),
            Reading(MIMIC, size // stride // 4),
        )
        self.identity = nn.Linear(MIMIC, IDENTITY)

    def heads(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mimic layer [N, 128], before its ReLU, and the identity layer [N, 128]."""
        mimic: Tensor = self.trunk(image)
        return mimic, self.identity(torch.relu(mimic))

    def forward(self, image: Tensor) -> Tensor:
        """Return unit embeddings [N, 128]."""
        return unit(self.heads(image)[1])
