"""Trials of face detectors beside ordinary photos: masked faces, turned faces, and a rival.

Faces that no detector here learnt from, aligned, are pasted with soft edges into photos held out:
bare, behind masks, and turned by known angles. What was pasted where is the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.boxes import Detection
from edgesdk.core.tensors import Array
from edgesdk.picture_sets import Pictures
from edgesdk.tasks._face_sets import agree
from edgesdk_training.found_faces import FaceTeacher
from edgesdk_training.occluders import draw_bank, read_templates
from edgesdk_training.photo_data import aligned, padded
from edgesdk_training.scenes import SCORE, Shown, cut, paste_face

SIDE, LEAST_PX, MOST_PX = 320, 20.0, 120.0
TURNS = (0, 30, 60, 90, 180)  # degrees
MASKED, UNSEEN = "masked", "KN95"
COUNT = 200  # photos of each kind

Look = Callable[[Array], Sequence[Detection]]


def crops_of(place: Path, count: int) -> list[Shown]:
    """Return aligned faces of a set in which YuNet finds one face, with that face."""
    pictures, teacher = Pictures(place), FaceTeacher(scales=(1.0,), turns=())
    faces = map(pictures.read, pictures.choose(2 * count, 0))
    found = (aligned(face, teacher(padded(face))) for face in faces)
    return list(islice((crop for crop in found if crop is not None), count))


def trials(photos: Sequence[Shown], faces: Path, masks: Path) -> dict[str, list[Shown]]:
    """Return what was pasted: of each angle, and masked, COUNT tiles with one face each.

    Masked faces are there once more behind a kind of mask that training leaves out by default.
    """
    templates = read_templates(masks)
    layers, unseen = (
        draw_bank(some, 64, COUNT, 0, plain=0.0).layers.permute(0, 2, 3, 1).numpy()
        for some in (templates, [t for t in templates if t.kind == UNSEEN])
    )
    bare = [photo for photo in photos if not len(photo.faces)]
    crops = crops_of(faces, COUNT)
    kinds: dict[str, tuple[float, Array]] = {f"{turn}°": (turn, layers[:0]) for turn in TURNS}
    kinds |= {MASKED: (0.0, layers), f"{MASKED}, {UNSEEN}": (0.0, unseen)}
    return {name: [*_pasted(bare, crops, *kind)] for name, kind in kinds.items()}


def _pasted(bare: Sequence[Shown], crops: Sequence[Shown], turn: float, cover: Array) -> Any:
    """Yield tiles; the same photos, faces, sizes and places whatever the turn and the cover."""
    for number, crop in enumerate(crops):
        random = np.random.default_rng(number)
        photo = bare[number % len(bare)]
        size = np.array(photo.picture.shape[1::-1])
        tile = cut(photo, size / 2, SIDE / float(size.min()), 0.0, SIDE, random).picture.copy()
        px = float(np.exp(random.uniform(np.log(LEAST_PX), np.log(MOST_PX))))
        middle = random.uniform(0.3, 0.7, 2) * SIDE
        layer = cover[number % len(cover)][None] if len(cover) else cover
        row = paste_face(tile, crop, layer, middle, px, turn, random)
        yield Shown(tile, row[None])


def found_share(look: Look, least: float, tiles: Sequence[Shown]) -> list[bool]:
    """Return whether the face of each tile is found, from a score of `least` on."""
    hits = []
    for tile in tiles:
        found = [face for face in look(tile.picture) if face.score >= least]
        hits.append(bool(agree(found, np.delete(tile.faces, SCORE, 1)).right.any()))
    return hits


def haar() -> Look | None:
    """Return OpenCV's Haar cascade of frontal faces; None where this OpenCV has none."""
    try:
        import cv2
    except ImportError:
        return None
    if not hasattr(cv2, "CascadeClassifier"):
        return None
    place = Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"
    cascade = cv2.CascadeClassifier(str(place))

    def look(picture: Array) -> list[Detection]:
        grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
        found, _, weights = cascade.detectMultiScale3(grey, 1.1, 4, outputRejectLevels=True)
        # It gives no points and no chance; its own weight, squeezed, orders what it found.
        return [
            Detection(tuple(map(float, box)), np.full((5, 2), np.nan), float(1 / (1 + np.exp(-w))))
            for box, w in zip(found, np.ravel(weights), strict=True)
        ]

    return look
