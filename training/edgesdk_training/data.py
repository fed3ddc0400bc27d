"""Readers of training pictures: folders and archives by identity, packs with embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.files import sha256_bytes, sha256_file
from edgesdk.core.preprocess import resize
from edgesdk.core.tensors import Array
from edgesdk.picture_sets import Pictures, Progress
from edgesdk.picture_sets.names import some
from edgesdk.picture_sets.people import people_of
from edgesdk.picture_sets.stores import open_store
from edgesdk_training.class_sets import holds_classes, read_class_set
from edgesdk_training.joint_space import FeatureSet, holds_features
from edgesdk_training.packs import PackDataset


class TreeDataset:
    """A folder or archive with one folder per identity: `identity/file.jpg`.

    `edgesdk.picture_sets` tells which files are pictures and whose. All are looked at first.

    Attributes:
        embeddings: None.
        name: What the licence and provenance speak of.
        folder: What a folder is called in the report.
        names: Relative names of all pictures.
        keys: Hash of each picture's file, [N].
        pictures: The set.

    Args:
        path: Folder or archive.
        strict: Refuse damaged pictures instead of leaving them out.
        progress: Called with (done, total, label).
    """

    embeddings = None
    folder = "person's folder"

    def __init__(self, path: Path, strict: bool = False, progress: Progress | None = None) -> None:
        self.name, self._path = path.name, path
        self.pictures = Pictures(path)
        self.pictures.check(strict=strict, progress=progress)
        self.names = self.pictures.names
        if not self.names:
            raise UsageError(
                f"{self.pictures.line()}; it holds no pictures: expected a folder per person or "
                "class inside"
            )
        self.keys = [self.pictures.hashes[name] for name in self.names]

    @cached_property
    def people(self) -> list[str]:
        """The persons' folders, [N]; "" for a picture in none of them.

        Raises:
            UsageError: there is no folder per person, or it cannot be told which folder is one.
        """
        return [owner or "" for owner in people_of(self.names, str(self._path))]

    @cached_property
    def identities(self) -> Array:
        """int64 [N], numbered by the persons' folders, -1 for a picture in none of them."""
        number = {person: i for i, person in enumerate(sorted({*self.people} - {""}))}
        return np.array([number.get(person, -1) for person in self.people], np.int64)

    @property
    def content(self) -> str:
        """Hash of all pictures; reads the whole set."""
        return content_hash(self._path)

    def report(self) -> dict[str, Any]:
        """Return what was read and what was left out, and the same as one "line"."""
        try:
            people = self.people
        except UsageError:  # what a recipe without people reads
            return {**self.pictures.report(), "line": self.pictures.line()}
        loose = [n for n, person in zip(self.names, people, strict=True) if not person]
        count = len({*people} - {""})
        told = f"; {len(loose):,} in no {self.folder} ({some(loose)})" if loose else ""
        words = ("person", "people") if "person" in self.folder else ("folder", "folders")
        line = self.pictures.line(count, *words) + told
        return {**self.pictures.report(), "people": count, "loose": loose, "line": line}

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Array:
        """Return picture `index`, HxWx3 uint8 RGB."""
        return self.pictures.read(self.names[index])


class SyntheticFaces:
    """Drawn faces with identities, for tests and first tries; no person's picture.

    Attributes:
        identities: int64 [N].
        embeddings: None.
        name: "synthetic".
    """

    embeddings = None
    name = "synthetic"

    def __init__(self, people: int = 24, each: int = 8, size: int = 48, seed: int = 0) -> None:
        from edgesdk.core.samples import synthetic_faces

        faces = synthetic_faces(people, seed, size)
        generator = np.random.default_rng(seed)
        self.identities = np.repeat(np.arange(people, dtype=np.int64), each)
        self.people = [str(i) for i in self.identities]
        self._faces = [self._vary(faces[i], generator) for i in self.identities]

    @staticmethod
    def _vary(face: Array, generator: np.random.Generator) -> Array:
        noise = generator.normal(generator.normal(0, 8), 6, face.shape)
        moved = np.roll(face, generator.integers(-1, 2, 2), (0, 1))
        return np.asarray(moved + noise).clip(0, 255).astype(np.uint8)

    def __len__(self) -> int:
        return len(self._faces)

    def __getitem__(self, index: int) -> Array:
        """Return picture `index`, HxWx3 uint8 RGB."""
        return self._faces[index]


def parts_of(dataset: Any) -> list[Any]:
    """Return the sets that one is joined of, itself where it is not."""
    found: list[Any] = getattr(dataset, "parts", [dataset])
    return found


