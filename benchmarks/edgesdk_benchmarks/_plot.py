"""Accuracy against time, drawn from the rows of an accuracy result as one SVG file."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from edgesdk_benchmarks.report.charts import accuracy_cost

# They enlarge small faces, so their cost is the same at every size.
ENLARGING = ("sface-2021dec", "mobilefacenet", "dlib-resnet-v1")
LEAST_STEP = 0.01
Row = dict[str, Any]


def own_size_rows(rows: Sequence[Row]) -> list[Row]:
    """Return every model at its own input size, and what enlarges at the sizes of the others."""
    side: dict[str, int] = {}
    for row in rows:
        side[row["model"]] = max(row["face_px"], side.get(row["model"], 0))
    sides = set(side.values())
    return [
        row
        for row in rows
        if row["face_px"] == side[row["model"]]
        or (row["model"] in ENLARGING and row["face_px"] in sides)
    ]


def _family(row: Row) -> str:
    """Return the model's name without the face size it is made for."""
    name = str(row["model"])
    return name.removesuffix(f"-{row['face_px']}")


def _label(row: Row, shown: list[str]) -> str:
    """Return family and face size; the size alone where the family stands at an earlier dot."""
    size, family = f"{row['face_px']} px", _family(row)
    if family in shown:
        return size
    shown.append(family)
    return f"{family}, {size}"


def _apart(rows: Sequence[Row]) -> list[Row]:
    shown: dict[str, float] = {}
    kept = []
    for row in sorted(rows, key=lambda row: int(row["face_px"])):
        name, accuracy = row["model"], row["accuracy"]
        if name not in ENLARGING or accuracy >= shown.get(name, 0.0) + LEAST_STEP:
            shown[name] = accuracy
            kept.append(row)
    return kept


def plot(rows: Sequence[Row], y_label: str = "accuracy, %") -> str:
    """Return the SVG file of the fp32 rows of `own_size_rows`; it stands alone.

    A family has one colour and is named at its smallest face. Of a network that enlarges,
    sizes that bring less than a point more are left out: their dots would cover each other.
    """
    shown: list[str] = []
    drawn = _apart([row for row in own_size_rows(rows) if row["precision"] == "fp32"])
    points = [(_label(row, shown), row["ms_per_face"], 100 * row["accuracy"]) for row in drawn]
    series = [shown.index(_family(row)) for row in drawn]
    x_label = "ms per face on one CPU thread, from crop to embedding"
    svg = accuracy_cost(points, x_label, y_label, series)
    style = files("edgesdk_benchmarks.report").joinpath("style.css").read_text("utf-8")
    style = style.replace("body {", "svg {")
    svg = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    inside = svg.index(">") + 1
    ground = '<rect width="100%" height="100%" style="fill:var(--card)"/>'
    return f"{svg[:inside]}<style>{style}</style>{ground}{svg[inside:]}\n"
