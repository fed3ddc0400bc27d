"""Trackers side by side on labelled sequences: edgesdk's with and without words, and rivals.

    python tools/judge_trackers.py sequences.tar --nanotrack FOLDER -o results.json

One pass each, the first box given: success AUC, precision at 20 px, normalised precision, frames
per second of crop, network and what follows (frames are in memory), per sequence and per
attribute, and with the first box shifted and scaled by a tenth. All of them follow one sequence
before the next one comes; `cpu_ratio` is how many times as much CPU time the first one needs, the
median over the sequences. With `--passes` each sequence is followed so many times, in turns, and
the quickest pass of each tracker counts: other work on the machine then tells less. Rivals are
those of the installed OpenCV: TrackerNano with NanoTrack V2's two files, CSRT, KCF (in
opencv-contrib-python); and template matching at the same size, here.
`--renew` judges these trackers anew in a file that is there and keeps its times and other rows, for
a network of other weights is as fast.
`edgesdk report` draws the file.
"""

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_json, sha256_file, write_json
from edgesdk.core.shipped import open_bundle
from edgesdk.core.tensors import Array
from edgesdk.sequences import Track, measures, overlaps, read_tracks, success_curve
from edgesdk.track import Tracker
from edgesdk_training.nano_track import BACKBONE, HEAD
from tools.command import told

Follow = Callable[[Sequence[Array], Array, str], Array]
NOISE = 0.1  # of the box's sides
TIMES = ("frames_s", "cpu_ms", "cpu_ratio", "cpu_ratios")


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


def opencv_rivals(nanotrack: Path, threads: int) -> dict[str, Follow]:
    """Return what the installed OpenCV has."""
    import cv2

    cv2.setNumThreads(threads)

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
    rivals: Mapping[str, Follow],
    tracks: Sequence[Track],
    noise: bool,
    kept: bool,
    passes: int = 1,
) -> dict[str, Any]:
    """Return the measures of trackers, sequence by sequence in turns, so that times compare.

    Args:
        rivals: Name -> what follows.
        tracks: The sequences.
        noise: Whether to begin a second time with a moved box.
        kept: Whether the overlap of each frame is kept.
        passes: How many times each sequence is followed; the quickest counts.
    """
    found = {name: Judgement() for name in rivals}
    rng = np.random.default_rng(0)
    for number, track in enumerate(tracks):
        frames = [track.read(i) for i in range(len(track))]
        moved = track.boxes[0] + rng.uniform(-NOISE, NOISE, 4) * track.boxes[0][[2, 3, 2, 3]]
        # Who begins changes from sequence to sequence: a cold cache is everybody's.
        names = list(rivals)[number % len(rivals) :] + list(rivals)[: number % len(rivals)]
        for name in names:
            found[name].add(track, rivals[name], frames, moved if noise else None)
        for _ in range(1, passes):
            for name in names:
                found[name].again(track, rivals[name], frames)
    first = next(iter(found.values()))
    return {name: one.told(tracks, first, kept) for name, one in found.items()}


@dataclass
class Judgement:
    """What one tracker did, sequence by sequence."""

    rows: dict[str, dict[str, float]] = field(default_factory=dict)
    curves: list[Array] = field(default_factory=list)
    overlaps: dict[str, list[float | None]] = field(default_factory=dict)
    noisy: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    frames: int = 0

    def add(
        self, track: Track, follow: Follow, frames: Sequence[Array], moved: Array | None
    ) -> None:
        """Follow one sequence, the frames in memory."""
        found, wall, cpu = timed(follow, frames, track)
        self.wall.append(wall)
        self.cpu.append(cpu)
        self.frames += len(frames)
        self.rows[track.name] = measures(found, track.boxes)
        self.curves.append(success_curve(found, track.boxes))
        shares = overlaps(found, track.boxes)
        self.overlaps[track.name] = [None if np.isnan(v) else round(float(v), 3) for v in shares]
        if moved is not None:
            again = follow(frames, moved, track.text)
            self.noisy.append(measures(again, track.boxes)["auc"])

    def again(self, track: Track, follow: Follow, frames: Sequence[Array]) -> None:
        """Follow the last sequence once more, for its times alone; the shorter ones stay."""
        _, wall, cpu = timed(follow, frames, track)
        self.wall[-1], self.cpu[-1] = min(self.wall[-1], wall), min(self.cpu[-1], cpu)

    def told(self, tracks: Sequence[Track], first: "Judgement", kept: bool) -> dict[str, Any]:
        """Return the figures; speeds beside those of the first tracker, the median sequence."""
        rows = list(self.rows.values())
        mean = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        return {
            **mean,
            "auc_std": float(np.std([row["auc"] for row in rows])),
            **({"auc_noisy_box": float(np.mean(self.noisy))} if self.noisy else {}),
            "frames_s": self.frames / sum(self.wall),
            "cpu_ms": 1000 * sum(self.cpu) / self.frames,
            "cpu_ratio": float(np.median(np.divide(first.cpu, self.cpu))),
            "cpu_ratios": [round(float(v), 3) for v in np.divide(first.cpu, self.cpu)],
            "curve": np.mean(self.curves, 0).round(4).tolist(),
            "by_attribute": by_attribute(tracks, self.rows),
            "sequences": self.rows,
            **({"overlaps": self.overlaps} if kept else {}),
        }


