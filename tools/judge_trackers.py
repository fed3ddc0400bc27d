"""Trackers side by side on labelled sequences: edgesdk's with and without words, and rivals.

    python tools/judge_trackers.py sequences.tar --nanotrack FOLDER -o results.json

One pass each, the first box given: success AUC, precision at 20 px, normalised precision, frames
per second of crop, network and what follows (frames are in memory), per sequence and per
attribute, and with the first box shifted and scaled by a tenth. Rivals are those of the installed
OpenCV: TrackerNano with NanoTrack V2's two files, CSRT, KCF; and template matching at the same
size, here.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.files import sha256_file, write_json
from edgesdk.core.shipped import open_bundle
from edgesdk.core.tensors import Array
from edgesdk.sequences import Track, measures, read_tracks, success_curve
from edgesdk.track import Tracker
from edgesdk_training.nano_track import BACKBONE, HEAD
from tools.command import told

Follow = Callable[[Sequence[Array], Array, str], Array]
NOISE = 0.1  # of the box's sides


def by_edgesdk(bundle: str, threads: int, spoken: bool) -> Follow:
    """Return the project's tracker."""
    tracker = Tracker(bundle, threads=threads)

    def follow(frames: Sequence[Array], box: Array, text: str) -> Array:
        found = [tracker.start(frames[0], box, text if spoken else "").box]
        return np.array([*found, *(tracker.update(frame).box for frame in frames[1:])])

    return follow


def by_opencv(make: Callable[[], Any]) -> Follow:
    """Return a tracker of OpenCV's; where it fails the last box stays."""

    def follow(frames: Sequence[Array], box: Array, text: str) -> Array:
        tracker, last = make(), tuple(float(v) for v in box)
        tracker.init(np.ascontiguousarray(frames[0][..., ::-1]), tuple(round(v) for v in box))
        found = [last]
        for frame in frames[1:]:
            there, seen = tracker.update(np.ascontiguousarray(frame[..., ::-1]))
            last = tuple(map(float, seen)) if there else last
            found.append(last)
        return np.array(found)

    return follow


def by_template(frames: Sequence[Array], box: Array, text: str) -> Array:
    """Follow by the best normalised correlation of the first box's pixels near the last place."""
    import cv2

    x, y, w, h = (round(float(v)) for v in box)
    template = frames[0][max(y, 0) : y + h, max(x, 0) : x + w]
    high, wide = template.shape[:2]
    found = [tuple(map(float, box))]
    for frame in frames[1:]:
        left, top = max(x - w, 0), max(y - h, 0)
        window = frame[top : top + 3 * h, left : left + 3 * w]
        if window.shape[0] >= high and window.shape[1] >= wide:
            answer = cv2.matchTemplate(window, template, cv2.TM_CCOEFF_NORMED)
            place = cv2.minMaxLoc(answer)[3]
            x, y = left + place[0], top + place[1]
        found.append((float(x), float(y), float(w), float(h)))
    return np.array(found)


def opencv_rivals(nanotrack: Path) -> dict[str, Follow]:
    """Return what the installed OpenCV has."""
    import cv2

    def nano() -> Any:
        told = cv2.TrackerNano_Params()
        told.backbone, told.neckhead = str(nanotrack / BACKBONE), str(nanotrack / HEAD)
        return cv2.TrackerNano_create(told)

    homes = [cv2, getattr(cv2, "legacy", None)]
    found: dict[str, Follow] = {"nanotrack-v2": by_opencv(nano)}
    for name in ("CSRT", "KCF"):
        makers = [getattr(home, f"Tracker{name}_create", None) for home in homes]
        make = next(filter(None, makers), None)
        if make is not None:
            found[name.lower()] = by_opencv(make)
    return found


def judged(
    follow: Follow, tracks: Sequence[Track], films: Sequence[Sequence[Array]], noise: bool
) -> Any:
    """Return the measures of one tracker over all sequences, with `noise` of a moved box too."""
    rows, curves, noisy, seconds, count = {}, [], [], 0.0, 0
    rng = np.random.default_rng(0)
    for track, frames in zip(tracks, films, strict=True):
        begin = time.perf_counter()
        found = follow(frames, track.boxes[0], track.text)
        seconds += time.perf_counter() - begin
        count += len(frames)
        rows[track.name] = measures(found, track.boxes)
        curves.append(success_curve(found, track.boxes))
        if not noise:
            continue
        shift = rng.uniform(-NOISE, NOISE, 4) * track.boxes[0][[2, 3, 2, 3]]
        again = follow(frames, track.boxes[0] + shift, track.text)
        noisy.append(measures(again, track.boxes)["auc"])
    mean = {
        key: float(np.mean([row[key] for row in rows.values()]))
        for key in next(iter(rows.values()))
    }
    return {
        **mean,
        "auc_std": float(np.std([row["auc"] for row in rows.values()])),
        **({"auc_noisy_box": float(np.mean(noisy))} if noise else {}),
        "frames_s": count / seconds,
        "curve": np.mean(curves, 0).round(4).tolist(),
        "by_attribute": by_attribute(tracks, rows),
        "sequences": rows,
    }


def by_attribute(tracks: Sequence[Track], rows: Any) -> dict[str, float]:
    """Return the AUC of the sequences that bear each attribute."""
    every = sorted({a for track in tracks for a in track.attributes})
    return {
        a: float(np.mean([rows[t.name]["auc"] for t in tracks if a in t.attributes])) for a in every
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sequences", type=Path)
    parser.add_argument("--bundle", default="tracker")
    parser.add_argument("--nanotrack", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--noise", action="store_true", help="also with a first box moved a tenth")
    parser.add_argument("--only", action="append", help="names of trackers to run")
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    data = read_tracks(asked.sequences)
    films = [[track.read(i) for i in range(len(track))] for track in data.tracks]
    rivals = {
        "edgesdk": by_edgesdk(asked.bundle, asked.threads, True),
        "edgesdk, no words": by_edgesdk(asked.bundle, asked.threads, False),
        "template matching": by_template,
        **({} if asked.nanotrack is None else opencv_rivals(asked.nanotrack)),
    }
    bundle = open_bundle(asked.bundle)
    entry = bundle.path / bundle.entry
    results: dict[str, Any] = {}
    for name, follow in rivals.items():
        if asked.only and name not in asked.only:
            continue
        results[name] = judged(follow, data.tracks, films, asked.noise)
        print(name, {k: v for k, v in results[name].items() if isinstance(v, float)}, flush=True)
        write_json(
            asked.output,
            {
                "command": f"python tools/judge_trackers.py {asked.sequences.name}"
                + " --nanotrack FOLDER" * (asked.nanotrack is not None)
                + " --noise" * asked.noise
                + "".join(f" --only {word!r}" for word in asked.only or ()),
                "data": data.name,
                "data_sha256": data.sha256,
                "bundle": bundle.name,
                "entry_sha256": sha256_file(entry) if entry.is_file() else "",
                "threads": asked.threads,
                "load": os.getloadavg()[0],
                "trackers": results,
            },
        )


if __name__ == "__main__":
    told(main)
