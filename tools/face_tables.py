"""Tables of docs/face-detector.md, made from committed results by `make docs`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from readme_tables import table

RESULTS = Path(__file__).parent.parent / "training" / "results"


def read(name: str) -> Any:
    """Return a committed result."""
    return json.loads((RESULTS / name).read_text())


def percent(share: dict[str, Any]) -> str:
    """Return a share with its 95 % interval."""
    return f"{100 * share['share']:.1f} % ({100 * share['low']:.1f} to {100 * share['high']:.1f})"


def one_look() -> str:
    """Return what each detector finds in one look, and how long it takes."""
    found = read("face-detector.json")
    graphs, looks = (found[f"{part}_ms_at_320_px_one_thread"] for part in ("graph", "look"))
    head = ["one look", "faces from 20 px found", "false finds a picture", "points off",
            "graph ms", "look ms"]  # fmt: skip
    return table(head, [
        [name, percent(row["recall_from_20_px"]), f"{row['false_finds_per_picture']:.3f}",
         _points(row), *(_ms(name, ms) for ms in (graphs, looks))]
        for name, row in found["detectors"].items()
    ])  # fmt: skip


def all_looks() -> str:
    """Return what `run` and `FacePipeline` find with each detector."""
    head = ["all looks", "faces from 20 px found", "false finds a picture", "points off"]
    return table(head, [
        [name, percent(row["recall_from_20_px"]), f"{row['false_finds_per_picture']:.3f}",
         _points(row)]
        for name, row in read("face-detector.json")["all_looks"].items()
    ])  # fmt: skip


def _points(row: dict[str, Any]) -> str:
    """Return how far points are off; a rival that gives no five points has none."""
    error = row["point_error_of_eye_distance"]
    return "-" if error is None else f"{error:.2f}"


def _ms(name: str, spent: dict[str, list[float]]) -> str:
    return f"{np.median(spent[name]):.2f}" if name in spent else "-"


def turned() -> str:
    """Return how many pasted faces are found, by turn, and behind masks."""
    found = read("face-detector.json")["pasted_faces_found_by_turn_and_masked"]
    ways = list(next(iter(found.values())))
    rows = [[name, *(percent(row[way]) for way in ways)] for name, row in found.items()]
    return table(["one look, turned by", *ways], rows)


def verification() -> str:
    """Return what verification is worth behind each detector."""
    found = read("face-detector-alignment.json")
    rows = [
        [name, f"{100 * row['accuracy']:.1f} %", f"{row['auc']:.3f}"]
        for name, row in found["detectors"].items()
    ]
    return table(["faces aligned by", f"{found['model']} on {found['pairs']} pairs", "AUC"], rows)
