"""Small pictures with classes in one file: arrays as MNIST has them, or encoded as one blob."""

from __future__ import annotations

import lzma
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.arrays import npz_names, read_npz
from edgesdk.core.errors import UsageError
from edgesdk.core.files import sha256_file
from edgesdk.core.tensors import Array
from edgesdk.images import read_image

TRAIN, TEST = 0, 1
ARRAYS = ("x_train", "y_train")
BLOB = ("blob", "offsets", "labels")
MIDDLE = 127
LARGEST = 2**31  # bytes of a set after unpacking


@dataclass(frozen=True)
class ClassSet:
    """Pictures of known classes.

    Attributes:
        name: The file's name.
        path: Where it lies.
        classes: Names of the classes.
        labels: int64 [N], a class per picture.
        split: uint8 [N], 1 for the pictures that the set keeps for tests.
        pictures: Picture or encoded bytes by number.
    """

    name: str
    path: Path
    classes: tuple[str, ...]
    labels: Array
    split: Array
    pictures: Any = field(repr=False)

    embeddings = None

    @property
    def identities(self) -> Array:
        """int64 [N]: the classes."""
        return self.labels

    @property
    def people(self) -> list[str]:
        """The name of each picture's class, [N]."""
        return [self.classes[label] for label in self.labels]

    @property
    def content(self) -> str:
        """Hash of the file."""
        return sha256_file(self.path)

    def report(self) -> dict[str, Any]:
        """Return what was read, and the same as one "line"."""
        tests = int((self.split == TEST).sum())
        count, classes = len(self), len(np.unique(self.labels))
        line = f"{self.path}: {count:,} pictures of {classes} classes, {tests:,} kept for tests"
        return {"path": str(self.path), "pictures": count, "classes": classes, "line": line}

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Array:
        """Return picture `index`, HxWx3 uint8 RGB."""
        return np.asarray(self.pictures(int(index)))


def holds_classes(path: Path) -> bool:
    """Tell whether a file is one of those that `read_class_set` reads."""
    names = npz_names(path)
    blob = names.issuperset(BLOB) and "identity" not in names
    # With some of the arrays of a set of classes it is one that lacks something.
    return path.suffix == ".xz" or blob or not names.isdisjoint((*ARRAYS, "x_test", "y_test"))


def read_class_set(path: Path) -> ClassSet:
    """Read an .npz, or one packed as .npz.xz.

    Arrays are `x_train`, `y_train` and, for tests, `x_test`, `y_test`: greys [N, H, W] or RGB
    [N, H, W, 3], whatever number is white, one for both; or `blob`, `offsets`, `labels`, and
    optionally `split` (1 for tests) and `classes`: encoded pictures, one after the other.

    Raises:
        UsageError: the file cannot be read, or its arrays disagree.
    """
    try:
        found = _arrays(path)
        return _of_blob(path, found) if "blob" in found else _of_arrays(path, found)
    except (OSError, EOFError, ValueError, KeyError, IndexError, lzma.LZMAError) as error:
        raise UsageError(
            f"{path} is no set of pictures with classes ({error}); expected the arrays "
            f"{', '.join(ARRAYS)}, or {', '.join(BLOB)}"
        ) from None


def _arrays(path: Path) -> dict[str, Array]:
    if path.suffix != ".xz":
        return read_npz(path)
    with lzma.open(path) as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it unpacks to more than {LARGEST >> 20} MiB")
    return read_npz(data)


def _of_arrays(path: Path, found: dict[str, Array]) -> ClassSet:
    parts = ["train", *["test"] * ("x_test" in found or "y_test" in found)]
    if absent := [
        name for part in parts for axis in "xy" if (name := f"{axis}_{part}") not in found
    ]:
        raise ValueError(f"it lacks {absent[0]}")
    for name in (f"y_{part}" for part in parts):
        if found[name].size != len(found[name]):
            raise ValueError(f"{name} has the shape {found[name].shape}, and should be [N]")
    given = [found[f"x_{part}"] for part in parts]
    images = [_rgb(part, _white(part.dtype, given)) for part in given]
    if len({part.shape[1:] for part in images}) > 1:
        raise ValueError("its pictures for tests are of another size")
    pictures = np.concatenate(images)
    labels = np.concatenate([found[f"y_{part}"].reshape(-1) for part in parts])
    split = np.repeat([TRAIN, TEST][: len(parts)], [len(found[f"x_{part}"]) for part in parts])
    return _checked(path, labels, split, (), len(pictures), pictures.__getitem__)


def _white(kind: np.dtype[Any], pictures: Sequence[Array]) -> float:
    """Return the number that is white in all pictures of a kind: of bytes 255, else the largest.

    Bytes may stand for few levels, such as 0 to 16; where none is above the middle they do.
    """
    white = max((float(p.max()) for p in pictures if p.dtype == kind and p.size), default=0.0)
    return 255.0 if kind == np.uint8 and white > MIDDLE else white


def _rgb(pictures: Array, white: float) -> Array:
    """Return uint8 [N, H, W, 3] of greys or colours."""
    if pictures.dtype.kind not in "uif" or pictures.ndim not in (3, 4) or not pictures.size:
        raise ValueError(f"pictures are {pictures.dtype} of shape {pictures.shape}")
    if pictures.ndim == 4 and pictures.shape[3] not in (1, 3):
        raise ValueError(
            f"pictures of {pictures.shape[3]} colours, for their shape is {pictures.shape}, and "
            "should be [N, H, W] or [N, H, W, 3]"
        )
    low = float(pictures.min())
    if not (0 <= low <= white and 0 < white < np.inf):
        raise ValueError(f"pictures hold numbers from {low} to {white}")
    grey = pictures if white == 255 else (pictures * (255 / white)).round()
    shaped = grey.astype(np.uint8).reshape(*pictures.shape[:3], -1)
    return np.broadcast_to(shaped, (*pictures.shape[:3], 3))


def _of_blob(path: Path, found: dict[str, Array]) -> ClassSet:
    blob, offsets = found["blob"], found["offsets"].astype(np.int64)
    if blob.dtype != np.uint8 or offsets[0] < 0 or offsets[-1] > len(blob):
        raise ValueError("its offsets lie outside of its blob")
    if (np.diff(offsets) <= 0).any():
        raise ValueError("its offsets do not rise")
    split = found.get("split", np.zeros(len(offsets) - 1, np.uint8))

    def picture(index: int) -> Array:
        return read_image(blob[offsets[index] : offsets[index + 1]].tobytes())

    names = tuple(map(str, found.get("classes", np.array([]))))
    return _checked(path, found["labels"], split, names, len(offsets) - 1, picture)


def _checked(
    path: Path, labels: Array, split: Array, names: tuple[str, ...], count: int, pictures: Any
) -> ClassSet:
    if labels.dtype.kind not in "ui":
        raise ValueError(f"labels are {labels.dtype}, and should be whole numbers")
    if len(labels) != count or len(split) != count or not count:
        raise ValueError("its arrays disagree on the number of pictures")
    known = len(names) or int(labels.max()) + 1
    if labels.min() < 0 or labels.max() >= known or known > 65_536:
        raise ValueError(f"labels from {labels.min()} to {labels.max()} of {known} classes")
    classes = names or tuple(map(str, range(known)))
    return ClassSet(path.name, path, classes, labels.astype(np.int64), split, pictures)
