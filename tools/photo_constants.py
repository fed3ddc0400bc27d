"""What the constants of photos are worth on real faces, as one committed file.

    python tools/photo_constants.py --faces lfw.tar -o benchmarks/results/photo-constants.json

Aligned faces are set into a grey page, so that there is room around them, and looked at upright
and in three quarter turns. Told of each constant: the share on either side of it, and the value
that parts the two best (`best`: the least mean of both errors; in the middle of equal ones).

- SURE (edgesdk/detect.py): the best score upright, and in a turn. Below it turns are tried.
- MISFIT (edgesdk/photos.py): how far the points found lie from a face's, and with two of them
  in each other's place. Above it they are no face's.
- FITS: the points in their right order, and in any other order but the mirrored one. Up to it
  a detector whose order is wrong is told the right one.
- CROP_DISTANCE: how far the points lie from where an aligned crop has them, in crops, and in
  square photos in which the face is smaller (by a quarter to a half) or off the middle.
"""

import argparse
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk import photos as constants
from edgesdk.core.files import write_json
from edgesdk.core.preprocess import ARCFACE_112
from edgesdk.core.tensors import Array
from edgesdk.detect import NAMES, Detection, detector
from edgesdk.photos import misfit
from edgesdk.picture_sets import Pictures

PAGE, GREY = 280, 128
SWAPS = ([1, 0, 2, 3, 4], [0, 1, 2, 4, 3], [1, 0, 2, 4, 3], [2, 0, 1, 3, 4])
# The order of a mirrored face is nearly a face's too.
OTHERS = [list(p) for p in permutations(range(5)) if p not in ((0, 1, 2, 3, 4), (1, 0, 2, 4, 3))]


def page(face: Array, side: int = 112) -> Array:
    """Return a grey page with a face of `side` pixels in its middle."""
    from PIL import Image

    ground = Image.new("RGB", (PAGE, PAGE), (GREY,) * 3)
    small = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)
    ground.paste(small, ((PAGE - side) // 2, (PAGE - side) // 2))
    return np.asarray(ground)


def parted(low: Sequence[float], high: Sequence[float], now: float) -> dict[str, float]:
    """Return what a limit between two kinds is worth: `low` should lie below it."""
    one, other = np.sort(low), np.sort(high)
    limits = np.unique(np.concatenate([one, other]))
    wrong = 1 - np.searchsorted(one, limits, "right") / len(one)
    wrong = (wrong + np.searchsorted(other, limits, "right") / len(other)) / 2
    best = limits[np.flatnonzero(wrong == wrong.min())]
    return {
        "now": now,
        "low_below": round(float((one <= now).mean()), 4),
        "high_above": round(float((other > now).mean()), 4),
        "best": round(float((best[0] + best[-1]) / 2), 3),
        "best_error": round(float(wrong.min()), 4),
        "low_p50": round(float(np.median(one)), 3),
        "low_p99": round(float(np.quantile(one, 0.99)), 3),
        "high_p01": round(float(np.quantile(other, 0.01)), 3),
        "high_p50": round(float(np.median(other)), 3),
    }


def surest(found: Sequence[Detection]) -> Detection | None:
    """Return the surest detection, None where there is none."""
    return max(found, key=lambda face: face.score, default=None)


def away(face: Detection, picture: Array) -> float:
    """Return the mean distance of five points from an aligned crop's, in pixels of 112."""
    apart = np.asarray(face.points) * (112 / len(picture)) - ARCFACE_112
    return float(np.hypot(*apart.T).mean())


class Seen:
    """What a detector finds of faces, gathered face by face."""

    def __init__(self, name: str) -> None:
        self.detector: Any = detector(name)
        self.sure = float(self.detector.sure)
        self.upright: list[float] = []
        self.turned: list[float] = []
        self.points: list[Array] = []
        self.crops: list[float] = []
        self.squares: list[float] = []

    def add(self, face: Array, random: np.random.Generator) -> None:
        """Look at one face in every way."""
        picture = page(face)
        found = surest(self.detector.largest(picture))
        self.upright.append(found.score if found else 0.0)
        if found:
            self.points.append(np.asarray(found.points))
        quarter = int(random.integers(1, 4))
        turned = surest(self.detector.largest(np.ascontiguousarray(np.rot90(picture, quarter))))
        self.turned.append(turned.score if turned else 0.0)
        middle = PAGE // 2
        crop = picture[middle - 56 : middle + 56, middle - 56 : middle + 56]
        half = round(56 * random.uniform(4 / 3, 2))
        x, y = (middle + random.integers(-12, 13, 2)).tolist()
        square = picture[y - half : y + half, x - half : x + half]
        for view, kept in ((crop, self.crops), (square, self.squares)):
            seen = surest(self.detector.largest(np.ascontiguousarray(view)))
            if seen:
                kept.append(away(seen, view))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", required=True, help="folder or archive of aligned faces")
    parser.add_argument("--detector", choices=NAMES, default=NAMES[0])
    parser.add_argument("--most", type=int, default=600)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    pictures, random, seen = Pictures(asked.faces), np.random.default_rng(0), Seen(asked.detector)
    for name in pictures.choose(asked.most, 0):
        seen.add(pictures.read(name), random)
    fit = [misfit(points) for points in seen.points]
    swapped = [misfit(points[order]) for points in seen.points for order in SWAPS]
    others = [misfit(p[order]) for p in seen.points[:50] for order in OTHERS]
    result = {
        "command": f"python tools/photo_constants.py --faces {Path(asked.faces).name} "
        f"--detector {asked.detector} --most {asked.most}",
        "faces": len(seen.upright),
        "SURE": parted(seen.turned, seen.upright, seen.sure),
        "MISFIT": parted(fit, swapped, constants.MISFIT),
        "FITS": parted(fit, others, constants.FITS),
        "CROP_DISTANCE": parted(seen.crops, seen.squares, constants.CROP_DISTANCE),
    }
    print(result)
    write_json(asked.output, result)


if __name__ == "__main__":
    main()
