"""What `edgesdk run` does with photos of faces."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.files import write_atomic
from edgesdk.core.jobs import RunJob
from edgesdk.core.tensors import Array
from edgesdk.face import Face, FacePipeline
from edgesdk.face_files import Look, sources
from edgesdk.tasks._masks import completes, views
from edgesdk.tasks._output import PICTURES, check_suffix, write_picture
from edgesdk.tasks._sheet import MOST, sheet
from edgesdk.videos import EVERY_S

COLUMNS = (
    "picture", "face", "taken", "x", "y", "width", "height", "score", "quality", "similarity",
    "decision",
)  # fmt: skip


def run_pictures(
    job: RunJob,
    aligned: bool | None = None,
    every: bool = False,
    every_s: float = EVERY_S,
    strict: bool = False,
    detector: str | None = None,
) -> dict[str, Any]:
    """Embed the faces of pictures and compare the first with each other one.

    Args:
        job: Pictures, videos and folders; `output` may be .csv, .npy (float32 [N, D]) or a sheet.
        aligned: As in `FacePipeline.face`.
        every: All faces of a photo, instead of the largest one.
        detector: Name of what finds the faces, see `FacePipeline`.
        every_s: Seconds between the pictures of a video; 0 for all.
        strict: Refuse pictures that cannot be read.

    Returns:
        Plain data: "bundle", "runtime", "faces" (picture, face, aligned, taken, box, points,
        score, quality, embedding), "comparisons" (a, b, face, similarity, same, decision,
        threshold, far, reason), "skipped" (picture, why), "output", and "rule", the sentence
        behind the decisions.

    Raises:
        UsageError: there is no picture, or none shows a face.
        MissingDependencyError: a whole photo needs a detector, and there is none.
    """
    check_suffix(job.output, (".csv", ".npy", *PICTURES))
    given = sources(job.files)
    if not given:
        raise UsageError(
            "no picture was given; give one to embed it, two to compare them, or --device browser "
            "for a camera"
        )
    with FacePipeline(
        job.bundle,
        job.runtime,
        job.device,
        job.threads,
        detector,
        allow_fallback=job.allow_fallback,
    ) as pipeline:
        look = Look(pipeline, aligned, not every, every_s, strict)
        found = [
            (one.label, number, face)
            for one in look(given, job.progress)
            for number, face in enumerate(sorted(one.faces, key=_area, reverse=True), 1)
        ]
        if not found:
            more = f" (and {len(look.skipped) - 1} more were skipped)" * (len(look.skipped) > 1)
            raise UsageError(f"{look.skipped[0]['why']}{more}")
        data = _data(pipeline, found)
        if job.output is not None:
            _write(job.output, data, pipeline, [face for _, _, face in found])
    output = None if job.output is None else str(job.output)
    return {**data, "skipped": look.skipped, "output": output}


def _area(face: Face) -> float:
    return face.detection.area if face.detection else 0.0


def _data(pipeline: FacePipeline, found: Sequence[tuple[str, int, Face]]) -> dict[str, Any]:
    first = found[0][2]
    compared = [pipeline.decide_faces(first, face) for _, _, face in found[1:]]
    decided = next((c.reason for c in compared if c.same is not None), None)
    return {
        "bundle": pipeline.bundle.name,
        "runtime": pipeline.session.runtime,
        "faces": [_face_json(label, number, face) for label, number, face in found],
        "comparisons": [
            {
                "a": found[0][0],
                "b": label,
                "face": number,
                "similarity": result.similarity,
                "same": result.same,
                "decision": result.decision,
                "threshold": result.threshold,
                "far": result.far,
                "reason": result.reason,
            }
            for (label, number, _), result in zip(found[1:], compared, strict=True)
        ],
        "rule": decided or (compared[0].reason if compared else None),
    }


def _face_json(label: str, number: int, face: Face) -> dict[str, Any]:
    place, quality = face.detection, face.quality
    return {
        "picture": label,
        "face": number,
        "aligned": place is None,
        "taken": face.taken,
        "box": None if place is None else list(place.box),
        "points": None if place is None else np.asarray(place.points).tolist(),
        "score": None if place is None else place.score,
        "quality": None
        if quality is None
        else {
            "size_px": quality.size_px,
            "sharpness": quality.sharpness,
            "turn_deg": quality.turn_deg,
            "misfit": quality.misfit,
            "note": quality.note,
        },
        "embedding": face.embedding.tolist(),
    }


def _write(
    path: Path, data: Mapping[str, Any], pipeline: FacePipeline, faces: Sequence[Face]
) -> None:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        stream = io.BytesIO()
        np.save(stream, np.stack([face.embedding for face in faces]), allow_pickle=False)
        write_atomic(path, stream.getvalue())
    elif suffix == ".csv":
        write_atomic(path, _csv(data).encode())
    else:
        crops = [face.crop for face in faces[:MOST]]
        shown = views(pipeline, crops) if completes(pipeline.bundle) else crops
        write_picture(path, _sheet(data, shown))


def _csv(data: Mapping[str, Any]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for face, compared in zip(data["faces"], [None, *data["comparisons"]], strict=True):
        box = face["box"] or [None] * 4
        decided = (compared["similarity"], compared["decision"]) if compared else (None, None)
        note = face["quality"]["note"]
        table.writerow(
            [face["picture"], face["face"], face["taken"], *box, face["score"], note, *decided]
        )
    return text.getvalue()


def _sheet(data: Mapping[str, Any], crops: Sequence[Array]) -> Array:
    words = [Path(data["faces"][0]["picture"]).name]
    words += [f"{c['similarity']:.2f} {c['decision']}" for c in data["comparisons"]]
    return sheet(crops, words)


def lines(result: Mapping[str, Any]) -> list[list[str]]:
    """Return a row per comparison: pictures, similarity, decision, what it was taken for."""
    several = any(face["face"] > 1 for face in result["faces"])
    return [
        [
            Path(c["a"]).name,
            Path(c["b"]).name + (f" face {c['face']}" if several else ""),
            f"{c['similarity']:.4f}",
            c["decision"],
            f"{face['taken']}, {face['quality']['note']}",
        ]
        for c, face in zip(result["comparisons"], result["faces"][1:], strict=True)
    ]


def notes(result: Mapping[str, Any]) -> list[str]:
    """Return what is to be told below the table: undecided, skipped, written."""
    reasons = dict.fromkeys(
        f"{Path(c['b']).name}: {c['reason']}"
        for c in result["comparisons"]
        if c["decision"] == "undecided" and c["reason"] != result["rule"]
    )
    told = [result["rule"]] if result["rule"] else []
    told += [*reasons, *(f"skipped {s['picture']}: {s['why']}" for s in result["skipped"])]
    return [*told, *([f"wrote {result['output']}"] if result["output"] else [])]
