"""A residual student with the weights of bridge-face and thirteen times its work.

More than half of the work is done at full resolution, where a small face still has detail; at half
resolution depthwise convolutions look around and 1x1 convolutions hold most of the weights.
The last map is read place by place instead of averaged, because a face's parts have fixed
places. At 16 px the first maps have 16 places a side, else 32 (at 48 and 112 px some more): smaller
faces are enlarged to them, larger ones shrunk by the first layer. The same weights work four times
as much as at 16 px, which is worth more than other divisions of weights and work that were tried.
"""

from math import ceil

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from edgesdk_training.nets.common import ConvBnRelu, unit

MIMIC = IDENTITY = 128
# Channels between blocks and inside them, at full and at half resolution.
FULL, FULL_INSIDE = 32, 64
HALF, HALF_INSIDE, HALVING = 80, 144, 64
DEPTH = 5
# Places a side of the first maps of all but the smallest faces, and the largest of these.
SIDE = 32
SMALL = 16
# Places a side that are read at most; the means of several are read instead of more.
MOST_READ = 8


class Residual(nn.Module):
    """A 3x3 convolution to more channels and a 1x1 one back, beside a skip."""

    def __init__(self, width: int, inside: int) -> None:
        super().__init__()
        self.enter = ConvBnRelu(width, inside, 3)
        self.leave = ConvBnRelu(inside, width, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, width, H, W]."""
        result: Tensor = x + self.leave(self.enter(x))
        return result


class Inverted(nn.Module):
    """1x1 to more channels, depthwise, 1x1 back; a skip where the map stays as it is."""

    def __init__(self, inputs: int, inside: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.enter = ConvBnRelu(inputs, inside, 1)
        self.look = ConvBnRelu(inside, inside, stride + 2, stride=stride, groups=inside)
        self.leave = ConvBnRelu(inside, outputs, 1, relu=False)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, outputs, H / stride, W / stride]."""
        found: Tensor = self.leave(self.look(self.enter(x)))
        return x + found if self.skips else found


class Reading(nn.Conv2d):
    """Weigh the places of each map: a depthwise convolution as large as the map.

    Of a large map the means of 2x2 or more places are weighed: it would have too many weights.
    """

    def __init__(self, width: int, side: int) -> None:
        pool = ceil(side / MOST_READ)
        super().__init__(width, width, side // pool, groups=width)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, width]."""
        if self.pool > 1:
            x = avg_pool2d(x, self.pool)
        # As a convolution it would leave a map of one place, and LiteRT writes the mean of
        # that as a reshape to a batch of one.
        return (x * self.weight.squeeze(1)).sum((2, 3)) + self.bias


def maps(size: int) -> tuple[int, int]:
    """Return how large a face of `size` px enters the first layer, and how far that shrinks it."""
    return (size, 1) if size <= SMALL else (max(size, SIDE), max(size // SIDE, 1))


class BridgeFacePlus(nn.Module):
    """Faces [N, 3, size, size] in, unit embeddings [N, 128] out; size is 16 or more."""

    mimic_width, identity_width = MIMIC, IDENTITY

    def __init__(self, size: int = 16) -> None:
        super().__init__()
        entering, stride = maps(size)
        self.enlargement = entering / size
        self.trunk = nn.Sequential(
            ConvBnRelu(3, FULL, stride + 2, stride=stride),
            Residual(FULL, FULL_INSIDE),
            Residual(FULL, FULL_INSIDE),
            Inverted(FULL, HALVING, HALF, stride=2),
            *(Inverted(HALF, HALF_INSIDE, HALF) for _ in range(DEPTH)),
            ConvBnRelu(HALF, MIMIC, 1),
            Reading(MIMIC, entering // stride // 2),
        )
        self.identity = nn.Linear(MIMIC, IDENTITY)

    def heads(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mimic layer [N, 128], before its ReLU, and the identity layer [N, 128]."""
        if self.enlargement > 1:
            # By a factor, for a side makes ONNX ask for the shape of the batch first; and not as
            # two products, of which LiteRT makes neither batches nor int8.
            image = interpolate(image, scale_factor=self.enlargement, mode="bilinear")
        mimic: Tensor = self.trunk(image)
        return mimic, self.identity(torch.relu(mimic))

    def forward(self, image: Tensor) -> Tensor:
        """Return unit embeddings [N, 128]."""
        return unit(self.heads(image)[1])
