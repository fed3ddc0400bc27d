"""Photos with the truth about their faces, and how well detections agree with it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.boxes import Detection
from edgesdk.core.errors import UsageError
from edgesdk.core.files import canonical, sha256_bytes
from edgesdk.core.preprocess import FARTHEST, check_picture
from edgesdk.core.task import ModelInfo, Samples, picture_inputs
from edgesdk.core.tensors import Array
from edgesdk.picture_sets import Pictures

LIST = "faces.json"
SIZES = (4, 14)  # numbers of a face: its box alone, or five points x, y as well
SAME = 0.5  # intersection over union from which a box is that of a face


@dataclass(frozen=True)
class FacePhotos:
    """Photos with their faces.

    Attributes:
        source: The folder or archive.
        names: Names of the photos.
        faces: For each photo float [K, 14]: box and points in pixels; points may be NaN.
    """

    source: Pictures
    names: tuple[str, ...]
    faces: tuple[Array, ...]
    counted: str = "pictures"

    @property
    def name(self) -> str:
        """Name of the folder or archive."""
        return self.source.path.stem

    @cached_property
    def sha256(self) -> str:
        """Hash over the faces and the content of every photo."""
        content = [sha256_bytes(self.source.bytes(name)) for name in self.names]
        told = [[repr(float(v)) for v in rows.ravel()] for rows in self.faces]
        return sha256_bytes(canonical([content, told]))

    def __len__(self) -> int:
        return len(self.names)

    def hashes(self) -> set[str]:
        """Return the SHA-256 of every photo's file."""
        return {sha256_bytes(self.source.bytes(name)) for name in self.names}

    def samples(self, info: ModelInfo, count: int, seed: int) -> Samples:
        """Return inputs made of at most `count` photos of the set."""
        order = np.random.default_rng(seed).permutation(len(self))[:count]
        read = [squared(self.source.read(self.names[i])) for i in order]
        return Samples(arrays=picture_inputs(info, read), what="photos of the set")


def read_faces(place: Path) -> FacePhotos:
    """Read a folder or archive with `faces.json`: picture -> faces of 4 or 14 numbers each.

    The numbers are x, y, width and height of the box in pixels, then x and y of the eyes, the nose
    and the mouth corners, the picture's left first.

    Raises:
        UsageError: there is no such list, it does not fit the pictures, or one is damaged.
    """
    source = Pictures(place)
    if LIST not in source:
        raise UsageError(
            f'{place} holds no {LIST}; write one beside the pictures: {{"a.jpg": [[x, y, width, '
            "height, …]]}, with the ten numbers of five points behind each box, or none"
        )
    try:
        told = json.loads(source.bytes(LIST))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place}: {LIST} is no JSON ({error})") from None
    if not isinstance(told, dict) or not told:
        raise UsageError(
            f"{place}: {LIST} must be a table of pictures, found {type(told).__name__}"
        )
    places = {name: source.find(name) for name in told}
    missing = [name for name, found in places.items() if found is None]
    if missing:
        raise UsageError(f"{place}: {LIST} names {missing[0]!r}, which is not there")
    rows = {str(places[name]): _rows(place, name, told[name]) for name in told}
    names = tuple(sorted(rows))
    faces = tuple(rows[name] for name in names)
    source.check(names, strict=True)
    return FacePhotos(source, names, faces)


def _rows(place: Path, name: str, told: Any) -> Array:
    rows = np.full((len(told) if isinstance(told, list) else 0, 14), np.nan)
    try:
        for row, face in zip(rows, told, strict=True):
            if any(type(number) not in (int, float) for number in face):
                raise ValueError(f"a face is {face!r}")
            numbers = np.asarray(face, np.float64)
            if (
                numbers.shape not in [(n,) for n in SIZES]
                or not (np.abs(numbers) <= FARTHEST).all()
            ):
                raise ValueError(f"a face is {face!r}")
            if min(numbers[2:4]) <= 0:
                raise ValueError(f"a box is {face[:4]!r}")
            row[: len(numbers)] = numbers
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            f"{place}: {LIST}: {name!r}: a face is 4 or 14 numbers of pixels ({str(error)[:99]})"
        ) from None
    return rows


