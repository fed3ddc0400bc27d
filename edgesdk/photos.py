"""Faces of photos as people have them: turned photos, crops among photos, odd detectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.preprocess import ARCFACE_112, similarity
from edgesdk.core.tensors import Array

if TYPE_CHECKING:
    from edgesdk.detect import Detection, Detector

    Look = Callable[[Array], Sequence[Detection]]

# In pixels of the template's 112; measured by tools/photo_constants.py on LFW folds 1-5, see
# benchmarks/results/photo-constants.json.
MISFIT = 12.0  # points of faces lie below 5, those with two swapped from 17 on
FITS = 8.0
CROP_DISTANCE = 8.0
SLANTS = (45.0, 315.0, 135.0, 225.0)  # degrees
TURNED_SIDE = 1280  # long side in pixels of the copies that are looked at in other turns
ORDER = "eyes, nose, mouth corners, x before y, the picture's left first"


def misfit(points: Array) -> float:
    """Return how far five points lie from a face's, whatever its place, size and turn.

    Args:
        points: [5, 2] x, y in pixels.

    Returns:
        Root mean square distance to the ArcFace template after the best similarity transform,
        in pixels of a 112-pixel crop.

    Raises:
        UsageError: the points coincide or are not finite.
    """
    forward = similarity(points, ARCFACE_112)
    moved = np.asarray(points) @ forward[:, :2].T + forward[:, 2]
    return float(np.sqrt(((moved - ARCFACE_112) ** 2).sum(1).mean()))


def find(detector: Detector, picture: Array, largest: bool = False) -> list[Detection]:
    """Return the faces of a picture that may lie on its side or stand on its head.

    Where the detector finds none, is not sure of any, or gives points that are no face's, the
    picture is turned by 90, 180 and 270 degrees as well, and at last by those between. A turn
    counts where the detector is sure of a face in it, or finds none upright.

    Args:
        detector: Any detector; one with an attribute `sure` tells its score for a sure face, one
            with `lone` that from which a face counts which is seen in a turn alone, one with a
            method `largest` a quicker way to the largest faces.
        picture: HxWx3 uint8 RGB.
        largest: Only the largest face is wanted.

    Returns:
        Faces in pixels of the picture as it is, surest first.

    Raises:
        UsageError: the detector gives points in another order, or none that are five points.
    """
    from edgesdk.boxes import scaled
    from edgesdk.looks import shrunk

    look = getattr(detector, "largest", detector) if largest else detector
    found = [checked(face) for face in look(picture)]
    sure = float(getattr(detector, "sure", 0.0))
    if any(face.score >= sure and misfit(face.points) <= MISFIT for face in found):
        return found
    small = shrunk(picture, min(max(picture.shape[:2]), TURNED_SIDE))
    turn, best = _turn(look, small, found)
    if 0 < best < sure and (slanted := _slanted(look, small, sure)):
        factor = max(picture.shape[:2]) / max(small.shape[:2])
        return [scaled(face, factor) for face in slanted]
    # A masked face is seen worse than one that is none on its head: only a sure one counts.
    least = 0.0 if best >= sure else float(getattr(detector, "lone", 0.0))
    if turn and best >= least and (best >= sure or not _best(found)):
        side = np.ascontiguousarray(np.rot90(picture, turn))
        seen = [checked(face) for face in look(side) if face.score >= least]
        return [turned_back(face, turn, picture.shape) for face in seen]
    _check_order(found)
    return found


def _turn(look: Look, small: Array, upright: list[Detection]) -> tuple[int, float]:
    """Return in which quarter turn the surest face that fits is seen, and its score."""
    best, turn = _best(upright), 0
    for quarter in (1, 2, 3):
        seen = _best([checked(f) for f in look(np.ascontiguousarray(np.rot90(small, quarter)))])
        if seen > best:
            best, turn = seen, quarter
    return turn, best


def _slanted(look: Look, small: Array, sure: float) -> list[Detection]:
    """Return the faces of the first turn between the quarters in which one is sure, [] for none."""
    from PIL import Image

    for degrees in SLANTS:
        turned = Image.fromarray(small).rotate(degrees, Image.Resampling.BILINEAR, expand=True)
        seen = [checked(face) for face in look(np.asarray(turned))]
        if _best(seen) >= sure:
            size = turned.height, turned.width
            return [_unslanted(face, degrees, size, small.shape) for face in seen]
    return []


def _unslanted(
    face: Detection, degrees: float, size: tuple[int, ...], shape: tuple[int, ...]
) -> Detection:
    """Return a face of a picture turned against the clock in the pixels of the picture as it is."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middles = [np.array([wide, high]) / 2 for high, wide in (size[:2], shape[:2])]

    def back(places: Array) -> Array:
        moved: Array = (places - middles[0]) @ turn.T + middles[1]
        return moved

    x, y, width, height = face.box
    left, top = back(np.array([x + width / 2, y + height / 2])) - [width / 2, height / 2]
    box = float(left), float(top), width, height
    return type(face)(box, back(np.asarray(face.points) + 0.5) - 0.5, face.score)


