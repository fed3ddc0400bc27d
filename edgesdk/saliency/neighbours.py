"""Pictures near a picture: small moves in the latent space of an autoencoder of its kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgesdk.core.batches import in_batches
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.preprocess import resize_matrix
from edgesdk.core.shipped import open_bundle, shipped
from edgesdk.core.tensors import Array

TASK = "picture-neighbours"
SHIPPED = "neighbours-"


def shipped_kinds() -> list[str]:
    """Return the kinds of pictures whose neighbours a shipped model draws."""
    return [n.removeprefix(SHIPPED) for n in shipped() if n.startswith(SHIPPED)]


class Neighbours:
    """Draws pictures near others. A context manager.

    A neighbour is the picture itself plus what the move in latent space changes, so that its
    own detail, which no small autoencoder draws, stays as it is.

    Args:
        model: A kind such as "faces", a shipped name, or a bundle's folder.
        threads: Threads of the CPU.

    Attributes:
        bundle: What was opened.
        latent: Numbers of a code.

    Raises:
        UsageError: it is no bundle that draws neighbours.
    """

    def __init__(self, model: Bundle | Path | str, threads: int = 1) -> None:
        from edgesdk_runtimes._open import open_session

        kinds = shipped_kinds()
        self.bundle = _opened(model, kinds)
        if self.bundle.task != TASK or (len(self.bundle.inputs), len(self.bundle.outputs)) != (
            2,
            2,
        ):
            raise UsageError(
                f"bundle {self.bundle.path} is for {self.bundle.task!r} and draws no neighbours of "
                f"a picture. {did_you_mean(str(model), kinds)}"
            )
        self._session = open_session(self.bundle, threads=threads)
        self._image, self._noise = (spec.name for spec in self.bundle.inputs)
        self._picture, self._code = (spec.name for spec in self.bundle.outputs)
        self.latent = int(self.bundle.inputs[1].shape[1] or 0)

    def around(self, picture: Array, noise: Array) -> Array:
        """Return the neighbours uint8 [N, H, W, 3] whose codes lie `noise` [N, L] beside.

        Args:
            picture: HxWx3 uint8 RGB.
            noise: In the latent space; zero gives the picture.
        """
        moved = self.drawn(picture, np.concatenate([np.zeros_like(noise[:1]), noise]))
        change = enlarged(moved[1:] - moved[:1], picture.shape[:2])
        return np.asarray((picture + change).round().clip(0, 255), np.uint8)

    def drawn(self, picture: Array, noise: Array) -> Array:
        """Return the autoencoder's own pictures float32 [N, S, S, 3] on the scale of 0..255."""
        drawn = self._run(picture, noise)[self._picture].transpose(0, 2, 3, 1)
        return np.asarray(127.5 + 127.5 * drawn)

    def code(self, picture: Array) -> Array:
        """Return the picture's own code [L]."""
        return np.asarray(self._run(picture, np.zeros((1, self.latent)))[self._code][0])

    def _run(self, picture: Array, noise: Array) -> dict[str, Array]:
        image = self.bundle.preprocess[self._image]([picture])
        arrays = {
            self._image: np.repeat(image, len(noise), 0),
            self._noise: noise.astype(np.float32),
        }
        return in_batches(self._session.run, arrays, self.bundle.inputs[0].shape[0])

    def misfit(self, picture: Array) -> float:
        """Return how far the autoencoder's own picture lies off, root mean square of 0..255.

        Beside what shrinking alone loses: a large number says that the picture is of another
        kind, and that the map tells as much of the autoencoder as of the black box.
        """
        drawn = self.drawn(picture, np.zeros((1, self.latent)))[0]
        shrunk = enlarged(picture[None].astype(np.float32), drawn.shape[:2])[0]
        return float(np.sqrt(np.square(drawn - shrunk).mean()))

    def close(self) -> None:
        """Free the session; closing twice is allowed."""
        self._session.close()

    def __enter__(self) -> Neighbours:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _opened(model: Bundle | Path | str, kinds: Sequence[str]) -> Bundle:
    """Return the bundle behind a kind, a shipped name or a path."""
    if model in kinds:
        return open_bundle(f"{SHIPPED}{model}")
    if isinstance(model, str) and model not in shipped() and not Path(model).exists():
        raise UsageError(
            f"nothing draws neighbours of the kind {model!r}; name a kind or the folder of a "
            f"bundle that `edgesdk train relabel` led to. {did_you_mean(model, kinds)}"
        )
    return open_bundle(model)


def enlarged(pictures: Array, size: Sequence[int]) -> Array:
    """Return float pictures [N, H, W, 3] at another (height, width), without clipping."""
    rows, columns = (
        resize_matrix(old, new) for old, new in zip(pictures.shape[1:3], size, strict=True)
    )
    return np.asarray(np.einsum("ah,nhwc,bw->nabc", rows, pictures, columns, optimize=True))
