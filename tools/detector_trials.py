"""Trials of face detectors beside ordinary photos: masked faces, turned faces, and a rival.

Faces that no detector here learnt from, aligned, are pasted with soft edges into photos held out:
bare, behind masks, and turned by known angles. What was pasted where is the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.boxes import Detection, suppress
from edgesdk.core.preprocess import Preprocess
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
BLAZE = "modules/face_detection/face_detection_short_range.tflite"
BLAZE_SIDE, BLAZE_CELLS = 128, ((16, 2), (8, 6))  # cells of a row, and anchors of each

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


def blaze_face() -> Look | None:
    """Return BlazeFace (Bazarevsky et al. 2019) at short range; None without mediapipe's file.

    Versions of mediapipe up to 0.10.21 hold it. It sees the whole photo in 128 pixels.
    """
    spec = find_spec("mediapipe")
    places = (spec.submodule_search_locations or []) if spec else []
    path = next((p for place in places if (p := Path(place) / BLAZE).is_file()), None)
    if path is None:
        return None
    from ai_edge_litert.interpreter import Interpreter

    network = Interpreter(str(path), num_threads=1)
    network.allocate_tensors()
    out = {d["name"]: d["index"] for d in network.get_output_details()}
    prepare = Preprocess((BLAZE_SIDE, BLAZE_SIDE), layout="NHWC")

    def look(picture: Array) -> list[Detection]:
        side = max(picture.shape[:2])
        square = np.zeros((side, side, 3), np.uint8)
        square[: picture.shape[0], : picture.shape[1]] = picture
        network.set_tensor(network.get_input_details()[0]["index"], prepare([square]))
        network.invoke()
        told = network.get_tensor(out["regressors"])[0], network.get_tensor(out["classificators"])
        found = _blaze_faces(told[0], told[1].ravel(), side)
        return [found[i] for i in suppress(found, 0.3)]

    return look


def _blaze_faces(told: Array, logits: Array, side: int) -> list[Detection]:
    """Return what the anchors tell of, surest first; points lack, as corners of the mouth do."""
    anchors = np.concatenate([_centres(*level) for level in BLAZE_CELLS])
    middle, size = told[:, :2] / BLAZE_SIDE + anchors, told[:, 2:4] / BLAZE_SIDE
    boxes = np.concatenate([middle - size / 2, size], 1) * side
    chances = 1 / (1 + np.exp(-logits.astype(np.float64).clip(-50, 50)))
    order = [i for i in np.argsort(-chances) if chances[i] > 0.05]
    nothing = np.full((5, 2), np.nan)
    return [Detection(tuple(map(float, boxes[i])), nothing, float(chances[i])) for i in order]


def _centres(cells: int, anchors: int) -> Array:
    y, x = np.mgrid[:cells, :cells]
    centres: Array = (np.stack([x.ravel(), y.ravel()], 1) + 0.5) / cells
    return centres.repeat(anchors, 0)
