"""Real and generated pictures in folders that tell which they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.files import canonical, sha256_bytes
from edgesdk.core.task import ModelInfo, Samples, picture_inputs
from edgesdk.core.tensors import Array
from edgesdk.generated import Kind, kind_of, mirrored_to
from edgesdk.picture_sets import Pictures


@dataclass(frozen=True)
class LabelledSides:
    """Pictures with what each is.

    Attributes:
        source: The folder or archive.
        names: Names of the files.
        kinds: What each is: real, soft or fake.
    """

    source: Pictures
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    counted: str = "pictures"

    @property
    def name(self) -> str:
        """Name of the folder or archive."""
        return self.source.path.stem

    @cached_property
    def generated(self) -> Array:
        """bool [N]: which were generated."""
        return np.array([kind.generated for kind in self.kinds])

    @cached_property
    def sha256(self) -> str:
        """Hash over the sides and the content of every picture."""
        content = [sha256_bytes(self.source.bytes(name)) for name in self.names]
        return sha256_bytes(canonical([[str(kind) for kind in self.kinds], content]))

    def __len__(self) -> int:
        return len(self.names)

    def hashes(self) -> set[str]:
        """Return the SHA-256 of every picture's file."""
        return {sha256_bytes(self.source.bytes(name)) for name in self.names}

    def samples(self, info: ModelInfo, count: int, seed: int) -> Samples:
        """Return inputs made of at most `count` pictures of the set."""
        return native_samples(info, self.source.path, count, seed)

    def read(self) -> Iterator[Array]:
        """Yield the pictures in order, HxWx3 uint8."""
        return map(self.source.read, self.names)


def read_sides(place: Path) -> LabelledSides:
    """Read a set whose folders are called real (nature, 0_real), soft and fake (ai, 1_fake).

    Raises:
        UsageError: one of the sides is missing.
    """
    source = Pictures(place)
    told = [(n, k) for n in source.names if (k := kind_of(PurePosixPath(n).parent.as_posix()))]
    found = {kind.generated for _, kind in told}
    if found != {True, False}:
        raise UsageError(
            f"{place} needs real and generated pictures, in folders called real and fake (and "
            f"soft, for photos that tools worked on); found {len(told)} pictures in such folders"
        )
    return LabelledSides(source, tuple(n for n, _ in told), tuple(k for _, k in told))


def native_samples(info: ModelInfo, place: Path, count: int, seed: int) -> Samples:
    """Return one native crop of each of at most `count` pictures, chosen by the seed.

    Raises:
        UsageError: there is no picture, or one cannot be read.
    """
    pictures = Pictures(place)
    if not pictures.names:
        raise UsageError(f"calibration set {place} holds no picture; give photos and others")
    random = np.random.default_rng(seed)
    chosen = sorted(random.permutation(len(pictures.names))[:count])
    names = [pictures.names[i] for i in chosen]
    side = info.preprocess[info.inputs[0].name].size[0] if info.preprocess else 0
    cut = [_crop(pictures.read(name), side, random) for name in names]
    return Samples(
        arrays=picture_inputs(info, cut),
        what="crops of pictures",
        pictures=tuple(cut),
        hashes=frozenset(sha256_bytes(pictures.bytes(name)) for name in names),
        total=len(pictures.names),
    )


def _crop(picture: Array, side: int, random: np.random.Generator) -> Array:
    picture = mirrored_to(picture, side)
    top, left = (int(random.integers(0, n - side + 1)) for n in picture.shape[:2])
    return picture[top : top + side, left : left + side]
