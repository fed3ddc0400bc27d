"""The generator of data-free distillation: noise in, small pictures out."""

import torch
from torch import Tensor, nn


class PictureGenerator(nn.Module):
    """Noise [N, noise] in, pictures [N, 3, size, size] in -1..1 out.

    The layers are those of the generator of DAFL (Chen et al. 2019): a linear layer, two
    enlargements by the nearest pixel, BatchNorm and LeakyReLU, tanh.

    Args:
        size: Side of the pictures.
        noise: Length of the noise.
        width: Channels of the first map.
        gray: Whether all three colours are one.
    """

    def __init__(self, size: int, noise: int, width: int, gray: bool) -> None:
        super().__init__()
        self.size, self.noise, self.start, self.width = size, noise, -(-size // 4), width
        self.enter = nn.Linear(noise, width * self.start**2)
        self.grow = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Upsample(scale_factor=2.0),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2.0),
            nn.Conv2d(width, width // 2, 3, padding=1),
            nn.BatchNorm2d(width // 2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width // 2, 1 if gray else 3, 3, padding=1),
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Return pictures [N, 3, size, size]."""
        first = self.enter(noise).view(-1, self.width, self.start, self.start)
        picture = torch.tanh(self.grow(first))[..., : self.size, : self.size]
        return picture.expand(-1, 3, -1, -1)