def squared(picture: Array) -> Array:
    """Return a picture in the upper left of a black square, for networks of one size."""
    height, width = check_picture(picture).shape[:2]
    whole = np.zeros((max(height, width),) * 2 + (3,), np.uint8)
    whole[:height, :width] = picture
    return whole


@dataclass(frozen=True, slots=True)
class Agreement:
    """Detections of one photo against its faces, surest first.

    Attributes:
        scores: Of each detection [D].
        right: Whether it is the first one of a face [D].
        face: Number of that face, -1 for none [D].
        errors: Mean distance of the five points in parts of the eyes' distance, NaN [D].
        faces: Number of faces.
    """

    scores: Array
    right: Array
    face: Array
    errors: Array
    faces: int


def agree(found: Sequence[Detection], faces: Array, same: float = SAME) -> Agreement:
    """Match detections with faces [K, 14], the surest first; a face counts once."""
    taken, face, errors = set[int](), [], []
    for one in sorted(found, key=lambda one: -one.score):
        shares = [overlap(one.box, row[:4]) if k not in taken else 0.0
                  for k, row in enumerate(faces)]  # fmt: skip
        best = int(np.argmax(shares)) if len(shares) else -1
        hit = best >= 0 and shares[best] >= same
        taken |= {best} if hit else set()
        face.append(best if hit else -1)
        errors.append(_apart(one.points, faces[best, 4:]) if hit else np.nan)
    number = np.array(face, int).reshape(-1)
    scores = np.sort(np.array([one.score for one in found], float))[::-1]
    return Agreement(scores, number >= 0, number, np.array(errors, float), len(faces))


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Return intersection over union of two boxes x, y, width, height."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = one, other
    wide, high = min(ax + aw, bx + bw) - max(ax, bx), min(ay + ah, by + bh) - max(ay, by)
    common = max(wide, 0.0) * max(high, 0.0)
    return float(common / max(aw * ah + bw * bh - common, 1e-9))


def _apart(points: Array, truth: Array) -> float:
    there = truth.reshape(5, 2)
    eyes = float(np.hypot(*(there[1] - there[0])))
    return float(np.hypot(*(np.asarray(points) - there).T).mean() / max(eyes, 1e-6))


def average_precision(photos: Sequence[Agreement]) -> float:
    """Return the area below precision over recall, precision made falling; 1 for no faces at all.

    All detections of all photos are put in one order by score (as PASCAL VOC 2010 does).
    """
    return _area(_by_score(photos)[0], sum(photo.faces for photo in photos))


def shares_in_precision(photos: Sequence[Agreement]) -> Array:
    """Return [N] what each photo brings to the average precision, which is their mean.

    These are the pseudo-values of the jackknife (Tukey 1958): an interval of their mean is one of
    the average precision, whose detections are ordered over all photos.
    """
    right, owner = _by_score(photos)
    count, faces = len(photos), sum(photo.faces for photo in photos)
    whole = _area(right, faces)
    without = [_area(right[owner != i], faces - photo.faces) for i, photo in enumerate(photos)]
    shares = count * whole - (count - 1) * np.array(without)
    centred: Array = shares + (whole - shares.mean())
    return centred


def _by_score(photos: Sequence[Agreement]) -> tuple[Array, Array]:
    """Return of all detections, surest first, whether they are right and their photo's number."""
    scores = np.concatenate([np.empty(0), *(photo.scores for photo in photos)])
    right = np.concatenate([np.empty(0, bool), *(photo.right for photo in photos)])
    owner = np.repeat(np.arange(len(photos)), [len(photo.scores) for photo in photos])
    order = np.argsort(-scores, kind="stable")
    return right[order], owner[order]


def _area(right: Array, faces: int) -> float:
    if not faces:
        return 1.0 if not len(right) else 0.0
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float(falling[right].sum() / faces)
