"""A report as Markdown, and tables as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgesdk.core.result import BenchResult
from edgesdk_benchmarks.report.groups import Group, head, row, split
from edgesdk_benchmarks.report.maps import COLUMNS, Maps
from edgesdk_benchmarks.report.parts import told
from edgesdk_benchmarks.report.runs import Run
from edgesdk_benchmarks.report.tracks import Tracks, named

LIMITS = (
    "Ratios hold inside one interleaved run on one machine. Times are of inference alone unless "
    "a stage is named, copies to and from the host included. Accuracy was measured elsewhere, "
    "by the command its result file names."
)


def text(
    title: str,
    groups: Sequence[Group],
    runs: Sequence[Run] = (),
    maps: Sequence[Maps] = (),
    tracks: Sequence[Tracks] = (),
) -> str:
    """Return the whole report."""
    parts = [f"# {_cell(title)}"]
    for group in groups:
        first = group.results[0]
        parts.append(f"## {group.scenario}, {first.plan.threads} thread(s)")
        parts.append(markdown_table(head(group.results), [row(r) for r in group.results]))
        parts += filter(None, map(split, group.results))
        reasons = [
            f"- {_cell(r.name)}: {_cell(w)}" for r in group.results for w in r.validity.reasons
        ]
        parts += ["\n".join(reasons)] if reasons else []
        parts.append(f"Machine: {_cell(machine(first))}")
    parts += map(_run, runs)
    parts += map(_maps, maps)
    parts += map(_tracks, tracks)
    return "\n\n".join([*parts, *([LIMITS] if groups else [])]) + "\n"


def _maps(maps: Maps) -> str:
    """Return the figures of explanations; the maps are on the page."""
    lines = [[told(value) for value in row.values()] for row in maps.rows]
    return f"## why: {_cell(maps.name)}\n\n{markdown_table(COLUMNS, lines)}"


def _tracks(tracks: Tracks) -> str:
    """Return the figures of trackers side by side; their curves are on the page."""
    parts = [f"## trackers: {_cell(tracks.name)}"]
    held = named("sequence", tracks.sequences), named("attribute", tracks.attributes)
    for rows in filter(None, (tracks.rows, *held)):
        lines = [[told(value) for value in row.values()] for row in rows]
        parts.append(markdown_table(list(rows[0]), lines))
    return "\n\n".join(parts)


def _run(run: Run) -> str:
    """Return a run's measurements and tables; its courses are on the page and in the JSON."""
    parts = [f"## run {_cell(run.name)}{'' if run.finished else ' (unfinished)'}"]
    for held in filter(None, (run.metrics, run.ledger)):
        parts.append(markdown_table(("what", "value"), [(k, told(v)) for k, v in held.items()]))
    for name, rows in run.tables.items():
        head = list(dict.fromkeys(n for row in rows for n in row))
        lines = [[told(row.get(n, "")) for n in head] for row in rows]
        parts += [f"### {_cell(name)}", markdown_table(head, lines)]
    return "\n\n".join(parts)


def machine(result: BenchResult) -> str:
    """Return one line on where a result was measured; a device beyond this host has a name."""
    keys = ("cpu", "cores", "os", "governor", "gpu", "load")
    name = [str(result.device.get("name"))] if result.device.get("kind") != "host" else []
    return ", ".join(name + [f"{k} {_fact(result.environment.get(k))}" for k in keys])


def _fact(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value or "unknown")


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def plain_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return columns of text, numbers right."""
    cells = [list(map(str, line)) for line in [head, *rows]]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(w) if i in (0, len(head) - 1) else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])
