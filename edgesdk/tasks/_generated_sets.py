"""Real and generated pictures in folders that tell which they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from edgesdk.captions import Captions, captions_inside
from edgesdk.core.errors import UsageError
from edgesdk.core.files import canonical, sha256_bytes
from edgesdk.core.task import ModelInfo, Samples
from edgesdk.core.tensors import Array
from edgesdk.generated import Kind, kind_of
from edgesdk.picture_sets import Pictures
from edgesdk.tasks._detectors import detector_of


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
        said = [self.captions.of(name) for name in self.names] if len(self.captions) else []
        told = [[str(kind) for kind in self.kinds], content, *([said] if said else [])]
        return sha256_bytes(canonical(told))

    @cached_property
    def captions(self) -> Captions:
        """What the set says of its pictures."""
        return captions_inside(self.source)

    def __len__(self) -> int:
        return len(self.names)

    def hashes(self) -> set[str]:
        """Return the SHA-256 of every picture's file."""
        return {sha256_bytes(self.source.bytes(name)) for name in self.names}

    def samples(self, info: ModelInfo, count: int, seed: int) -> Samples:
        """Return inputs made of at most `count` pictures of the set."""
        return native_samples(info, self.source.path, count, seed)

    def read(self) -> Iterator[tuple[Array, list[str]]]:
        """Yield the pictures in order, HxWx3 uint8, with what is said of each."""
        for name in self.names:
            yield self.source.read(name), self.captions.of(name)


def read_sides(place: Path) -> LabelledSides:
    """Read a set whose folders are called real (nature, 0_real), soft and fake (ai, 1_fake).

    Raises:
        UsageError: one of the sides is missing, or pictures are damaged.
    """
    source = Pictures(place)
    told = [(n, k) for n in source.names if (k := kind_of(PurePosixPath(n).parent.as_posix()))]
    found = {kind.generated for _, kind in told}
    if found != {True, False}:
        raise UsageError(
            f"{place} needs real and generated pictures, in folders called real and fake (and "
            f"soft, for photos that tools worked on); found {len(told)} pictures in such folders"
        )
    names = tuple(name for name, _ in told)
    source.check(names, strict=True)
    return LabelledSides(source, names, tuple(kind for _, kind in told))


def native_samples(info: ModelInfo, place: Path, count: int, seed: int) -> Samples:
    """Return inputs of at most `count` pictures, chosen by the seed, as the model looks at them.

    Raises:
        UsageError: there is no picture that can be read, or a caption is missing.
    """
    pictures = Pictures(place)
    names = pictures.choose(count, seed)
    if not names:
        raise UsageError(
            f"calibration set {pictures.line()}; it holds no picture: give photos and others"
        )
    detector, random = detector_of(info), np.random.default_rng(seed)
    captions = detector.captions(None, [pictures])
    seen = [detector.sample(pictures.read(n), captions.of(n), random) for n in names]
    shown = [picture for picture, _ in seen]
    images = {name: how(shown) for name, how in info.preprocess.items()}
    others = {name: np.stack([more[name] for _, more in seen]) for name in seen[0][1]}
    return Samples(
        arrays={**images, **others},
        what=detector.told,
        pictures=tuple(shown),
        hashes=frozenset(pictures.hashes[name] for name in names),
        total=len(pictures),
        note=pictures.left_out(),
    )
