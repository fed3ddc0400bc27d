"""A small variational autoencoder that draws pictures near a given one."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from edgesdk_training.nets.common import ConvBnRelu

# Channels of the encoder's maps, the last one of 4x4 places; larger pictures begin narrower.
WIDTHS = {32: (24, 48, 96), 64: (16, 32, 48, 96)}
PLACES = 4


class NeighbourVae(nn.Module):
    """Pictures [N, 3, S, S] in -1..1 and noise [N, L] in, the pictures beside them out.

    Without noise it gives the picture as the latent space knows it. Independent implementation
    of Kingma and Welling 2013 (arXiv 1312.6114); layers and widths are our own.
    """

    def __init__(self, size: int, latent: int) -> None:
        super().__init__()
        widths = WIDTHS[size]
        self.encoder = nn.Sequential(
            *(
                ConvBnRelu(inputs, outputs, 4, stride=2)
                for inputs, outputs in zip((3, *widths), widths, strict=False)
            )
        )
        self.mean = nn.Conv2d(widths[-1], latent, PLACES)
        self.spread: nn.Module | None = nn.Conv2d(widths[-1], latent, PLACES)
        self.enter = nn.Sequential(
            nn.Conv2d(latent, widths[-1] * PLACES**2, 1), nn.PixelShuffle(PLACES), nn.ReLU()
        )
        narrower = (*widths[-2::-1], widths[0])
        self.decoder = nn.ModuleList(
            ConvBnRelu(inputs, outputs, 3)
            for inputs, outputs in zip(widths[::-1], narrower, strict=True)
        )
        self.draw = nn.Conv2d(widths[0], 3, 3, padding=1)

    def decode(self, code: Tensor) -> Tensor:
        """Return pictures [N, 3, S, S] of codes [N, L, 1, 1]."""
        x = self.enter(code)
        for layer in self.decoder:
            x = layer(interpolate(x, scale_factor=2.0, mode="nearest"))
        return torch.tanh(self.draw(x))

    def coded(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the variance of each picture's code, [N, L, 1, 1]."""
        assert self.spread is not None, "what is exported knows the mean alone"
        found = self.encoder(image)
        return self.mean(found), self.spread(found).clamp(-10, 4)

    def forward(self, image: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pictures whose codes lie `noise` beside the mean ones, and these [N, L]."""
        mean = self.mean(self.encoder(image))
        return self.decode(mean + noise.unsqueeze(2).unsqueeze(3)), mean.flatten(1)
