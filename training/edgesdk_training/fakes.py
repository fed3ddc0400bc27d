"""Controlled fakes: the same photos again, as the last stage of a generator would draw them.

A detector that is taught on photos against generated pictures learns what they show. Here both
sides show the same: every fake is a photo that a small generator draws again. Beside them lie
photos that are only soft or worked on (resized, denoised, compressed): no fakes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.tensors import Array
from edgesdk_training.soft import KERNELS, SOFT, camera, middle

if TYPE_CHECKING:
    from torch import Tensor

    from edgesdk_training.nets.generators import Family

# Side and number of the crops that generators are taught on.
CROP, BATCH, RATE = 48, 16, 2e-3
SEEN = 6  # batches that a given encoder is computed from
Redraw = Callable[[Array], Array]
CAMERAS = 0.4  # part of the photos that a drawn camera takes again


def clean_photo(picture: Array, random: np.random.Generator) -> Array | None:
    """Return a photo without the traces of its file: shrunk by chance, its middle kept.

    Shrinking hides the blocks of JPEG, which every redrawing would take away: they would give
    the real side away. Shrunk photos are sharper than what cameras write, whose colours are
    interpolated; so some pass a drawn camera (`soft.camera`), before anything redraws them.

    Args:
        picture: HxWx3 uint8 RGB.
        random: Chooses size and kernel.

    Returns:
        uint8 RGB of at most 128 px a side, multiples of 16; None where it is too small.
    """
    from PIL import Image

    height, width = picture.shape[:2]
    short = min(height, width)
    if short < 96:
        return None
    part = random.uniform(min(80, 0.6 * short), min(0.85 * short, 256)) / short
    size = max(1, round(width * part)), max(1, round(height * part))
    kernel = Image.Resampling[str(random.choice(KERNELS))]
    shrunk = np.asarray(Image.fromarray(picture).resize(size, kernel))
    return middle(camera(shrunk, random) if random.random() < CAMERAS else shrunk)


class Redrawer:
    """One generator, taught on the photos that it shall draw again.

    Args:
        family: Which kind.
        photos: uint8 RGB, each at least 48 px a side.
        seed: Decides weights and crops.
        steps: Of its training.
        progress: (done, steps).
    """

    def __init__(
        self,
        family: Family,
        photos: Sequence[Array],
        seed: int = 0,
        steps: int = 400,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        import torch

        from edgesdk_training.nets.generators import Autoencoder, Denoiser

        torch.manual_seed(seed)
        self._family, self._photos = family, photos
        self._random = np.random.default_rng(seed)
        self._rival = _Rival() if family.rival else None
        self._coder = (
            Autoencoder(family).to(memory_format=torch.channels_last) if family.up else None
        )
        if self._coder is not None and family.given:
            self._coder.settle(torch.cat([self._crops() for _ in range(SEEN)]))
        if self._coder is not None:
            self._fit(self._coder, self._drawing_loss, steps, progress)
        self._scale = self._spread() if self._coder is not None else 0.5
        channels = family.latent if family.up else 3
        self._denoiser = Denoiser(channels) if family.noise else None
        if self._denoiser is not None:
            self._fit(self._denoiser, self._noise_loss, 2 * steps, progress)

    def __call__(self, photo: Array) -> Array:
        """Return the photo drawn again, uint8 HxWx3; sides are multiples of 16."""
        import torch

        with torch.inference_mode():
            drawn = self._draw(_tensor([photo]))[0]
        values = (drawn.clamp(-1, 1) + 1) * 127.5
        return np.asarray(values.round().byte().movedim(0, -1).numpy())

    def _draw(self, image: Tensor) -> Tensor:
        if self._coder is None:
            return self._diffused(image)
        if self._denoiser is None:
            drawn: Tensor = self._coder(image)[0]
            return drawn
        latent: Tensor = self._coder.decoder(self._diffused(self._coder.encoder(image)))
        return latent

    def _diffused(self, clean: Tensor) -> Tensor:
        """Return what diffusion makes of a picture or latent: noise on, noise off."""
        import torch

        from edgesdk_training.nets.generators import STEPS, denoised, noised

        assert self._denoiser is not None
        begin = round(self._family.noise * STEPS)
        noise = torch.from_numpy(self._random.normal(size=clean.shape).astype(np.float32))
        noisy = noised(clean / self._scale, torch.tensor([float(begin)]), noise)
        return denoised(self._denoiser, noisy, begin) * self._scale

    def _crops(self) -> Tensor:
        chosen = self._random.integers(0, len(self._photos), BATCH)
        crops = []
        for photo in (self._photos[i] for i in chosen):
            top, left = (int(self._random.integers(0, n - CROP + 1)) for n in photo.shape[:2])
            crops.append(photo[top : top + CROP, left : left + CROP])
        return _tensor(crops)

    def _drawing_loss(self, coder: Any, image: Tensor) -> Tensor:
        drawn, loss = coder(image)
        apart = drawn - image
        # Squares are worth less at this size: four of them are about one absolute difference.
        loss = loss + (4 * apart.square().mean() if self._family.square else apart.abs().mean())
        if self._family.sharp:
            lacking = _log_power(drawn) - _log_power(image)
            loss = loss + self._family.sharp * lacking.abs().mean()
        if self._rival is not None:
            loss = loss + self._family.rival * self._rival(image, drawn)
        return loss

    def _noise_loss(self, denoiser: Any, image: Tensor) -> Tensor:
        import torch

        from edgesdk_training.nets.generators import STEPS, noised

        with torch.no_grad():
            clean = image if self._coder is None else self._coder.encoder(image)
        step = torch.rand(len(clean)) * self._family.noise * STEPS * 1.2
        noise = torch.randn_like(clean)
        told = denoiser(noised(clean / self._scale, step, noise), step)
        loss: Tensor = (told - noise).square().mean()
        return loss

    def _spread(self) -> float:
        import torch

        assert self._coder is not None
        with torch.no_grad():
            return float(self._coder.encoder(self._crops()).std())

    def _fit(self, module: Any, loss: Any, steps: int, progress: Any) -> None:
        import torch

        # A decoder that learns alone bears more.
        rate = RATE * (2.5 if module is self._coder and self._family.given else 1)
        optimiser = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=max(steps, 2))
        for step in range(steps):
            value = loss(module, self._crops())
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            schedule.step()
            progress(step + 1, steps)


class _Rival:
    """A critic that learns beside its generator (hinge loss)."""

    def __init__(self) -> None:
        import torch

        from edgesdk_training.nets.generators import Critic

        self._critic = Critic()
        self._optimiser = torch.optim.Adam(self._critic.parameters(), RATE / 4, (0.5, 0.99))

    def __call__(self, image: Tensor, drawn: Tensor) -> Tensor:
        """Learn from a batch of both, then return what the drawn one lacks in its eyes."""
        right, wrong = self._critic(image), self._critic(drawn.detach())
        loss = (1 - right).relu().mean() + (1 + wrong).relu().mean()
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        lacking: Tensor = -self._critic(drawn).mean()
        return lacking


def _tensor(pictures: Sequence[Array]) -> Tensor:
    import torch

    batch = torch.from_numpy(np.stack(pictures)).movedim(-1, 1).float() / 127.5 - 1
    return batch.contiguous(memory_format=torch.channels_last)


def _log_power(image: Tensor) -> Tensor:
    """Return the mean spectrum of a batch in log, so that textures need not lie in place."""
    import torch

    return (torch.fft.rfft2(image).abs().square().mean((0, 1)) + 1e-2).log()


def variants(
    photo: Array, redrawers: Mapping[str, Redraw], random: np.random.Generator, share: float
) -> Iterator[tuple[str, Array]]:
    """Yield (folder, picture): the photo as `real`, some of `soft/KIND` and of `fake/FAMILY`.

    Args:
        photo: From `clean_photo`.
        redrawers: Family -> its generator.
        random: Chooses which kinds this photo gets.
        share: Part of the kinds that each photo gets, 0..1.
    """
    yield "real", photo
    for kind, work in SOFT.items():
        if random.random() < share:
            yield f"soft/{kind}", work(photo, random)
    for family, redraw in redrawers.items():
        if random.random() < share:
            yield f"fake/{family}", redraw(photo)
