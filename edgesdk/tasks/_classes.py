"""Pictures with the name of their class: a folder per class, or a list."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.files import canonical, sha256_bytes
from edgesdk.core.notes import note
from edgesdk.core.task import ModelInfo, Samples, picture_inputs
from edgesdk.core.tensors import Array
from edgesdk.picture_sets import Pictures
from edgesdk.picture_sets.people import inner_folders
from edgesdk.videos import films

LIST = "labels.csv"


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures with their classes.

    Attributes:
        path: Where they were read from.
        source: The folder or archive.
        pictures: Names of the files.
        labels: Class of each.
    """

    path: Path
    source: Pictures
    pictures: tuple[str, ...]
    labels: tuple[str, ...]
    counted: str = "pictures"

    @property
    def name(self) -> str:
        """Name of the folder or archive."""
        return self.path.stem

    @cached_property
    def sha256(self) -> str:
        """Hash over the classes and the content of every picture."""
        content = [sha256_bytes(self.source.bytes(name)) for name in self.pictures]
        return sha256_bytes(canonical([list(self.labels), content]))

    def __len__(self) -> int:
        return len(self.pictures)

    def hashes(self) -> set[str]:
        """Return the SHA-256 of every picture's file."""
        return {sha256_bytes(self.source.bytes(name)) for name in self.pictures}

    def samples(self, info: ModelInfo, count: int, seed: int) -> Samples:
        """Return inputs made of at most `count` pictures of the set."""
        order = np.random.default_rng(seed).permutation(len(self))[:count]
        read = [self.source.read(self.pictures[i]) for i in order]
        return Samples(arrays=picture_inputs(info, read), what="pictures of the set")

    def blocks(self, size: int) -> Iterator[list[Array]]:
        """Yield the pictures in order, at most `size` at a time."""
        for start in range(0, len(self), size):
            yield [self.source.read(name) for name in self.pictures[start : start + size]]

    def numbers(self, info: ModelInfo) -> Array:
        """Return int64 [N]: the place of each picture's class among the model's outputs.

        Without labels in the model, its outputs are the set's classes in the order of their names.

        Raises:
            UsageError: a class is unknown to the model, or their numbers differ.
        """
        known = info.labels or tuple(sorted(set(self.labels)))
        classes = info.outputs[0].shape[-1]
        if not info.labels and classes != len(known):
            raise UsageError(
                f"{self.path} has {len(known)} classes and {info.model} gives {classes} scores "
                "without labels; give a set with all classes, or the model its labels"
            )
        place = {label: number for number, label in enumerate(known)}
        for label in set(self.labels) - set(place):
            raise UsageError(
                f"{self.path} has the class {label!r}, which {info.model} does not know. "
                f"{did_you_mean(label, known)}"
            )
        return np.array([place[label] for label in self.labels], np.int64)


def read_labelled(place: Path) -> LabelledPictures:
    """Read pictures with classes.

    Args:
        place: A folder or tar archive with a folder per class or with labels.csv, or such a
            list itself with the pictures beside it. Its lines are path,label; a first line
            `path,label` is passed over.

    Raises:
        UsageError: there are no pictures, some are damaged, or a line or name makes no sense.
    """
    alone = place.suffix.lower() == ".csv" and place.is_file()
    source = Pictures(place.parent if alone else place)
    listed = place.name if alone else LIST if LIST in source else None
    rows = _listed(source, listed, place) if listed else _foldered(source, place)
    source.check([picture for picture, _ in rows], strict=True)
    return LabelledPictures(place, source, tuple(p for p, _ in rows), tuple(c for _, c in rows))


def _foldered(source: Pictures, place: Path) -> list[tuple[str, str]]:
    folders = list(zip(source.names, inner_folders(source.names), strict=True))
    loose = [name for name, folder in folders if not folder]
    rows = [(name, folder[0]) for name, folder in folders if folder]
    if loose or not rows:
        found = f"{len(loose)} pictures outside of any folder" if loose else "no picture"
        raise UsageError(
            f"{place} holds {found}; give a folder per class, or a {LIST} with lines path,label"
        )
    return rows


def _listed(source: Pictures, name: str, place: Path) -> list[tuple[str, str]]:
    try:
        lines = source.bytes(name).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"{place}: {name} is not UTF-8 text; save it as UTF-8") from None
    rows, pictures = [], set(source.names)
    for number, words in enumerate(csv.reader(lines), 1):
        if not words or (number == 1 and words == ["path", "label"]):
            continue
        if len(words) != 2 or not all(word.strip() for word in words):
            raise UsageError(f"{place}: {name}, line {number} is not path,label: {words}")
        path, label = (word.strip() for word in words)
        picture = source.find(path)
        if picture not in pictures:
            raise UsageError(f"{place} lacks the picture {path!r} of {name}, line {number}")
        rows.append((str(picture), label))
    if not rows:
        raise UsageError(f"{place}: {name} lists no picture")
    return rows


def picture_files(given: Sequence[Path], with_films: bool = False) -> list[Path]:
    """Return pictures as named, those of folders in the order of their names.

    Args:
        given: Pictures and folders.
        with_films: Whether the videos of a folder belong to it.
    """
    files: list[Path] = []
    for path in given:
        files += _inside(Pictures(path), with_films) if path.is_dir() else [path]
    return files


def _inside(found: Pictures, with_films: bool) -> list[Path]:
    """Return a folder's pictures, with its videos where these belong to it, and tell of them."""
    moving = films(found) if with_films else []
    found.skipped = [one for one in found.skipped if one.name not in moving]
    told = f"; {len(moving):,} {'video' if len(moving) == 1 else 'videos'}" if moving else ""
    note(found.line() + told)
    return [found.file(name) for name in sorted([*found.names, *moving])]
