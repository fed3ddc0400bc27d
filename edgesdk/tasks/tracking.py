"""Where a target is in each frame: a box in the first one, boxes in all that follow."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.files import encoded, write_atomic, write_json
from edgesdk.core.jobs import RunJob
from edgesdk.core.protocols import Task
from edgesdk.core.task import Headline, Judged, Metric, ModelInfo, Run, Samples, info_of, measured
from edgesdk.core.tensors import Array
from edgesdk.frames import Frame, VideoWriter, camera, frames_of, rate_of
from edgesdk.sequences import measures
from edgesdk.tasks._inputs import textures
from edgesdk.tasks._output import check_suffix
from edgesdk.tasks._track_sets import MadeWorlds, TrackSet, drawn, open_set
from edgesdk.track import Follower, Found

OUTPUTS = (".mp4", ".avi", ".csv", ".json", ".txt")
HEAD = ("frame", "x", "y", "width", "height", "score", "lost")


class Tracking:
    """A crop, the memory of a target and a sentence in, scores and boxes out."""

    aliases = ("tracker", "visual-tracking")
    extra = ""
    requires: tuple[str, ...] = ()
    item = "frame"
    live = "track"

    def pictures(self, count: int, seed: int, side: int) -> list[Array]:
        """Return coloured clutter."""
        return textures(count, seed, side)

    def draw(self, info: ModelInfo, count: int, seed: int) -> Samples:
        """Return frames of made-up worlds with their sentences; memories are drawn."""
        return drawn(info, count, seed)

    def read(self, info: ModelInfo, place: Path, count: int, seed: int) -> Samples:
        """Return frames of a set of sequences, or of made-up worlds for "synthetic"."""
        return open_set(place).samples(info, count, seed)

    def evaluation(self, place: Path) -> TrackSet | MadeWorlds:
        """Open labelled sequences; the word "synthetic" gives made-up worlds."""
        return open_set(place)

    def judge(
        self, info: ModelInfo, runs: Sequence[Run], data: TrackSet | MadeWorlds
    ) -> list[Judged]:
        """Judge runs by the success AUC, one pass, the sentence given."""
        rows: list[list[dict[str, float]]] = [[] for _ in runs]
        followers = [Follower(run, info) for run in runs]
        for frames, boxes, text in data.films():
            pictures = list(frames)
            for mine, follower in zip(rows, followers, strict=True):
                found = [follower.start(pictures[0], boxes[0], text).box]
                found += [follower.update(picture).box for picture in pictures[1:]]
                mine.append(measures(np.array(found), boxes))
        return [_judged(mine) for mine in rows]

    def headline(self, metrics: Mapping[str, Any]) -> Headline | None:
        """Return what a gate stored, else the AUC on sequences held out of the training."""
        value = metrics.get("holdout_auc")
        if measured(metrics) is None and isinstance(value, int | float):
            return Headline("AUC", "held-out scenes", float(value), percent=False)
        return measured(metrics)

    def run(
        self,
        job: RunJob,
        *,
        box: str | Sequence[float] = "",
        text: str = "",
        camera: int | None = None,
    ) -> dict[str, Any]:
        """Follow a target through a folder of frames, a video or a camera's picture.

        Args:
            box: The target in the first frame: x,y,width,height in pixels.
            text: A sentence that tells it apart, such as "the red car".
            camera: Number of a camera to follow it live, until Ctrl-C.

        Returns:
            "frames" (frame, box, score, lost), the first one being the given box; "fps", of
            crop, network and what follows; "stages_ms" per frame; "skipped" (frame, why).
        """
        from edgesdk_runtimes._open import open_session

        _check_output(job)
        frames, total = _source(job.files, camera)
        first = next(frames, None)
        if first is None or first.picture is None:
            why = f" ({first.why})" if first is not None else ""
            raise UsageError(f"the first frame cannot be read{why}; the target is shown in it")
        with ExitStack() as stack:
            session = stack.enter_context(
                open_session(job.bundle, job.runtime, job.device, job.threads, job.allow_fallback)
            )
            follower = Follower(session.run, info_of(job.bundle))
            begun = follower.start(first.picture, parsed(box), text)
            keep = stack.enter_context(_Kept(job))
            keep.add(first, begun)
            for number, frame in enumerate(_until_stopped(frames, camera), 2):
                keep.add(frame, follower.update(frame.picture))
                if job.progress is not None:
                    job.progress(number, max(total, number), "frames")
        return {
            "bundle": job.bundle.name,
            "runtime": session.runtime,
            "text": text,
            "frames": keep.rows,
            **speed(follower.seconds, len(keep.rows)),
            "skipped": keep.skipped,
            "output": None if job.output is None else str(job.output),
        }

    def show(self, result: Mapping[str, Any]) -> str:
        """Return how many frames, where the target was last, and the speed."""
        rows, stages = result["frames"], result["stages_ms"]
        last, lost = rows[-1], sum(row["lost"] for row in rows)
        where = ", ".join(f"{value:.1f}" for value in last["box"])
        spent = ", ".join(f"{name} {value:.2f} ms" for name, value in stages.items())
        lines = [
            f"{len(rows)} frame{'s' * (len(rows) != 1)}, lost in {lost}; "
            f"last box {where} (score {last['score']:.2f})",
            f"{result['fps']:.0f} frames/s by {result['runtime']}: {spent}",
            *(f"skipped {s['frame']}: {s['why']}" for s in result["skipped"]),
        ]
        return "\n".join([*lines, *([f"wrote {result['output']}"] if result["output"] else [])])


def parsed(box: str | Sequence[float]) -> list[float]:
    """Return the numbers of "x,y,width,height", or of a sequence of four.

    Raises:
        UsageError: they are not four.
    """
    try:
        words = box.replace(",", " ").split() if isinstance(box, str) else box
        numbers = [float(word) for word in words]
    except (ValueError, TypeError, OverflowError):
        numbers = []
    if len(numbers) != 4:
        raise UsageError(
            f"--box is x,y,width,height of the target in the first frame, in pixels, such as "
            f"--box 40,25,80,60; found {box!r}"
        )
    return numbers


def speed(seconds: Mapping[str, float], frames: int) -> dict[str, Any]:
    """Return "fps" and "stages_ms" out of the seconds spent on `frames` frames."""
    whole = max(sum(seconds.values()), 1e-9)
    stages = {name: 1000 * value / frames for name, value in seconds.items()}
    return {"fps": frames / whole, "stages_ms": stages}


def _check_output(job: RunJob) -> None:
    """Raise UsageError where the result would be no file of its own."""
    check_suffix(job.output, OUTPUTS)
    if job.output is not None and any(job.output.resolve() == p.resolve() for p in job.files):
        raise UsageError(f"-o {job.output} is what is followed; give another name")


def _source(files: Sequence[Path], number: int | None) -> tuple[Iterator[Frame], int]:
    if number is None:
        return frames_of(files)
    if files:
        raise UsageError("--camera takes its frames from a camera; leave the files out")
    return camera(number), 0


def _until_stopped(frames: Iterator[Frame], number: int | None) -> Iterator[Frame]:
    """Yield the frames; Ctrl-C ends a camera's in peace."""
    try:
        yield from frames
    except KeyboardInterrupt:
        if number is None:
            raise


