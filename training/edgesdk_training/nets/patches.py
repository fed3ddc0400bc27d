"""A discriminator that judges patches of a face; used in training alone, never exported."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class Patches(nn.Module):
    """Faces [N, 3, W, W] in, one score per patch [N, 1, W / 8, W / 8] out.

    Spectral normalisation (Miyato et al. 2018) bounds its slope, as the hinge loss asks.
    """

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 64)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [spectral_norm(nn.Conv2d(before, after, 4, 2, 1)), nn.LeakyReLU(0.2)]
        self.trunk = nn.Sequential(*layers)
        self.score = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, face: Tensor) -> Tensor:
        """Return scores, above 0 for what looks real."""
        result: Tensor = self.score(self.trunk(face))
        return result