class Joined:
    """Several sets as one; identities of different sets never meet.

    Attributes:
        embeddings: float32 [N, D]; NaN rows where a set brings none; None when none does.
        name: Names of the parts.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = list(parts)
        self._starts = np.cumsum([0, *map(len, self.parts)])
        self.embeddings = self._join_embeddings()
        self.name = " + ".join(p.name for p in self.parts)

    @cached_property
    def identities(self) -> Array:
        """int64 [N], -1 unknown."""
        labels, first = [], 0
        for part in self.parts:
            labels.append(np.where(part.identities < 0, -1, part.identities + first))
            first += int(part.identities.max(initial=-1)) + 1
        return np.concatenate(labels)

    def _join_embeddings(self) -> Array | None:
        widths = {p.embeddings.shape[1] for p in self.parts if p.embeddings is not None}
        if not widths:
            return None
        if len(widths) > 1:
            raise UsageError(f"the data sets bring embeddings of unlike lengths: {sorted(widths)}")
        empty = [np.full((len(p), *widths), np.nan, np.float32) for p in self.parts]
        return np.concatenate(
            [
                e if p.embeddings is None else p.embeddings
                for p, e in zip(self.parts, empty, strict=True)
            ]
        )

    @property
    def content(self) -> str | None:
        """Hashes of the parts, None where one has none."""
        contents = [getattr(p, "content", None) for p in self.parts]
        return None if None in contents else " ".join(map(str, contents))

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> Array:
        """Return picture `index`, HxWx3 uint8 RGB."""
        part = int(np.searchsorted(self._starts, index, "right")) - 1
        return np.asarray(self.parts[part][index - int(self._starts[part])])


def content_hash(path: Path) -> str:
    """Return a hash of all bytes of a set, of a folder with its files' names; "" for no file.

    What is hidden or the system's does not count: systems leave it behind.
    """
    try:
        if path.is_file():
            return sha256_file(path)
        raws = open_store(path).places if path.is_dir() else ()
        ordered = sorted(raws, key=lambda raw: raw.split("/"))
        told = "\n".join(f"{raw} {_file_hash(path / raw)}" for raw in ordered)
    except OSError as error:
        what = error.filename or path
        raise UsageError(f"{what} cannot be read ({error.strerror}); check its rights") from None
    return sha256_bytes(told.encode("utf-8", "surrogateescape")) if told else ""


def _file_hash(path: Path) -> str:
    try:
        return sha256_file(path)
    except PermissionError:
        return "unreadable"


def open_dataset(path: Path, strict: bool = False, progress: Progress | None = None) -> Any:
    """Return the reader that fits `path`; the word "synthetic" gives the drawn set.

    Args:
        path: Folder, archive, face pack or the word.
        strict: Refuse damaged pictures instead of leaving them out.
        progress: Called with (done, total, label).

    Raises:
        UsageError: nothing is there, or it is no picture set.
    """
    if str(path) == "synthetic":
        return SyntheticFaces()
    if path.suffix == ".npz" or path.name.endswith(".npz.xz"):
        if not path.is_file():
            raise UsageError(f"the set {path} does not exist; check the path")
        return _open_arrays(path)
    return TreeDataset(path, strict, progress)


def _open_arrays(path: Path) -> Any:
    if holds_features(path):
        return FeatureSet(path)
    return read_class_set(path) if holds_classes(path) else PackDataset(path)


def join(paths: Sequence[Path], strict: bool = False, progress: Progress | None = None) -> Any:
    """Return one data set out of several paths; see `open_dataset`."""
    parts = [open_dataset(p, strict, progress) for p in paths]
    return parts[0] if len(parts) == 1 else Joined(parts)


def reports(dataset: Any) -> list[dict[str, Any]]:
    """Return what was read of each folder or archive of a data set."""
    parts = parts_of(dataset)
    return [part.report() for part in parts if hasattr(part, "report")]


def people(dataset: Any) -> Array:
    """Return identities [N] by what the sets call a person; one name is one person in all sets.

    Numbers are compared as numbers (folder `00017` is number 17); -1 where no name is known.
    """
    names = [n for part in parts_of(dataset) for n in part.people]
    known = sorted({_plain(n) for n in names if n})
    number = {name: i for i, name in enumerate(known)}
    return np.array([number[_plain(n)] if n else -1 for n in names], np.int64)


def _plain(name: str) -> str:
    last = name.rsplit("/", 1)[-1]
    return str(int(last)) if last.isdigit() else last


class Chosen:
    """Some pictures of a set, as a set.

    Args:
        dataset: The set.
        places: Indices of its pictures [N].
    """

    def __init__(self, dataset: Any, places: Array) -> None:
        self._dataset, self._places = dataset, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Array:
        return np.asarray(self._dataset[int(self._places[index])])


def decode(dataset: Any, side: int, progress: Any) -> tuple[Array, Array]:
    """Return all pictures at one size, and the sides they had.

    Returns:
        uint8 [N, side, side, 3], shrunk by area or enlarged by cubic, and int64 [N].
    """
    pictures = np.empty((len(dataset), side, side, 3), np.uint8)
    sides = np.empty(len(dataset), np.int64)
    for index in range(len(dataset)):
        picture = dataset[index]
        sides[index] = min(picture.shape[:2])
        if picture.shape[:2] != (side, side):
            picture = resize(picture, (side, side)).round()
        pictures[index] = picture
        if index % 500 == 0 or index + 1 == len(dataset):
            progress(index + 1, len(dataset), "read pictures")
    return pictures, sides