class _Kept:
    """Rows of the answer, and the file that was asked for."""

    def __init__(self, job: RunJob) -> None:
        self.rows: list[dict[str, Any]] = []
        self.skipped: list[dict[str, str]] = []
        self._output = job.output
        self._shown: Array | None = None
        film = job.output is not None and job.output.suffix.lower() in (".mp4", ".avi")
        self._video = VideoWriter(job.output, rate_of(job.files)) if film and job.output else None

    def __enter__(self) -> "_Kept":
        return self

    def add(self, frame: Frame, found: Found) -> None:
        row = {"frame": frame.name, "box": list(found.box), "score": found.score}
        self.rows.append({**row, "lost": found.lost})
        if frame.picture is None:
            self.skipped.append({"frame": frame.name, "why": frame.why})
        else:
            self._shown = frame.picture
        if self._video is not None and self._shown is not None:
            # In place of a frame that cannot be read the one before stays: the film keeps time.
            self._video.add(self._shown, found.box, found.lost)

    def __exit__(self, *error: Any) -> None:
        if self._video is not None:
            self._video.__exit__(*error)
        elif self._output is not None and error[0] is None:
            if self._output.suffix.lower() == ".json":
                write_json(self._output, {"frames": self.rows, "skipped": self.skipped})
            else:
                write_atomic(self._output, encoded(self._lines(self._output)))

    def _lines(self, path: Path) -> str:
        """Return OTB's lines of boxes for .txt, a table for .csv."""
        boxes = [[f"{value:.2f}" for value in row["box"]] for row in self.rows]
        if path.suffix.lower() != ".csv":
            return "".join(",".join(box) + "\n" for box in boxes)
        stream = io.StringIO()
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(HEAD)
        for row, box in zip(self.rows, boxes, strict=True):
            table.writerow([row["frame"], *box, f"{row['score']:.4f}", int(row["lost"])])
        return stream.getvalue()


def _judged(rows: Sequence[Mapping[str, float]]) -> Judged:
    found = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    names = {"auc": "AUC", "precision": "precision", "normalised_precision": "normalised precision"}
    return Judged(
        metrics=tuple(
            Metric(key=names[key], value=float(values.mean()), items=values)
            for key, values in found.items()
        )
    )


PLUGIN: Task = Tracking()
