"""A photo is looked at several times, and what is seen is joined: what detectors here share."""

from collections.abc import Sequence

import numpy as np

from edgesdk.boxes import Detection, covers, scaled
from edgesdk.core.preprocess import check_picture
from edgesdk.core.tensors import Array

# Pixels of a box in the first look, which sees the larger ones: an enlarged look errs in them more.
SMALL = 64
STRIP = 64  # rows of the shrunk picture that are made at once


class Looks:
    """A detector whose `look` sees a picture once.

    A photo is looked at with its long side at most `side` pixels, at half that size (for a face
    that fills the photo) and as fine as it is, or `enlarge` times as fine, up to four times `side`
    (for small faces). A small photo in which none finds a face is enlarged.

    Args:
        side: Long side of the first look in pixels.

    Attributes:
        enlarge: How many times enlarged a photo is looked at for small faces.
        lone: Score from which a face counts that is seen where other looks saw none.
    """

    enlarge = 1
    lone = 0.0

    def __init__(self, side: int) -> None:
        self._side = side

    def look(self, picture: Array) -> list[Detection]:
        """Return the faces of a picture seen once, at its own size."""
        raise NotImplementedError

    def __call__(self, picture: Array) -> list[Detection]:
        """Return the faces of an HxWx3 uint8 RGB picture, surest first."""
        coarse, fine, larger = self._sides(picture)
        return self._join(picture, [*coarse, *fine]) or self._first(picture, larger, self.lone)

    def largest(self, picture: Array) -> list[Detection]:
        """Return the large faces of a picture; small ones where there are no large ones.

        Quicker than all faces, and enough to know the largest.
        """
        coarse, fine, larger = self._sides(picture)
        return (
            self._join(picture, coarse)
            or self._first(picture, fine)
            or self._first(picture, larger, self.lone)
        )

    def _sides(self, picture: Array) -> tuple[list[int], list[int], list[int]]:
        return sides(max(check_picture(picture).shape[:2]), self._side, self.enlarge)

    def _first(self, picture: Array, seen_at: Sequence[int], least: float = 0.0) -> list[Detection]:
        """Return the faces of the first look that finds any, from a score on."""
        looks = ([f for f in self._join(picture, [s]) if f.score >= least] for s in seen_at)
        return next(filter(None, looks), [])

    def _join(self, picture: Array, seen_at: Sequence[int]) -> list[Detection]:
        found: list[Detection] = []
        long_side = max(picture.shape[:2])
        small = SMALL * long_side / min(long_side, self._side)
        finest = shrunk(picture, min(long_side, max(seen_at)))
        for side in seen_at:
            seen = [scaled(f, long_side / side) for f in self.look(shrunk(finest, side))]
            if side > long_side and (found or long_side > self._side):
                seen = [face for face in seen if min(face.box[2:]) < small]
            found += [face for face in seen if not any(covers(old, face) for old in found)]
        return sorted(found, key=lambda face: -face.score)


def sides(long_side: int, side: int, enlarge: int = 1) -> tuple[list[int], list[int], list[int]]:
    """Return long sides to look at: for large faces, for small ones, and where none was found."""
    first = min(long_side, side)
    coarse = [first, first // 2] if first >= 64 else [first]
    finest = min(enlarge * long_side, 4 * side)
    fine = [finest] if finest > first else []
    larger = [n * first for n in (2, 4) if long_side <= side and finest < n * first <= 2 * side]
    return coarse, fine, larger


def shrunk(picture: Array, long_side: int) -> Array:
    """Return HxWx3 uint8 with this long side, never holding a second copy of a large picture."""
    if max(picture.shape[:2]) == long_side:
        return picture
    from PIL import Image

    block = max(1, max(picture.shape[:2]) // (2 * long_side))
    if block > 1:
        # Whole blocks of pixels are averaged a strip at a time.
        strips = [
            picture[top : top + STRIP * block] for top in range(0, len(picture), STRIP * block)
        ]
        picture = np.concatenate([np.asarray(Image.fromarray(s).reduce(block)) for s in strips])
    factor = long_side / max(picture.shape[:2])
    height, width = (max(1, round(n * factor)) for n in picture.shape[:2])
    how = Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.BILINEAR
    image = Image.fromarray(picture).resize((width, height), how)
    return np.asarray(image)
