"""Several generators of one family, each made in another way.

A detector that is taught on one network per family learns that network: on a second draw of the
same family it may find nothing. So each draw changes what people change: widths, latent sizes,
codebooks, kernels, losses, how long it was taught, and whether the up-sampling ends the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.tensors import Array
from edgesdk_training.fakes import Redrawer

if TYPE_CHECKING:
    from edgesdk_training.nets.generators import Family

WIDTHS, LATENTS, CODES = (0.67, 1.0, 1.34), (0.5, 1.0, 2.0), (64, 128, 256, 512, 1024)
KERNELS = (2, 3, 4, 5, 6)
SHARP = {True: (0.0, 0.03, 0.1), False: (0.0, 0.0, 0.03)}
RIVALS, NOISES = (0.02, 0.05, 0.1), (0.5, 1.5)


class Draws:
    """Generators of one family, of which each photo gets one by chance.

    Args:
        family: Which kind.
        photos: uint8 RGB, each at least 48 px a side.
        seed: Decides how each is made, its weights and its crops.
        steps: Of the longest training; each draw takes a tenth to all of it.
        count: How many.
    """

    def __init__(
        self, family: Family, photos: Sequence[Array], seed: int, steps: int, count: int
    ) -> None:
        self._random = np.random.default_rng(seed)
        self._redrawers = []
        self.about: list[dict[str, Any]] = []
        for number in range(count):
            drawn = varied(family, self._random)
            taught = max(2, round(steps * 10 ** -self._random.uniform(0, 1)))
            self._redrawers.append(Redrawer(drawn, photos, 100 * seed + number, taught))
            self.about.append(asdict(drawn) | {"steps": taught})

    def __call__(self, photo: Array) -> Array:
        """Return the photo drawn again by one of them, uint8 HxWx3."""
        return self._redrawers[self._random.integers(len(self._redrawers))](photo)


def varied(family: Family, random: np.random.Generator) -> Family:
    """Return a family made in another way; how it enlarges a picture stays what it is."""
    changed = replace(
        family,
        square=bool(random.random() < 0.5),
        sharp=float(random.choice(SHARP[family.sharp > 0])),
        rival=float(random.choice(RIVALS)) if family.rival else 0.0,
        noise=family.noise * float(random.uniform(*NOISES)),
    )
    if not family.up:
        return changed
    if family.jump == 1 and family.halvings < 3 and not family.noise:
        halvings = int(random.choice((1, 2) if family.shrunk else (2, 2, 3)))
        changed = replace(changed, halvings=halvings, latent=family.latent * (halvings // 3 + 1))
    return replace(
        changed,
        width=float(random.choice(WIDTHS)),
        latent=max(4, round(changed.latent * float(random.choice(LATENTS)))),
        codes=int(random.choice(CODES)) if family.codes else 0,
        kernel=int(random.choice(KERNELS)) if family.up == "tconv" else 0,
        ends=bool(random.random() < 0.4),
        given=not family.shrunk,
    )