def timed(follow: Follow, frames: Sequence[Array], track: Track) -> tuple[Array, float, float]:
    """Return the boxes of a sequence, and the seconds by the clock and of the CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = follow(frames, track.boxes[0], track.text)
    return found, time.perf_counter() - wall, time.process_time() - cpu


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
    parser.add_argument(
        "--passes", type=int, default=1, help="of each sequence; the quickest counts"
    )
    parser.add_argument("--frames", action="store_true", help="keep the overlap of each frame")
    parser.add_argument("--only", action="append", help="names of trackers to run")
    parser.add_argument("--renew", action="append", help="names of trackers to judge anew")
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    data = read_tracks(asked.sequences)
    old = read_json(asked.output, "judgement") if asked.renew else {}
    rivals = {
        "edgesdk": by_edgesdk(asked.bundle, asked.threads, True),
        "edgesdk, no words": by_edgesdk(asked.bundle, asked.threads, False),
        "template matching": by_template,
        **({} if asked.nanotrack is None else opencv_rivals(asked.nanotrack, asked.threads)),
    }
    some = asked.renew or asked.only
    chosen = {name: rivals[name] for name in rivals if not some or name in some}
    bundle = open_bundle(asked.bundle)
    entry = bundle.path / bundle.entry
    results = judged(chosen, data.tracks, asked.noise, asked.frames, asked.passes)
    for name, row in results.items():
        print(name, {k: round(v, 4) for k, v in row.items() if isinstance(v, float)})
    told = {
        "kind": "trackers",
        "command": old.get("command", command_of(asked)),
        "data": data.name,
        "data_sha256": data.sha256,
        "bundle": bundle.name,
        "entry_sha256": sha256_file(entry) if entry.is_file() else "",
        "threads": asked.threads,
        "passes": asked.passes,
        "load": os.getloadavg()[0],
        "trackers": results,
    }
    write_json(asked.output, renewed(old, told) if old else told)


def renewed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return a judgement whose rows of `new` are anew but for the times.

    Raises:
        UsageError: they are of different sequences.
    """
    if old["data_sha256"] != new["data_sha256"]:
        raise UsageError(f"{old['data']} was judged before, not these sequences; judge all anew")
    rows = dict(old["trackers"])
    for name, row in new["trackers"].items():
        rows[name] = {**row, **{key: rows[name][key] for key in TIMES}}
    kept = {key: old[key] for key in ("threads", "passes", "load") if key in old}
    timed = old.get("timed_entry_sha256", old["entry_sha256"])
    return {**new, **kept, "timed_entry_sha256": timed, "trackers": rows}


def command_of(asked: argparse.Namespace) -> str:
    """Return the command, without the places of a machine."""
    return (
        f"python tools/judge_trackers.py {asked.sequences.name}"
        + " --nanotrack FOLDER" * (asked.nanotrack is not None)
        + " --noise" * asked.noise
        + " --frames" * asked.frames
        + f" --passes {asked.passes}" * (asked.passes > 1)
        + "".join(f" --only {word!r}" for word in asked.only or ())
    )


if __name__ == "__main__":
    told(main)
