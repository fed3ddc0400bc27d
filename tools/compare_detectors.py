"""Compare face-detector with YuNet: sure faces found in one look, and speed.

    python tools/compare_detectors.py runs/detect-face-detector-12345678 --faces lfw.tar \
        --masks mask_templates.tar -o training/results/face-detector.json

The photos are those held out of the run. What YuNet finds in many looks counts as the truth, which
favours YuNet. OpenCV's Haar cascade and BlazeFace stand beside them where they are installed
(OpenCV 5 has no cascade, mediapipe after 0.10.21 no BlazeFace).
`all_looks` is what `run` and `FacePipeline` find, which look several times. Masked and turned faces
are made, see tools/detector_trials.py, and seen in one look. Speed: one thread, 320x320, both by
turns in one process; `--times` renews it alone, for it needs a quiet machine.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.boxes import Detection, scaled
from edgesdk.core.files import read_json, write_json
from edgesdk.core.tensors import Array
from edgesdk.detect import FaceDetector, YuNet
from edgesdk.looks import shrunk
from edgesdk.photos import find
from edgesdk.tasks._face_sets import agree, average_precision
from edgesdk_training.photo_data import SURE, PhotoData
from edgesdk_training.scenes import SCORE, Shown
from tools.command import told
from tools.detector_trials import MASKED, blaze_face, found_share, haar, trials
from tools.held_out_photos import data_of

COMMAND = (
    "python tools/compare_detectors.py RUN --faces {} --masks {} "
    "-o training/results/face-detector.json"
)
SIZES = (0, 12, 20, 40, 80, 10_000)  # in pixels, of a face
ROUNDS, WARM, SIDE = 400, 20, 320
ENLARGED = (320, 640)
TARGETS = {
    "recall from 20 px": 0.95,
    "false finds per picture": 0.1,
    "speed against YuNet": 1.5,
    "masked faces found": 0.9,
}

Look = Callable[[Array], Any]


def judged(look: Look, least: float, photos: Sequence[Shown]) -> dict[str, Any]:
    """Return what a look finds, from `least` on; what the teacher half believes in is left out."""
    sizes, hits, errors, false, told_all = [], [], [], 0, []
    for photo in photos:
        sure = photo.faces[:, SCORE] >= SURE
        rows, unsure = (np.delete(photo.faces[part], SCORE, 1) for part in (sure, ~sure))
        found = sorted(look(photo.picture), key=lambda face: -face.score)
        doubtful = agree(found, unsure, 0.3).face
        one = agree([f for f, k in zip(found, doubtful, strict=True) if k < 0], rows)
        counts = one.scores >= least
        told_all.append(one)
        false += int((~one.right & counts).sum())
        sizes += list(np.sqrt(rows[:, 2:4].prod(1)))
        hits += [k in one.face[counts] for k in range(len(rows))]
        errors += list(one.errors[counts & one.right])
    size, hit = np.array(sizes), np.array(hits, bool)
    return {
        "average_precision": average_precision(told_all),
        "score": least,
        "recall_from_20_px": share(hit[size >= 20]),
        "recall_by_size_px": {
            f"{low} to {high}": share(hit[(size >= low) & (size < high)])
            for low, high in pairwise(SIZES)
        },
        "false_finds_per_picture": false / len(photos),
        "point_error_of_eye_distance": float(np.median(errors))
        if np.isfinite(errors).any()
        else None,
    }


def at_side(look: Look, side: int) -> Look:
    """Return a look at pictures brought to a long side of `side` pixels."""

    def seen(picture: Array) -> list[Detection]:
        factor = max(picture.shape[:2]) / side
        return [scaled(face, factor) for face in look(shrunk(picture, side))]

    return seen


def share(hits: Array) -> dict[str, Any]:
    """Return found, of, and the share with its 95 % interval (Wilson 1927)."""
    count, found, z = len(hits), int(hits.sum()), 1.96
    if not count:
        return {"found": 0, "of": 0}
    part = found / count
    middle = (part + z * z / 2 / count) / (1 + z * z / count)
    half = z * np.sqrt(part * (1 - part) / count + z * z / 4 / count**2) / (1 + z * z / count)
    return {
        "found": found, "of": count, "share": part, "low": float(middle - half),
        "high": float(middle + half),
    }  # fmt: skip


def speeds(looks: dict[str, Look], picture: Array) -> dict[str, list[float]]:
    """Return the milliseconds of each look, taken by turns."""
    spent: dict[str, list[float]] = {name: [] for name in looks}
    for _ in range(WARM + ROUNDS):
        for name, look in looks.items():
            begin = time.perf_counter()
            look(picture)
            spent[name].append(1e3 * (time.perf_counter() - begin))
    return {name: [round(t, 4) for t in times[WARM:]] for name, times in spent.items()}


def times_faster(spent: dict[str, list[float]]) -> float:
    """Return how many times as fast as YuNet, the median over turns: what slows one slows both."""
    ratios = np.array(spent["yunet"]) / np.array(spent["face-detector"])
    return float(np.median(ratios))


def graphs(picture: Array) -> dict[str, Look]:
    """Return what runs each graph alone, on a tensor that is ready."""
    own, yunet = FaceDetector(), YuNet()
    name = own.bundle.inputs[0].name
    ready = {name: own.bundle.preprocess[name]([picture])}
    given = {"input": picture.transpose(2, 0, 1)[None].astype(np.float32)}
    return {
        "face-detector": lambda _: own._run(ready),
        "yunet": lambda _: yunet._session.run(None, given),
    }


def compared(data: PhotoData, faces: Path, masks: Path) -> dict[str, Any]:
    """Return the result: what each detector finds, how long it takes, and the claims."""
    own, yunet = FaceDetector(score=0.05), YuNet(score=0.05)
    looks: dict[str, tuple[Look, float]] = {
        "face-detector": (own.look, float(own.bundle.postprocess["score"])),
        "yunet": (yunet.look, 0.7),
    }
    looks |= {
        f"{name}, {side} px": (at_side(look, side), least)
        for name, (look, least) in looks.items()
        for side in ENLARGED
    }
    for name, (rival, least) in {
        "haar cascade": (haar(), 0.0),
        "blazeface": (blaze_face(), 0.5),
    }.items():
        if rival is not None:
            looks[name] = (rival, least)
    joined = {"face-detector": FaceDetector(), "yunet": YuNet()}
    tiles = trials(data.held, faces, masks)
    return {
        "command": COMMAND.format(faces.name, masks.name),
        "data": data.name,
        "photos": len(data.held),
        "truth": f"what {data.teacher['name']} is sure of in many looks (score {SURE} or more)",
        "detectors": {name: judged(*look, data.held) for name, look in looks.items()},
        "all_looks": {n: judged(partial(find, d), 0.0, data.held) for n, d in joined.items()},
        "pasted_faces_found_by_turn_and_masked": {
            name: {kind: share(np.array(found_share(*look, t))) for kind, t in tiles.items()}
            for name, look in looks.items()
        },
    }


def times() -> dict[str, Any]:
    """Return how long graphs and looks take, each time of each turn."""
    blank = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    looks = {"face-detector": FaceDetector().look, "yunet": YuNet().look}
    return {
        "graph_ms_at_320_px_one_thread": speeds(graphs(blank), blank),
        "look_ms_at_320_px_one_thread": speeds(looks, blank),
    }


def claims(result: dict[str, Any]) -> dict[str, Any]:
    """Return each target with its value and whether it was reached."""
    mine = result["detectors"]["face-detector"]
    pasted = result["pasted_faces_found_by_turn_and_masked"]["face-detector"]
    values = {
        "recall from 20 px": mine["recall_from_20_px"]["share"],
        "false finds per picture": mine["false_finds_per_picture"],
        "speed against YuNet": times_faster(result["graph_ms_at_320_px_one_thread"]),
        "masked faces found": pasted[MASKED]["share"],
    }
    found = {}
    for name, wanted in TARGETS.items():
        value = values[name]
        reached = value <= wanted if name.startswith("false") else value >= wanted
        found[name] = {"value": value, "wanted": wanted, "pass": bool(reached)}
    return found


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--faces", type=Path, required=True, help="aligned faces to paste")
    parser.add_argument("--masks", type=Path, required=True, help="templates of masks")
    parser.add_argument("--times", action="store_true", help="renew the times alone")
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    spent = times()
    kept = read_json(asked.output, "result") if asked.times else None
    result = {**(kept or compared(data_of(asked.run), asked.faces, asked.masks)), **spent}
    write_json(asked.output, {**result, "claims": claims(result)})


if __name__ == "__main__":
    told(main)
