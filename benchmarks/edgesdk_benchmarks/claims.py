"""What the rows of an accuracy result say about training: each claim, its numbers, its verdict.

Rows are compared only where one thing differs: same student, same face size, same epochs,
trained on as many pictures. A difference between two ways of training counts by its lower end,
two standard errors down; that accuracy grows with the face is told of what was measured.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import stdev
from typing import Any

# Points that distillation shall bring over the labels alone.
MARGIN = 3.0
# Points of accuracy that int8 may lose.
SMALL_LOSS = 0.3
TEACHER = "sface-2021dec"
KINDS = ("labels only", "direct", "bridge")
Row = Mapping[str, Any]


def trained(provenance: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return how a checkpoint of the recipe `bridge` was trained; None for any other.

    Returns:
        "kind" (of KINDS), "epochs" and "pictures".
    """
    settings = provenance.get("settings")
    if provenance.get("recipe") != "bridge" or not settings:
        return None
    bridge = bool(settings["mimic"]) and not settings["direct"]
    kind = KINDS[0] if settings["labels_only"] else KINDS[2] if bridge else KINDS[1]
    return {"kind": kind, "epochs": settings["epochs"], "pictures": provenance.get("pictures")}


def claims(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return every claim that the rows allow to be judged."""
    own = _own_size(rows)
    return [
        *_grows(own), *_against_teacher(own, rows), *_against_labels(rows), *_against_direct(rows)
    ]  # fmt: skip


def small_losses(artefacts: Sequence[Row]) -> list[dict[str, Any]]:
    """Return of each int8 artefact whether it loses little against its own checkpoint.

    "holds" judges the measured loss, "proven" the upper end of its 95 % interval.
    """
    return [
        {
            "claim": f"{row['model']} {row['target']} int8 loses at most {SMALL_LOSS} points",
            "points": row["drop"]["points"],
            "interval": row["drop"]["interval"],
            "holds": row["drop"]["points"] <= SMALL_LOSS,
            "proven": row["drop"]["interval"][1] <= SMALL_LOSS,
        }
        for row in artefacts
        if row["precision"] == "int8" and "drop" in row
    ]


def _own_size(rows: Sequence[Row]) -> dict[str, Row]:
    """Return every fp32 model's row at its largest face."""
    own: dict[str, Row] = {}
    for row in rows:
        if row["precision"] == "fp32" and row["face_px"] >= own.get(row["model"], row)["face_px"]:
            own[row["model"]] = row
    return own


def _grows(own: Mapping[str, Row]) -> Iterator[dict[str, Any]]:
    """Each student of several sizes, every model at its own size."""
    families: dict[str, list[Row]] = {}
    for name, row in own.items():
        stem, _, size = name.rpartition("-")
        families.setdefault(stem if size.isdigit() and stem in own else name, []).append(row)
    for name, members in families.items():
        if len(members) > 1:
            ordered = sorted(members, key=lambda row: int(row["face_px"]))
            values = [float(row["accuracy"]) for row in ordered]
            yield {
                "claim": f"{name}: accuracy grows with the face",
                "values": {str(r["face_px"]): v for r, v in zip(ordered, values, strict=True)},
                "holds": all(a < b for a, b in pairwise(values)),
            }


def _against_teacher(own: Mapping[str, Row], rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Each student at its own size against the teacher, which gets the same faces enlarged."""
    teacher = {row["face_px"]: row for row in rows if row["model"] == TEACHER}
    for name, row in own.items():
        above = teacher.get(row["face_px"])
        if above is None or row.get("source_sha256") is None:
            continue
        points = 100 * (row["accuracy"] - above["accuracy"])
        error = _standard_error(row["folds"], above["folds"])
        yield {
            "claim": f"{name} at {row['face_px']} px beats its teacher on the same faces",
            "values": {"teacher": above["accuracy"], "student": row["accuracy"]},
            "points": points,
            "standard_error": error,
            "holds": points - 2 * (error or 0.0) > 0,
        }


def _against_labels(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    for found in _alike(rows):
        for kind in KINDS[1:]:
            if KINDS[0] in found and kind in found:
                yield _compared(found, KINDS[0], kind, MARGIN)


def _against_direct(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    for found in _alike(rows):
        if "direct" in found and "bridge" in found:
            yield _compared(found, "direct", "bridge", 0.0)


def _alike(rows: Sequence[Row]) -> list[dict[str, Row]]:
    groups: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in rows:
        how = row.get("trained")
        if how:
            key = (row["model"], row["face_px"], how["epochs"], how["pictures"])
            groups.setdefault(key, {})[how["kind"]] = row
    return list(groups.values())


def _compared(found: Mapping[str, Row], below: str, above: str, margin: float) -> dict[str, Any]:
    points = 100 * (found[above]["accuracy"] - found[below]["accuracy"])
    by = f" by {margin:g} points or more" if margin else ""
    row, error = found[above], _standard_error(found[above]["folds"], found[below]["folds"])
    epochs = row["trained"]["epochs"]
    return {
        "claim": f"{row['model']} at {row['face_px']} px, {epochs} epochs: "
        f"{above} beats {below}{by}",
        "values": {kind: found[kind]["accuracy"] for kind in (below, above)},
        "points": points,
        "standard_error": error,
        "holds": points - 2 * (error or 0.0) > margin,
    }


def _standard_error(above: Sequence[float], below: Sequence[float]) -> float | None:
    """Return that of the mean difference in points, from the folds; None for a single fold."""
    if len(above) < 2:
        return None
    differences = [100 * (a - b) for a, b in zip(above, below, strict=True)]
    return stdev(differences) / math.sqrt(len(differences))
