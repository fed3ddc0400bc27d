"""Detections: what the cells of a network say as boxes and points, and the suppression of doubles.

The graphs of detectors end in maps of cells. What follows is here, in one place, as the phone and
the browser do it too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgesdk.core.tensors import Array

STRIDES = (8, 16, 32)
# Larger faces than e^LARGEST cells are none; the exponential of a wild number stays finite.
LARGEST = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """One face in a photo, in pixels of that photo.

    Attributes:
        box: x, y of the upper left corner, width, height; may reach over the border.
        points: float [5, 2] x, y: eyes, nose, mouth corners, the picture's left first.
        score: 0..1.
    """

    box: tuple[float, float, float, float]
    points: Array
    score: float

    @property
    def area(self) -> float:
        """Width times height."""
        return self.box[2] * self.box[3]


def cells(
    scores: Array, box: Array, points: Array, columns: int, stride: int, least: float
) -> list[Detection]:
    """Return the faces that the cells of one stride tell of.

    The cell at column c and row r tells a box centre ((c + dx) s, (r + dy) s), a box size
    (exp(w) s, exp(h) s), and five points like the centre.

    Args:
        scores: [C], 0..1.
        box: [C, 4].
        points: [C, 10].
        columns: Cells of a row.
        stride: Pixels per cell.
        least: Score from which a cell counts.
    """
    chosen = np.flatnonzero(scores >= least)
    corner = np.stack([chosen % columns, chosen // columns], 1)
    size = np.exp(np.minimum(box[chosen, 2:], LARGEST)) * stride
    start = (corner + box[chosen, :2]) * stride - size / 2
    there = (points[chosen].reshape(-1, 5, 2) + corner[:, None]) * stride
    return [
        Detection((float(x), float(y), float(w), float(h)), p, float(scores[i]))
        for (x, y), (w, h), p, i in zip(start, size, there, chosen, strict=True)
    ]


def decode(outputs: Mapping[str, Array], item: int, least: float) -> list[Detection]:
    """Turn the nine maps of a `face-detector` into detections from `least` on, surest first.

    Args:
        outputs: score_S [N, 1, h, w] (logits), box_S [N, 4, h, w] and points_S [N, 10, h, w] for
            each stride S.
        item: Number of the picture in the batch.
        least: Score from which a cell counts.
    """
    found = []
    for stride in STRIDES:
        score, box, points = (
            np.asarray(outputs[f"{head}_{stride}"][item], np.float32)
            for head in ("score", "box", "points")
        )
        # In double precision no two sure cells are equal, so that all languages order them alike.
        chances = 1 / (1 + np.exp(-score.ravel().astype(np.float64).clip(-50, 50)))
        columns = score.shape[-1]
        flat, there = (maps.reshape(len(maps), -1).T for maps in (box, points))
        found += cells(chances, flat, there, columns, stride, least)
    return sorted(found, key=lambda face: -face.score)


def covers(old: Detection, new: Detection) -> bool:
    """Tell whether two boxes of different looks are one face: half of the smaller is common."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = old.box, new.box
    wide, high = min(ax + aw, bx + bw) - max(ax, bx), min(ay + ah, by + bh) - max(ay, by)
    return max(wide, 0.0) * max(high, 0.0) > 0.5 * min(old.area, new.area)


def scaled(face: Detection, factor: float) -> Detection:
    """Return a detection in pixels of a picture `factor` times as large."""
    x, y, width, height = (value * factor for value in face.box)
    return Detection((x, y, width, height), face.points * factor, face.score)


def suppress(faces: Sequence[Detection], overlap: float) -> list[int]:
    """Return the indices that stay after non-maximum suppression of sorted detections."""
    boxes = np.array([face.box for face in faces], np.float64).reshape(-1, 4)
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    area = boxes[:, 2:].prod(1)
    left, kept = np.arange(len(boxes)), []
    while len(left):
        best, left = int(left[0]), left[1:]
        kept.append(best)
        side = np.minimum(high[best], high[left]) - np.maximum(low[best], low[left])
        common = side.clip(0).prod(1)
        left = left[common <= overlap * (area[best] + area[left] - common)]
    return kept
