"""A compact detector of generated pictures that looks at one clue of a crop.

Independent implementation from the published description of the frequency clue (arXiv
2511.00429): the weights of the spectrum are published, the classifier is our own choice. The
filter is written as products with a constant matrix, for every converter knows these.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from edgesdk_training.nets.common import ConvBnRelu

# Where k(f) crosses zero: below it, real and generated pictures have like power.
TAU = 0.06351
WIDTHS = (24, 40, 64, 96)


def radial(size: int) -> Tensor:
    """Return each frequency's distance from zero [size, size], cycles per pixel, float64."""
    along = torch.from_numpy(np.fft.fftfreq(size))
    return (along[:, None].square() + along[None].square()).sqrt()


def clue_weights(frequency: Tensor, tau: float = TAU) -> Tensor:
    """Return w(f) = (exp(k(f) / 2) - 1) / f above `tau`, 0 below; f in cycles per pixel.

    k(f) = -0.2 f^2 + 0.8 f - 0.05 is the gap in log power between real and generated pictures.
    """
    gap = -0.2 * frequency.square() + 0.8 * frequency - 0.05
    weights = (torch.exp(gap / 2) - 1) / frequency.clamp_min(1e-9)
    return torch.where(frequency > tau, weights, torch.zeros_like(weights))


def high_pass_weights(frequency: Tensor, tau: float = TAU) -> Tensor:
    """Return 1 above `tau`, 0 below."""
    return (frequency > tau).to(frequency)


class SpectrumFilter(nn.Module):
    """Weigh the spectrum of [N, C, S, S]: Re IFFT2(w * FFT2(x)), a real result.

    w depends on the radius alone, so that w(u, v) = w(-u, v): the filter is diagonal in the
    products of Hartley's real waves too, cos + sin, and one symmetric matrix K that is its own
    inverse takes the place of complex numbers. After (x K)^T K the picture lies on its side,
    which w does not notice; the way back sets it up again.
    """

    # What it weighs least is far below one step of int8: exporters leave it in float.
    in_float = True
    waves: Tensor
    weights: Tensor

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        size = len(weights)
        turn = 2 * math.pi / size * torch.outer(*(torch.arange(size, dtype=torch.float64),) * 2)
        waves = (turn.cos() + turn.sin()) / math.sqrt(size)
        self.register_buffer("waves", waves.float(), persistent=False)
        self.register_buffer("weights", weights.float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the filtered maps [N, C, S, S]."""
        return self._transform(self._transform(x) * self.weights)

    def _transform(self, x: Tensor) -> Tensor:
        return (x @ self.waves).transpose(2, 3) @ self.waves


class NeighbourDifference(nn.Module):
    """What differs from the upper left of every 2x2 pixels: the clue of the rival NPR.

    As in "Rethinking the up-sampling operations" (Tan et al. 2024): x minus its half resolution
    enlarged, both by the nearest pixel.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, C, S, S]."""
        small = nn.functional.max_pool2d(x, 1, stride=2)
        return x - nn.functional.interpolate(small, scale_factor=2.0, mode="nearest")


def make_clue(clue: str, size: int) -> nn.Module:
    """Return what shows the classifier its clue: f2c, high-pass, top-band, npr or raw."""
    if clue == "npr":
        return NeighbourDifference()
    if clue == "raw":
        return nn.Identity()
    frequency = radial(size)
    if clue == "f2c":
        return SpectrumFilter(clue_weights(frequency))
    return SpectrumFilter(high_pass_weights(frequency, 0.25 if clue == "top-band" else TAU))


class ClueNet(nn.Module):
    """Crops [N, 3, S, S] in -1..1 in, logits [N, 1] of "generated" out."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, clue: str, size: int) -> None:
        super().__init__()
        self.clue = make_clue(clue, size)
        self.register_buffer("mean", torch.zeros(1, 3, 1, 1))
        self.register_buffer("deviation", torch.ones(1, 3, 1, 1))
        layers = [
            ConvBnRelu(narrow, wide, 4, stride=2)
            for narrow, wide in zip((3, *WIDTHS), WIDTHS, strict=False)
        ]
        self.trunk = nn.Sequential(*layers, ConvBnRelu(WIDTHS[-1], WIDTHS[-1], 3))
        self.head = nn.Linear(WIDTHS[-1], 1)

    def standardise(self, images: Tensor) -> None:
        """Take mean and deviation of the clue from pictures [N, 3, S, S]."""
        with torch.no_grad():
            shown = self.clue(images)
            self.mean.copy_(shown.mean((0, 2, 3), keepdim=True))
            self.deviation.copy_(shown.std((0, 2, 3), keepdim=True).clamp_min(1e-6))

    def calibrate(self, slope: float, offset: float) -> None:
        """Make every logit z into slope * z + offset, inside the last layer."""
        with torch.no_grad():
            self.head.weight.mul_(slope)
            self.head.bias.mul_(slope).add_(offset)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [N, 1]."""
        maps: Tensor = self.trunk((self.clue(image) - self.mean) / self.deviation)
        logits: Tensor = self.head(maps.mean((2, 3)))
        return logits
