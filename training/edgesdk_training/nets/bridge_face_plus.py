"""A residual student with the weights of bridge-face and seven times its work.

Most of the work is done at full and half resolution, where a small face still has detail.
The last map is read place by place instead of averaged, because a face's parts have fixed
places; larger faces give several such readings, which are averaged.
"""

import torch
from torch import Tensor, nn

from edgesdk_training.nets.common import ConvBnRelu, unit

MIMIC = IDENTITY = 128
WIDTHS = (32, 48, 64)


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
    """Weigh the places of each map of 4x4, or of all 4x4 windows of a larger one."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, 4, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, width] of a map of 4x4, one map [N, width, h, w] per window otherwise."""
        if x.shape[-2:] == (4, 4):
            # The convolution would leave a map of one place, and LiteRT writes the mean of
            # that as a reshape to a batch of one.
            return (x * self.weight.squeeze(1)).sum((2, 3)) + self.bias
        return super().forward(x)


class BridgeFacePlus(nn.Module):
    """Faces [N, 3, S, S] in, unit embeddings [N, 128] out; S is 16 or more."""

    mimic_width, identity_width = MIMIC, IDENTITY

    def __init__(self) -> None:
        super().__init__()
        full, half, quarter = WIDTHS
        self.trunk = nn.Sequential(
            ConvBnRelu(3, full, 3),
            Residual(full),
            nn.MaxPool2d(2),
            ConvBnRelu(full, half, 3),
            Residual(half),
            nn.MaxPool2d(2),
            ConvBnRelu(half, quarter, 3),
            Residual(quarter),
            ConvBnRelu(quarter, MIMIC, 1),
            Reading(MIMIC),
        )
        self.identity = nn.Linear(MIMIC, IDENTITY)

    def heads(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mimic layer [N, 128], before its ReLU, and the identity layer [N, 128]."""
        read: Tensor = self.trunk(image)
        mimic = read if read.ndim == 2 else read.mean((2, 3))
        return mimic, self.identity(torch.relu(mimic))

    def forward(self, image: Tensor) -> Tensor:
        """Return unit embeddings [N, 128]."""
        return unit(self.heads(image)[1])
