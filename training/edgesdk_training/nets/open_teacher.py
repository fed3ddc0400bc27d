"""A teacher that data-free distillation can open: its BatchNorms remember what it has seen."""

import torch
from torch import Tensor, nn

from edgesdk_training.nets.common import ConvBnRelu

# A map is halved until it is at most this wide.
LAST_MAP = 4


class OpenTeacher(nn.Module):
    """Pictures [N, 3, S, S] in -1..1 in, logits [N, classes] out.

    Args:
        size: Side of the picture in pixels.
        classes: Number of classes.
        width: Channels of the first map; they double each time the map is halved, up to fourfold.
    """

    def __init__(self, size: int, classes: int, width: int) -> None:
        super().__init__()
        layers, now, channels, side = [], 3, width, size
        while side > LAST_MAP or now == 3:
            layers += [ConvBnRelu(now, channels, 4, stride=2), ConvBnRelu(channels, channels, 3)]
            now, channels, side = channels, min(2 * channels, 4 * width), side // 2
        self.backbone = nn.Sequential(*layers)
        self.head = nn.Linear(now, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [N, classes]."""
        return self.head(self.backbone(image).mean((2, 3)))


def norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    """Return the BatchNorms of a network in training form."""
    return [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]


def norm_distance(maps: list[Tensor], layers: list[nn.BatchNorm2d]) -> Tensor:
    """Return how far maps [N, C, H, W] lie from what BatchNorms saw in training.

    Squared distance of mean and variance per channel, by the square of the deviation, so that
    layers of unlike scale count alike; mean over channels, sum over layers. Reconstructed: the
    publication gives a norm of statistics without its scale.
    """
    total = torch.zeros(())
    for found, norm in zip(maps, layers, strict=True):
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None
        assert variance is not None
        scale = variance + norm.eps
        apart = (found.mean((0, 2, 3)) - mean).square() / scale
        spread = ((found.var((0, 2, 3), correction=0) - variance) / scale).square()
        total = total + (apart + spread).mean()
    return total
