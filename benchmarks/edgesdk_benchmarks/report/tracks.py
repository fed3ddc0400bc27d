"""Trackers side by side on a page: what tools/judge_trackers.py wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_json
from edgesdk_benchmarks.report.parts import facts, figure, legend, table
from edgesdk_benchmarks.report.svg import Axis, Bar, Chart, bars

KIND = "trackers"
SHORT = 220  # height of a sequence's chart, pixels of the view box
FACTS = ("data", "bundle", "threads", "command")
# Short heads: a page shows all of them without scrolling.
COLUMNS = {
    "AUC": "auc", "precision, 20 px": "precision", "norm. precision": "normalised_precision",
    "AUC, box moved": "auc_noisy_box", "frames/s": "frames_s", "speed by CPU": "cpu_ratio",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tracks:
    """What one judgement found.

    Attributes:
        name: Of the file.
        facts: Data, bundle, command and the like.
        rows: A tracker's figures, one row per tracker.
        curves: Tracker -> share of frames whose overlap is above each threshold.
        sequences: Rows of the AUC, one per sequence, and one per attribute.
        overlaps: Sequence -> tracker -> overlap of each frame; empty where they were not kept.
    """

    name: str
    facts: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    curves: Mapping[str, Sequence[float]]
    sequences: Mapping[str, Mapping[str, float]]
    attributes: Mapping[str, Mapping[str, float]]
    overlaps: Mapping[str, Mapping[str, Sequence[float | None]]]


def read_judged(path: Path) -> Tracks:
    """Return what a file of tools/judge_trackers.py tells.

    Raises:
        UsageError: it is damaged.
    """
    data = read_json(path, "judgement")
    try:
        found = {str(name): dict(one) for name, one in data["trackers"].items()}
        rows = [
            {"tracker": name}
            | {head: float(f"{float(one[key]):.4g}") for head, key in COLUMNS.items() if key in one}
            for name, one in found.items()
        ]
        return Tracks(
            name=path.stem,
            facts={key: data[key] for key in FACTS if key in data},
            rows=rows,
            curves={name: _numbers(one["curve"]) for name, one in found.items()},
            sequences=_turned({n: _aucs(one["sequences"]) for n, one in found.items()}),
            attributes=_turned({n: dict(one["by_attribute"]) for n, one in found.items()}),
            overlaps=_turned({n: one["overlaps"] for n, one in found.items() if "overlaps" in one}),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{path} is no file of tools/judge_trackers.py ({error!r}); make it again"
        ) from None


def _numbers(values: Any) -> list[float]:
    found = [float(value) for value in values]
    if len(found) < 2:
        raise ValueError("a curve has two points or more")
    return found


def _aucs(sequences: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    return {name: float(row["auc"]) for name, row in sequences.items()}


def _turned(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return inner name -> outer name -> value."""
    names = dict.fromkeys(inner for one in found.values() for inner in one)
    return {n: {outer: one[n] for outer, one in found.items() if n in one} for n in names}


def tracks_section(tracks: Tracks) -> str:
    """Return the part of a page that shows trackers side by side."""
    parts = [f"<section><h2>Trackers: {escape(tracks.name)}</h2>", facts(tracks.facts)]
    parts += [table(tracks.rows), legend(list(tracks.curves))]
    parts.append(figure("Success: share of frames whose overlap is above a threshold",
                        success(tracks.curves)))  # fmt: skip
    parts.append(figure("AUC of each tracker, mean over sequences", whole(tracks)))
    for caption, rows in (("sequence", tracks.sequences), ("attribute", tracks.attributes)):
        if rows:
            parts.append(f"<h3>AUC by {caption}</h3>" + table(named(caption, rows)))
    for name, lines in tracks.overlaps.items():
        parts.append(figure(f"{name}: overlap by frame", over_frames(name, lines)))
    return "".join(parts) + "</section>"


def named(head: str, rows: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Return rows whose first column names them."""
    return [{head: name, **{k: round(v, 3) for k, v in row.items()}} for name, row in rows.items()]


def success(curves: Mapping[str, Sequence[float]]) -> str:
    """Return the success curves."""
    chart = Chart(
        "Success curves",
        "For each tracker the share of frames whose overlap is above a threshold.",
        Axis("overlap threshold", 0, 1, ticks=(0, 0.25, 0.5, 0.75, 1)),
        Axis("share of frames", 0, 1, ticks=(0, 0.25, 0.5, 0.75, 1)),
    )
    for i, (name, shares) in enumerate(curves.items()):
        step = 1 / (len(shares) - 1)
        points = [(k * step, share) for k, share in enumerate(shares)]
        chart.line(points, i, f"{name}: mean {sum(shares) / len(shares):.3f}")
    return chart.svg()


def whole(tracks: Tracks) -> str:
    """Return the AUC of each tracker as a bar; its line goes from the worst to the best quarter."""
    rows = []
    for i, row in enumerate(tracks.rows):
        name, value = str(row["tracker"]), float(row["AUC"])
        every = sorted(one[name] for one in tracks.sequences.values() if name in one) or [value]
        quarter = len(every) // 4
        rows.append(Bar(name, value, every[quarter], every[-1 - quarter], f"{value:.3f}", i))
    text = "Mean AUC; the line spans the middle half of the sequences."
    return bars("AUC", text, rows)


def over_frames(name: str, lines: Mapping[str, Sequence[float | None]]) -> str:
    """Return the overlap of each frame of a sequence; frames without truth are left out."""
    last = max(map(len, lines.values()))
    chart = Chart(
        name,
        "Overlap of box and truth by frame.",
        Axis("frame", 0, max(last - 1, 1), whole=True),
        Axis("overlap", 0, 1, ticks=(0, 0.5, 1)),
        SHORT,
    )
    for i, (tracker, values) in enumerate(lines.items()):
        points = [(float(k), float(v)) for k, v in enumerate(values) if v is not None]
        if points:
            chart.line(points, i, tracker)
    return chart.svg()
