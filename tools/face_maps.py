"""Golden maps of a face detector, and the faces that `edgesdk/boxes.py` makes of them.

Kotlin and JavaScript must make the same ones: tests/runtimes/test_web_page.py and the JUnit tests,
by android_demo/tools/write_vectors.py.
"""

from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.boxes import STRIDES, decode, suppress
from edgesdk.core.tensors import Array

HEADS = {"score": 1, "box": 4, "points": 10}
LEAST, OVERLAP = 0.6, 0.3
PHOTO = Path(__file__).resolve().parent.parent / "examples" / "astronaut.jpg"


def cases() -> list[dict[str, Any]]:
    """Return cases: maps by name, least score, overlap, faces [N, 15] of box, points and score."""
    return [case(maps) for maps in (crowded(64, 96), crowded(32, 32) | wild(), of_photo(), none())]


def case(maps: dict[str, Array]) -> dict[str, Any]:
    """Return one case."""
    found = decode(maps, 0, LEAST)
    kept = [found[i] for i in suppress(found, OVERLAP)]
    faces = [[*face.box, *face.points.ravel().tolist(), face.score] for face in kept]
    return {"maps": maps, "score": LEAST, "overlap": OVERLAP, "faces": faces}


def crowded(height: int, width: int) -> dict[str, Array]:
    """Return maps with many faces that lie on each other."""
    random = np.random.default_rng(height)
    return {
        f"{head}_{s}": random.normal(0, 1.5, (1, n, height // s, width // s)).astype(np.float32)
        for s in STRIDES
        for head, n in HEADS.items()
    }


def wild() -> dict[str, Array]:
    """Return the coarsest maps of a broken graph."""
    return {f"{head}_32": np.full((1, n, 1, 1), 1e30, np.float32) for head, n in HEADS.items()}


def photo() -> Array:
    """Return the astronaut at the size of the shipped detector, [S, S, 3] uint8."""
    from PIL import Image

    from edgesdk.core.shipped import open_bundle
    from edgesdk.detect import bundle_side

    side = bundle_side(open_bundle("face-detector"))
    return np.asarray(Image.open(PHOTO).convert("RGB").resize((side, side)))


def of_photo() -> dict[str, Array]:
    """Return what the shipped detector says of the astronaut."""
    from edgesdk.detect import FaceDetector

    detector = FaceDetector()
    (spec,) = detector.bundle.inputs
    maps: dict[str, Array] = detector._run(
        {spec.name: detector.bundle.preprocess[spec.name]([photo()])}
    )
    return maps


def none() -> dict[str, Array]:
    """Return maps without a face."""
    return {name: maps - 50 for name, maps in crowded(32, 64).items()}