def _best(found: Sequence[Detection]) -> float:
    return max((f.score for f in found if misfit(f.points) <= MISFIT), default=0.0)


def turned_back(face: Detection, turn: int, shape: tuple[int, ...]) -> Detection:
    """Return a face of `np.rot90(picture, turn)` in the pixels of the picture."""
    from edgesdk.boxes import Detection

    height, width = shape[:2]
    x, y, w, h = face.box
    corners = np.array([[x, y], [x + w, y + h]]) - 0.5
    low, high = np.sort(_back(corners, turn, height, width), axis=0) + 0.5
    box = float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])
    return Detection(box, _back(face.points, turn, height, width), face.score)


def _back(points: Array, turn: int, height: int, width: int) -> Array:
    x, y = np.asarray(points, np.float64).T
    if turn == 1:
        return np.stack([width - 1 - y, x], 1)
    if turn == 2:
        return np.stack([width - 1 - x, height - 1 - y], 1)
    return np.stack([y, height - 1 - x], 1)


def checked(face: Detection) -> Detection:
    """Return a detection whose points are five finite ones, else raise UsageError."""
    points = np.asarray(face.points)
    if points.shape != (5, 2) or not np.isfinite(points.astype(np.float64)).all():
        raise UsageError(
            f"the detector gave points of shape {points.shape}; a face has five finite ones, "
            f"[5, 2]: {ORDER}"
        )
    return face


def _check_order(found: Sequence[Detection]) -> None:
    """Raise UsageError where all faces would fit if the detector ordered its points otherwise."""
    if not found or any(misfit(face.points) <= MISFIT for face in found):
        return
    for face in found:
        points = np.asarray(face.points)
        orders = [list(order) for order in permutations(range(5))]
        if min(misfit(p[o]) for o in orders for p in (points, points[:, ::-1])) > FITS:
            return
    raise UsageError(
        f"the detector's five points are no face's in the order they come (they lie "
        f"{misfit(found[0].points):.0f} pixels of 112 off), and are in another; order them: {ORDER}"
    )


def seen_as_a_crop(detector: Detector, picture: Array) -> bool | None:
    """Tell whether a face lies in a square picture as in an aligned crop; None: no face is seen.

    The picture is looked at with 112 pixels or more, in one turn.
    """
    seen = _enlarged(picture)
    look = getattr(detector, "largest", detector)
    found = [lies_as_a_crop(checked(face), seen) for face in look(seen)]
    return any(found) if found else None


def lies_as_a_crop(face: Detection, picture: Array) -> bool:
    """Tell whether a face lies in a square picture as in an aligned crop."""
    scale = 112 / picture.shape[0]
    away = np.asarray(face.points) * scale - ARCFACE_112
    return bool(np.hypot(*away.T).mean() <= CROP_DISTANCE)


def _enlarged(picture: Array) -> Array:
    if len(picture) >= 112:
        return picture
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((112, 112), Image.Resampling.BICUBIC))
