"""Embeddings of pictures, captions, objects and words: read from a file, or made up for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from edgesdk.core.arrays import npz_names, read_npz
from edgesdk.core.biometrics import unit
from edgesdk.core.errors import UsageError
from edgesdk.core.files import write_atomic
from edgesdk.core.tensors import Array, Arrays
from edgesdk.own_encoders import packed

NAMES = ("image", "caption", "objects", "words", "present")
CONCEPTS, WIDTH, MOST = 200, 128, 4
GAP, NOISE, SHIFT = 0.3, 1.0, 0.9
DIRECTIONS = 4


class Features:
    """Embeddings of pictures and of what is said of them.

    Attributes:
        name: Where they are from.
        arrays: Input name -> float32 array: image and caption [N, D], objects and words
            [N, K, D], present [N, K] (1 where a place holds an object).
        generated: bool [N].
        picture: int [N], equal for rows of one picture, which are held out together.
        told: [N] whose captions they are, "" where nobody knows.
        sources: Name -> hash of the encoders' files, as far as known.
    """

    identities = None
    embeddings = None

    def __init__(
        self,
        name: str,
        arrays: Arrays,
        generated: Array,
        picture: Array | None = None,
        told: Sequence[str] = (),
    ) -> None:
        self.name, self.generated = name, generated.astype(bool)
        self.arrays = {key: arrays[key].astype(np.float32) for key in NAMES}
        self.picture = np.arange(len(generated)) if picture is None else picture
        self.told = np.array(told or [""] * len(generated))
        self.sources: Mapping[str, str] = {}

    def __len__(self) -> int:
        return len(self.generated)

    def __getitem__(self, index: int) -> Array:
        """Return the features of one picture [2 + 2K, D]."""
        one = packed({name: array[index : index + 1] for name, array in self.arrays.items()})
        return np.asarray(one[0])

    def save(self, path: Path) -> Path:
        """Write what `FeatureSet` reads, and return the path."""
        stream = BytesIO()
        more = {"generated": self.generated, "picture": self.picture, "told": self.told}
        np.savez(stream, allow_pickle=False, **self.arrays, **more)
        write_atomic(path, stream.getvalue())
        return path


class FeatureSet(Features):
    """Features of an .npz file: the arrays of `Features` by name, and `generated`.

    `picture`, `told` and `companions` (file and hash of each encoder) may be left out.
    """

    def __init__(self, path: Path) -> None:
        try:
            found = read_npz(path)
        except (OSError, ValueError) as error:
            raise UsageError(f"features {path} cannot be read ({error})") from None
        missing = [name for name in NAMES if name not in found]
        if missing:
            raise UsageError(
                f"{path} lacks {', '.join(missing)}; features are the arrays {', '.join(NAMES)} "
                "and generated"
            )
        super().__init__(
            path.name, found, found["generated"], found.get("picture"),
            [str(word) for word in found.get("told", ())],
        )  # fmt: skip
        self.sources = _companions(found)
        self._check(path)

    def _check(self, path: Path) -> None:
        """Raise UsageError where the shapes do not fit each other."""
        shapes = {name: array.shape for name, array in self.arrays.items()}
        many = shapes["objects"]
        fits = len(many) == 3 and shapes == {
            "image": (many[0], many[2]),
            "caption": (many[0], many[2]),
            "objects": many,
            "words": many,
            "present": many[:2],
        }
        rows = {self.generated.shape, self.picture.shape, self.told.shape}
        if not fits or rows != {many[:1]}:
            raise UsageError(
                f"the arrays of {path} do not fit each other: {shapes}; expected image and "
                "caption [N, D], objects and words [N, K, D], present [N, K], generated [N]"
            )


def _companions(found: Arrays) -> dict[str, str]:
    """Return file -> hash of the encoders that a file of features names, one "file hash" each."""
    rows = [str(row).rsplit(" ", 1) for row in found.get("companions", np.array([])).ravel()]
    return {row[0]: row[-1] for row in rows}


def holds_features(path: Path) -> bool:
    """Tell whether an .npz file says of its items whether they were generated."""
    return "generated" in npz_names(path)


def made_up(count: int, seed: int, where: str = "whole", unseen: bool = False) -> dict[str, Array]:
    """Return features of pictures that nobody took, half of them "generated".

    A generator moves embeddings of pictures away from those of the text, each along directions
    of its own: in the whole picture or in one object. It tests code and logic and says nothing
    about real generators.

    Args:
        count: Number of pictures.
        seed: Decides everything but the space itself.
        where: "whole" or "object".
        unseen: Whether the generators are others than those of `unseen=False`.
    """
    space = np.random.default_rng(0)
    concepts = unit(space.normal(size=(CONCEPTS, WIDTH)))
    gap = GAP * unit(space.normal(size=(2, WIDTH)))
    directions = unit(space.normal(size=(2, DIRECTIONS, WIDTH)))[int(unseen)]
    random = np.random.default_rng(seed)
    generated = np.arange(count) % 2 == 1
    present = (np.arange(MOST) < random.integers(1, MOST + 1, (count, 1))).astype(np.float32)
    meant = concepts[random.integers(0, CONCEPTS, (count, MOST))] * present[..., None]
    move = SHIFT * directions[random.integers(0, DIRECTIONS, count)] * generated[:, None]
    touched = present if where == "whole" else np.eye(1, MOST).repeat(count, 0)

    def noise(*shape: int) -> Array:
        drawn: Array = random.normal(0, NOISE / WIDTH**0.5, (*shape, WIDTH))
        return drawn

    moved = meant + touched[..., None] * move[:, None]
    both = [x.sum(1) / present.sum(1, keepdims=True) for x in (moved, meant)]
    made = {
        "image": both[0] + gap[0] + noise(count),
        "caption": both[1] + gap[1] + noise(count) / 2,
        "objects": moved + gap[0] + noise(count, MOST),
        "words": meant + gap[1] + noise(count, MOST) / 4,
    }
    lengths = {name: np.linalg.norm(a, axis=-1, keepdims=True) for name, a in made.items()}
    found = {name: (a / lengths[name]).astype(np.float32) for name, a in made.items()}
    return {**found, "present": present, "generated": generated}
