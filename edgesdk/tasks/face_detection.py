"""Photos to faces: boxes, five points and scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.boxes import Detection, decode, suppress
from edgesdk.core.batches import in_batches
from edgesdk.core.errors import UsageError
from edgesdk.core.jobs import RunJob
from edgesdk.core.preprocess import resize
from edgesdk.core.protocols import Task
from edgesdk.core.samples import synthetic_faces
from edgesdk.core.table import table
from edgesdk.core.task import (
    Headline,
    Judged,
    Metric,
    ModelInfo,
    Run,
    Samples,
    measured,
    picture_inputs,
)
from edgesdk.core.tensors import Array
from edgesdk.detect import FaceDetector
from edgesdk.photos import find
from edgesdk.tasks._each import each_picture
from edgesdk.tasks._face_sets import (
    Agreement,
    FacePhotos,
    agree,
    average_precision,
    read_faces,
    shares_in_precision,
    squared,
)
from edgesdk.tasks._inputs import draw_inputs, read_pictures, textures
from edgesdk.tasks._output import PICTURES, check_suffix, write_picture
from edgesdk.tasks._sheet import sheet

# Detections down to here have a part in the average precision.
LEAST = 0.05
COLOUR = (64, 224, 96)


class FaceDetection:
    """Pictures in, nine maps out; `edgesdk.boxes` makes faces of them."""

    aliases = ("face-detector", "faces")
    extra = ""
    requires: tuple[str, ...] = ()
    item = "picture"
    live = ""

    def pictures(self, count: int, seed: int, side: int) -> list[Array]:
        """Return coloured clutter with a face-like crop in each; nobody is shown."""
        faces = synthetic_faces(count, seed, max(8, side // 3))
        return [_with(t, faces[i], i) for i, t in enumerate(textures(count, seed, side))]

    def draw(self, info: ModelInfo, count: int, seed: int) -> Samples:
        """Return pre-processed clutter with face-like crops."""
        return draw_inputs(info, count, seed, self.pictures, "drawn pictures")

    def read(self, info: ModelInfo, place: Path, count: int, seed: int) -> Samples:
        """Return pre-processed photos of a folder or tar archive."""
        return read_pictures(info, place, count, seed, "photos like those it will see")

    def evaluation(self, place: Path) -> FacePhotos:
        """Open a folder or tar archive with `faces.json`, see `_face_sets`."""
        return read_faces(place)

    def judge(self, info: ModelInfo, runs: Sequence[Run], data: FacePhotos) -> list[Judged]:
        """Judge runs by the average precision at an overlap of one half, and by the points."""
        photos: list[list[Agreement]] = [[] for _ in runs]
        for name, faces in zip(data.names, data.faces, strict=True):
            whole = squared(data.source.read(name))
            tensors = picture_inputs(info, [whole])
            for mine, run in zip(photos, runs, strict=True):
                found = in_batches(run, tensors, info.inputs[0].shape[0])
                side = info.preprocess[info.inputs[0].name].size[0]
                mine.append(agree(_faces(info, found, len(whole) / side), faces))
        return [_judged(info, mine) for mine in photos]

    def headline(self, metrics: Mapping[str, Any]) -> Headline | None:
        """Return what a gate stored, else the average precision on photos held out."""
        value = metrics.get("holdout_ap")
        if measured(metrics) is None and isinstance(value, int | float):
            return Headline("AP", "photos held out", float(value))
        return measured(metrics)

    def run(self, job: RunJob, *, score: float | None = None) -> dict[str, Any]:
        """Find the faces of each picture; `-o` draws them.

        Args:
            score: Least score of a face; default: the bundle's own.

        Returns:
            "pictures" (picture, width, height, faces: box, points, score) and "skipped" (picture,
            why).
        """
        check_suffix(job.output, PICTURES)
        if score is not None and not 0 < score < 1:
            raise UsageError(f"score must be between 0 and 1, found {score}")
        seen = FaceDetector(
            job.bundle, job.threads, score, runtime=job.runtime, device=job.device,
            allow_fallback=job.allow_fallback,
        )  # fmt: skip
        drawn: list[Array] = []

        def see(path: Path, picture: Array) -> dict[str, Any]:
            found = find(seen, picture)
            if job.output is not None:
                drawn.append(marked(picture, found))
            return _row(path, picture, found)

        rows, skipped = each_picture(job, see)
        if job.output is not None:
            names = [f"{len(row['faces'])} faces" for row in rows]
            write_picture(job.output, drawn[0] if len(drawn) == 1 else sheet(drawn, names))
        return {
            "bundle": job.bundle.name,
            "runtime": seen.runtime,
            "pictures": rows,
            "skipped": skipped,
            "output": None if job.output is None else str(job.output),
        }

    def show(self, result: Mapping[str, Any]) -> str:
        """Return a line per face."""
        body = [
            [
                row["picture"],
                " ".join(f"{v:.0f}" for v in face["box"]),
                f"{face['score']:.2f}",
            ]
            for row in result["pictures"]
            for face in row["faces"]
        ]
        bare = [row["picture"] for row in result["pictures"] if not row["faces"]]
        lines = [table(["picture", "x y width height", "score"], body)] if body else []
        lines += [f"no face: {name}" for name in bare]
        lines += [f"skipped {s['picture']}: {s['why']}" for s in result["skipped"]]
        return "\n".join([*lines, *([f"wrote {result['output']}"] if result["output"] else [])])


def _with(picture: Array, face: Array, number: int) -> Array:
    """Return a picture with a face-like crop at a place of its own."""
    side, size = len(picture), len(face)
    top, left = (37 * number) % (side - size + 1), (61 * number) % (side - size + 1)
    drawn = picture.copy()
    drawn[top : top + size, left : left + size] = resize(face, (size, size)).round()
    return drawn


def _faces(info: ModelInfo, outputs: Mapping[str, Any], factor: float) -> list[Detection]:
    from edgesdk.boxes import scaled

    found = decode(outputs, 0, LEAST)
    kept = suppress(found, float(info.postprocess.get("overlap", 0.3)))
    return [scaled(found[i], factor) for i in kept]


def _row(path: Path, picture: Array, found: Sequence[Detection]) -> dict[str, Any]:
    return {
        "picture": str(path),
        "width": picture.shape[1],
        "height": picture.shape[0],
        "faces": [
            {
                "box": list(map(float, face.box)),
                "points": np.asarray(face.points, float).tolist(),
                "score": float(face.score),
            }
            for face in found
        ],
    }


def marked(picture: Array, found: Sequence[Detection]) -> Array:
    """Return a picture with boxes and points drawn on it."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    pen, width = ImageDraw.Draw(image), max(1, max(picture.shape[:2]) // 320)
    for face in found:
        x, y, w, h = face.box
        pen.rectangle([x, y, x + w, y + h], outline=COLOUR, width=width)
        for u, v in np.asarray(face.points):
            pen.ellipse([u - width, v - width, u + width, v + width], fill=COLOUR)
    return np.asarray(image)


def _judged(info: ModelInfo, photos: Sequence[Agreement]) -> Judged:
    cut = float(info.postprocess.get("score", 0.5))
    errors = [np.nanmean(p.errors) if np.isfinite(p.errors).any() else np.nan for p in photos]
    apart = np.array(errors, float)
    # 1 is far off: what a run that finds nothing is told.
    mean = float(np.nanmean(apart)) if np.isfinite(apart).any() else 1.0
    false = sum(int((~p.right & (p.scores >= cut)).sum()) for p in photos)
    right = sum(int((p.right & (p.scores >= cut)).sum()) for p in photos)
    faces = sum(p.faces for p in photos)
    return Judged(
        metrics=(
            Metric(
                key="AP",
                value=average_precision(photos),
                items=shares_in_precision(photos),
            ),
            Metric(
                key="point error",
                value=mean,
                items=np.where(np.isfinite(apart), apart, mean),
                higher_is_better=False,
            ),
        ),
        numbers={
            "recall": right / faces if faces else 1.0,
            "false finds per picture": false / max(len(photos), 1),
        },
    )


PLUGIN: Task = FaceDetection()
