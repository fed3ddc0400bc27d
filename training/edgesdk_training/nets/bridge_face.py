"""The compact face student of bridge distillation, layer by layer.

Independent implementation from the published description (arXiv 2409.11786, IEEE TIP
2020). Kernels, widths, pooling and skips are published; the width of the mimic layer
(512) and of the identity layer (128) are the pair that gives both published costs:
213,696 parameters and 1,511,424 multiply-accumulates at 16 px.
"""

import torch
from torch import Tensor, nn

from edgesdk_training.nets.common import ConvBnRelu, unit

MIMIC, IDENTITY = 512, 128


class Block(nn.Module):
    """1x1 down, 3x3 wide, 1x1 down, plus a skip from the first 1x1; no ReLU after the sum."""

    def __init__(self, inputs: int, narrow: int, wide: int) -> None:
        super().__init__()
        self.enter = ConvBnRelu(inputs, narrow, 1)
        self.widen = ConvBnRelu(narrow, wide, 3)
        self.leave = ConvBnRelu(wide, narrow, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, narrow, H, W]."""
        skip = self.enter(x)
        result: Tensor = skip + self.leave(self.widen(skip))
        return result


class BridgeFace(nn.Module):
    """Faces [N, 3, S, S] in, unit embeddings [N, 128] out."""

    mimic_width, identity_width = MIMIC, IDENTITY

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            ConvBnRelu(3, 16, 3),
            nn.MaxPool2d(2),
            ConvBnRelu(16, 32, 3),
            nn.MaxPool2d(2),
            Block(32, 16, 128),
            ConvBnRelu(16, 128, 3),
            nn.MaxPool2d(2),
            Block(128, 32, 256),
            nn.Conv2d(32, MIMIC, 1),
        )
        self.identity = nn.Linear(MIMIC, IDENTITY)

    def mimic(self, image: Tensor) -> Tensor:
        """Return the mimic layer [N, 512], before its ReLU: what the regression sees."""
        maps: Tensor = self.trunk(image)
        return maps.mean((2, 3))

    def heads(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mimic layer [N, 512] and the identity layer [N, 128]."""
        mimic = self.mimic(image)
        return mimic, self.identity(torch.relu(mimic))

    def forward(self, image: Tensor) -> Tensor:
        """Return unit embeddings [N, 128]."""
        return unit(self.heads(image)[1])
