"""Small stand-ins of picture generators: they end like the real ones, and are taught in minutes.

What betrays a generated picture is mostly the last stage of its generator, so these are
autoencoders with the up-samplings in use (resize and convolve, transposed convolution, patches,
pixel shuffle), some with a critic or a codebook, super-resolution, and denoising diffusion.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesdk_training.nets.given_latent import centres_of, main_parts

STEPS = 1000


@dataclass(frozen=True, slots=True)
class Family:
    """How one generator is made.

    Attributes:
        up: Up-sampling: nearest, bilinear, bicubic, tconv (transposed convolution, of `kernel`),
            tconv3 (3x3), patch (kernels that do not overlap, as transformers end), fir (zeros
            between, then a blur, as StyleGAN does) or shuffle.
        halvings: How often the encoder halves the picture.
        jump: Halvings that one up-sampling makes good.
        latent: Channels between encoder and decoder.
        codes: Entries of the codebook, 0 for none.
        sharp: Weight of the loss that asks for the true spectrum: without it all are soft.
        rival: Weight of a critic's judgement, which makes textures up, 0 for no critic.
        residual: Whether normalised residual blocks stand between, as in the decoders of latent
            diffusion.
        shrunk: Whether the encoder only averages: super-resolution.
        noise: Where diffusion begins, part of its steps: in the picture itself, or, where there
            is a decoder, in the latent; 0 for none.
        width: Factor on the number of maps.
        kernel: Side of tconv's kernels, 0 for twice the factor: they then overlap by half.
        ends: Whether the last up-sampling draws the picture itself, no convolution after it.
        given: Whether encoder and codebook are computed, not learnt: the main parts of patches, and
            their centres. The decoder then draws well after few steps.
        square: Whether the squared difference is learnt, not the absolute one: softer.
    """

    up: str = ""
    halvings: int = 2
    jump: int = 1
    latent: int = 12
    codes: int = 0
    sharp: float = 0.0
    rival: float = 0.0
    residual: bool = False
    shrunk: bool = False
    noise: float = 0.0
    width: float = 1.0
    kernel: int = 0
    ends: bool = False
    given: bool = False
    square: bool = False


FAMILIES = {
    "ae-nearest": Family("nearest"),
    "ae-bilinear": Family("bilinear"),
    "ae-bicubic": Family("bicubic", sharp=0.1),
    "ae-tconv": Family("tconv"),
    "ae-tconv3": Family("tconv3", sharp=0.1),
    "ae-fir": Family("fir", sharp=0.1),
    "ae-shuffle": Family("shuffle"),
    "ae-shuffle-sharp": Family("shuffle", latent=16, sharp=0.1),
    "ae-nearest-deep": Family("nearest", halvings=3, latent=32, sharp=0.1),
    "ae-residual": Family("nearest", residual=True, sharp=0.1),
    "patch-4": Family("patch", jump=2, latent=24, sharp=0.1),
    "patch-8": Family("patch", halvings=3, jump=3, latent=64),
    "patch-shuffle": Family("shuffle", jump=2, latent=24, sharp=0.1),
    "gan-nearest": Family("nearest", rival=0.05, residual=True),
    "gan-tconv": Family("tconv", rival=0.05),
    "gan-fir": Family("fir", rival=0.05, latent=16),
    "gan-shuffle": Family("shuffle", rival=0.05, latent=16),
    "vq-nearest": Family("nearest", codes=256),
    "vq-tconv": Family("tconv", codes=256, sharp=0.1),
    "vq-gan": Family("nearest", codes=256, rival=0.05, residual=True),
    "vq-patch": Family("patch", codes=256, jump=2, sharp=0.1),
    "sr-shuffle": Family("shuffle", halvings=1, shrunk=True, sharp=0.1),
    "sr-nearest": Family("nearest", halvings=1, shrunk=True),
    "sr-gan": Family("nearest", halvings=2, shrunk=True, rival=0.05, residual=True),
    "diffusion": Family(noise=0.12),
    "latent-diffusion": Family("bilinear", latent=8, sharp=0.1, noise=0.1),
    "latent-residual": Family("nearest", latent=16, sharp=0.1, residual=True, noise=0.15),
}


def enlarge(up: str, inputs: int, outputs: int, factor: int = 2, kernel: int = 0) -> nn.Module:
    """Return the layers that enlarge the sides of a map `factor` times in the way `up`."""
    kernels = {"tconv": kernel or 2 * factor, "tconv3": 3, "patch": factor}
    if up in kernels:
        side = kernels[up]
        around = -(-(side - factor) // 2)
        more = factor + 2 * around - side
        return nn.ConvTranspose2d(inputs, outputs, side, factor, around, output_padding=more)
    if up == "shuffle":
        wide = nn.Conv2d(inputs, factor**2 * outputs, 3, padding=1)
        return nn.Sequential(wide, nn.PixelShuffle(factor))
    grown = BlurredZeros() if up == "fir" else nn.Upsample(scale_factor=factor, mode=up)
    return nn.Sequential(grown, nn.Conv2d(inputs, outputs, 3, padding=1))


class BlurredZeros(nn.Module):
    """Doubles a map by zeros between its values and the kernel 1 3 3 1 over them."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
        self.register_buffer("kernel", torch.outer(line, line)[None, None], persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return [N, C, 2H, 2W]."""
        kernel = self.kernel.expand(maps.shape[1], 1, 4, 4)
        return F.conv_transpose2d(maps, kernel, stride=2, padding=1, groups=maps.shape[1])


class ResidualBlock(nn.Module):
    """Two normalised convolutions beside the map itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            norm = nn.GroupNorm(8, width)
            layers += [norm, nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        """Return a map of the same shape."""
        found: Tensor = maps + self.layers(maps)
        return found


class Critic(nn.Module):
    """Tells patches of photos from drawn ones: high where it takes them for photos."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 24, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(24, 48, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(48, 1, 3, padding=1),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        """Return [N, 1, H / 4, W / 4]."""
        told: Tensor = self.layers(image)
        return told


class Autoencoder(nn.Module):
    """Pictures [N, 3, H, W] in -1..1 in and out; H and W are multiples of 2 ** halvings."""

    def __init__(self, family: Family) -> None:
        super().__init__()
        self.family = family
        widths = tuple(8 * round(n * family.width / 8) for n in (24, 40, 48))[: family.halvings]
        self.encoder = self._encoder(family, widths)
        self.decoder = self._decoder(family, widths)
        self.codes = nn.Embedding(max(family.codes, 1), family.latent)

    @staticmethod
    def _encoder(family: Family, widths: tuple[int, ...]) -> nn.Module:
        if family.shrunk:
            return nn.AvgPool2d(2**family.halvings)
        layers: list[nn.Module] = []
        for narrow, wide in zip((3, *widths), widths, strict=False):
            layers += [nn.Conv2d(narrow, wide, 4, 2, 1), nn.ReLU()]
        return nn.Sequential(*layers, nn.Conv2d(widths[-1], family.latent, 1))

    @staticmethod
    def _decoder(family: Family, widths: tuple[int, ...]) -> nn.Module:
        inputs = 3 if family.shrunk else family.latent
        wide = widths[-1]
        layers: list[nn.Module] = [nn.Conv2d(inputs, wide, 3, padding=1), nn.ReLU()]
        last = 3 if family.ends else widths[0]
        for narrow in (*widths[-1 - family.jump :: -family.jump], last):
            layers += [ResidualBlock(wide)] if family.residual else []
            layers += [enlarge(family.up, wide, narrow, 2**family.jump, family.kernel), nn.ReLU()]
            wide = narrow
        if family.ends:
            return nn.Sequential(*layers[:-1])
        return nn.Sequential(*layers, nn.Conv2d(last, 3, 3, padding=1))

    def settle(self, image: Tensor) -> None:
        """Compute encoder and codebook of a `given` family from pictures [N, 3, H, W]."""
        side, latent = 2**self.family.halvings, self.family.latent
        encoder = nn.Conv2d(3, latent, side, side, bias=False)
        encoder.weight.data = main_parts(image, side, latent)
        self.encoder = encoder.requires_grad_(False)
        if self.family.codes:
            flat = self.encoder(image).movedim(1, -1).flatten(0, 2)
            self.codes.weight.data = centres_of(flat, self.family.codes)
            self.codes.requires_grad_(False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pictures again, and the loss of the codebook."""
        latent = self.encoder(image)
        latent, loss = self._coded(latent) if self.family.codes else (latent, latent.new_zeros(()))
        return self.decoder(latent), loss

    def _coded(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Return the nearest codes, straight through, and what draws both together."""
        flat = latent.movedim(1, -1)
        apart = torch.cdist(flat.flatten(0, 2), self.codes.weight)
        near = self.codes(apart.argmin(1)).view_as(flat).movedim(-1, 1)
        loss = F.mse_loss(near, latent.detach()) + 0.25 * F.mse_loss(latent, near.detach())
        return latent + (near - latent).detach(), loss


class Denoiser(nn.Module):
    """A U-Net of three sizes that tells the noise in [N, C, H, W] at a step of 0..999."""

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        self.time = nn.Linear(16, width)
        self.enter = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(width, width, 4, 2, 1) for _ in range(2))
        self.middle = nn.Conv2d(width, width, 3, padding=1)
        self.up = nn.ModuleList(nn.Conv2d(2 * width, width, 3, padding=1) for _ in range(2))
        self.leave = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, noisy: Tensor, step: Tensor) -> Tensor:
        """Return the noise."""
        waves = torch.exp(torch.arange(8) * -1.2) * step[:, None]
        time = self.time(torch.cat([waves.sin(), waves.cos()], 1))[..., None, None]
        maps = [F.relu(self.enter(noisy) + time)]
        for down in self.down:
            maps.append(F.relu(down(maps[-1]) + time))
        found = F.relu(self.middle(maps.pop()) + time)
        for up in self.up:
            large = F.interpolate(found, scale_factor=2.0, mode="nearest")
            found = F.relu(up(torch.cat([large, maps.pop()], 1)) + time)
        told: Tensor = self.leave(found)
        return told


def kept(step: Tensor) -> Tensor:
    """Return how much of the picture's power is left at a step (cosine schedule)."""
    return torch.cos((step / STEPS + 0.008) / 1.008 * math.pi / 2).square().clamp(1e-4, 1)


def noised(clean: Tensor, step: Tensor, noise: Tensor) -> Tensor:
    """Return `clean` [N, C, H, W] with as much noise as belongs to each of the steps [N]."""
    part = kept(step)[:, None, None, None]
    return part.sqrt() * clean + (1 - part).sqrt() * noise


def denoised(denoiser: nn.Module, noisy: Tensor, begin: int, visits: int = 10) -> Tensor:
    """Return pictures without their noise, from step `begin` on by DDIM, without randomness."""
    steps = torch.linspace(begin, 0, visits + 1)
    for now, then in pairwise(steps):
        a, b = kept(now), kept(then)
        noise = denoiser(noisy, now.expand(len(noisy)))
        clean = ((noisy - (1 - a).sqrt() * noise) / a.sqrt()).clamp(-4, 4)
        noisy = b.sqrt() * clean + (1 - b).sqrt() * noise
    return noisy
