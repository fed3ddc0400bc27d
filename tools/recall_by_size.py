"""Which faces of a photo are found, by their size, as one committed file.

    python tools/recall_by_size.py --faces lfw.tar -o benchmarks/results/recall-by-size.json

Photos are made: one face of each of SIZES, the side of its aligned square in pixels, lies with
soft edges on a smooth ground of WIDE x HIGH, turned by up to 15 degrees. A face counts as found
where the middle of a detection lies within a third of its side of its own, with half to twice
its size. The detector as users have it is compared with itself looking once at each of SIDES
(long side in pixels): `best_single_side` is the one with the best mean recall.
"""

import argparse
import importlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgesdk.core.env import environment
from edgesdk.core.files import write_json
from edgesdk.core.preprocess import ARCFACE_112, similarity
from edgesdk.core.tensors import Array
from edgesdk.detect import Detection, shrunk
from edgesdk.picture_sets import Pictures

SIZES = (12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 300)
SIDES = (320, 640, 960, 1280, 1920, 2560)
WIDE, HIGH = 1920, 1280
GRID = (4, 3)
Look = Callable[[Array], Sequence[Detection]]


def photo(faces: Sequence[Array], random: np.random.Generator) -> tuple[Array, Array]:
    """Return a photo and the middles [N, 2] of its faces, one per size, each in a cell."""
    from PIL import Image, ImageFilter

    ground = random.integers(40, 220, (5, 7, 3)).astype(np.uint8)
    page = Image.fromarray(ground).resize((WIDE, HIGH), Image.Resampling.BICUBIC)
    cells = random.permutation(GRID[0] * GRID[1])[: len(SIZES)]
    middles = []
    for size, face, cell in zip(SIZES, faces, cells, strict=True):
        x = (cell % GRID[0] + 0.5) * WIDE / GRID[0] + random.uniform(-40, 40)
        y = (cell // GRID[0] + 0.5) * HIGH / GRID[1] + random.uniform(-40, 40)
        form = Image.new("L", (112, 112), 0)
        form.paste(255, (8, 8, 104, 104))
        form = form.filter(ImageFilter.GaussianBlur(5))
        turn = random.uniform(-15, 15)
        small = [
            p.rotate(turn, Image.Resampling.BICUBIC).resize((size, size), Image.Resampling.LANCZOS)
            for p in (Image.fromarray(face), form)
        ]
        page.paste(small[0], (round(x - size / 2), round(y - size / 2)), small[1])
        middles.append((x, y))
    return np.asarray(page), np.array(middles)


def hits(found: Sequence[Detection], middles: Array) -> Array:
    """Return bool [N]: which faces were found."""
    seen = np.zeros(len(SIZES), bool)
    for face in found:
        forward = similarity(face.points, ARCFACE_112)
        size = 112 / np.hypot(forward[0, 0], forward[1, 0])
        middle = np.array(face.box[:2]) + np.array(face.box[2:]) / 2
        away = np.hypot(*(middles - middle).T) / SIZES
        place = int(away.argmin())
        seen[place] |= away[place] < 1 / 3 and 0.5 < size / SIZES[place] < 2
    return seen


def single(look: Look, side: int) -> Look:
    """Return a detector that looks once, at a photo of this long side."""
    from PIL import Image

    def once(picture: Array) -> list[Detection]:
        factor = max(picture.shape[:2]) / side
        size = round(picture.shape[1] / factor), round(picture.shape[0] / factor)
        small = (
            shrunk(picture, side)
            if factor >= 1
            else np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
        )
        return [
            Detection(tuple(v * factor for v in face.box), face.points * factor, face.score)
            for face in look(small)
        ]

    return once


def measure(detector: Look, photos: Sequence[tuple[Array, Array]]) -> dict:
    """Return the recall of each size and the median time of a photo."""
    times, seen = [], []
    for picture, middles in photos:
        begin = time.perf_counter()
        found = detector(picture)
        times.append(time.perf_counter() - begin)
        seen.append(hits(found, middles))
    recall = np.mean(seen, axis=0)
    return {
        "recall": {str(size): round(float(r), 4) for size, r in zip(SIZES, recall, strict=True)},
        "mean_recall": round(float(recall.mean()), 4),
        "ms": round(1e3 * float(np.median(times)), 1),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", required=True, help="folder or archive of aligned faces")
    parser.add_argument("--detector", default="edgesdk.detect:YuNet")
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    pictures, random = Pictures(asked.faces), np.random.default_rng(0)
    names = iter(pictures.choose(asked.photos * len(SIZES), 0))
    photos = [
        photo([pictures.read(next(names)) for _ in SIZES], random) for _ in range(asked.photos)
    ]
    module, _, name = asked.detector.partition(":")
    detector = getattr(importlib.import_module(module), name)()
    rows = {"as it is": measure(detector, photos)}
    for side in SIDES:
        rows[str(side)] = measure(single(detector.look, side), photos)
        print(side, rows[str(side)])
    best = max(SIDES, key=lambda side: rows[str(side)]["mean_recall"])
    small = [row["recall"][str(SIZES[0])] for row in (rows["as it is"], rows[str(best)])]
    result = {
        "command": f"python tools/recall_by_size.py --faces {Path(asked.faces).name} "
        f"--detector {asked.detector} --photos {asked.photos}",
        "environment": environment(),
        "photos": asked.photos,
        "size": [WIDE, HIGH],
        "best_single_side": best,
        "rows": rows,
        "gain": round(rows["as it is"]["mean_recall"] - rows[str(best)]["mean_recall"], 4),
        "smallest": {"as it is": small[0], "best single side": small[1]},
    }
    print(rows["as it is"], best)
    write_json(asked.output, result)


if __name__ == "__main__":
    main()
