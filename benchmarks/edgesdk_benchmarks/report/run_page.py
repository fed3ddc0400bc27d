"""Draw training runs: their courses, pictures, measurements and ledger."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

from edgesdk_benchmarks.report.parts import facts, figure, table
from edgesdk_benchmarks.report.runs import PICTURES, Run
from edgesdk_benchmarks.report.svg import Chart, around

MOST_PICTURE, SMALL_CHART = 8 << 20, 200


def run_section(run: Run) -> str:
    """Return the part of a page that tells of one run."""
    state = "" if run.finished else " <em>(unfinished)</em>"
    parts = [f"<section><h2>Run {escape(run.name)}{state}</h2>", facts(run.facts)]
    parts += [figure(f"{phase}: {name}".strip(": "), _chart(phase, name, points))
              for phase, name, points in run.courses]  # fmt: skip
    parts += [image(name, path) for name, path in run.pictures.items()]
    for name, held in (("Measured", run.metrics), ("Privacy ledger", run.ledger)):
        parts += [f"<h3>{name}</h3>{facts(held)}"] if held else []
    parts += [f"<h3>{escape(name)}</h3>{table(rows)}" for name, rows in run.tables.items()]
    parts.append(f"<details><summary>Settings</summary>{facts(run.settings)}</details>")
    return "".join(parts) + "</section>"


def _chart(phase: str, name: str, points: Sequence[tuple[float, float]]) -> str:
    steps, values = zip(*points, strict=True)
    across = around(steps, "round" if phase == "rounds" else "step", whole=True)
    up = around(values, name, whole=all(float(v).is_integer() for v in values))
    chart = Chart(f"{phase} {name}", f"{name} by step", across, up, SMALL_CHART)
    chart.line(points, 0, f"{name}: {values[0]:.4g} to {values[-1]:.4g}", dots=len(points) < 40)
    return chart.svg()


def image(name: str, path: Path) -> str:
    """Return a picture inside the page itself."""
    if path.stat().st_size > MOST_PICTURE:
        return figure(f"{name}: {path.name} is too large to be shown here", "")
    kind, content = PICTURES[path.suffix.lower()], b64encode(path.read_bytes()).decode()
    return figure(name, f'<img alt="{escape(name)}" src="data:{kind};base64,{content}">')
