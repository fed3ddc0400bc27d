"""Write groups of results as HTML, Markdown and JSON, or as text for a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgesdk.core.files import clean, encoded, os_errors, write_atomic
from edgesdk.core.result import BenchResult
from edgesdk_benchmarks.report.groups import Group, grouped, head, read_results, row, split
from edgesdk_benchmarks.report.html import page
from edgesdk_benchmarks.report.kinds import files_of
from edgesdk_benchmarks.report.maps import KINDS, read_maps
from edgesdk_benchmarks.report.markdown import plain_table, text
from edgesdk_benchmarks.report.runs import plain_run, read_run, run_folders
from edgesdk_benchmarks.report.tracks import KIND, read_judged


def report(paths: Sequence[Path], out: Path, *, title: str = "edgesdk report") -> Path:
    """Write report.html, report.md and report.json into `out`; return the page's path.

    Results of different runs or machines get sections of their own and are never ranked
    against each other.

    Args:
        paths: Result files, folders that hold them, folders of training runs,
            files of explanations and of trackers side by side.
        out: Folder to write into.
        title: Heading.

    Raises:
        UsageError: no result was found, or a named file is none.
    """
    runs = [read_run(folder) for folder in run_folders(paths)]
    explained, judged = files_of(paths, KINDS), files_of(paths, [KIND])
    maps, tracks = [read_maps(p) for p in explained], [read_judged(p) for p in judged]
    others = [path for path in paths if path not in (*explained, *judged)]
    groups = grouped(read_results(others, bool(runs or maps or tracks)))
    data = {
        "schema_version": 1, "title": title, "groups": [_plain(g) for g in groups],
        "runs": [plain_run(run) for run in runs],
        "maps": [{"name": m.name, **m.facts, "rows": list(m.rows)} for m in maps],
        "trackers": [{"name": t.name, **t.facts, "rows": list(t.rows)} for t in tracks],
    }  # fmt: skip
    with os_errors("write", out):
        out.mkdir(parents=True, exist_ok=True)
    body = json.dumps(clean(data), indent=1, ensure_ascii=False)
    write_atomic(out / "report.json", encoded(body))
    write_atomic(out / "report.md", encoded(text(title, groups, runs, maps, tracks)))
    write_atomic(out / "report.html", encoded(page(title, groups, runs, maps, tracks)))
    return out / "report.html"


def result_table(results: Sequence[BenchResult]) -> str:
    """Return results as a plain-text table, one block per comparable group."""
    blocks = []
    for group in grouped(results):
        lines = [f"{group.scenario}, {group.results[0].plan.threads} thread(s)"]
        lines.append(plain_table(head(group.results), [row(r) for r in group.results]))
        lines += [*map(split, group.results), *map(_brief_reason, group.results)]
        blocks.append("\n".join(filter(None, lines)))
    return "\n\n".join(blocks)


def _brief_reason(result: BenchResult) -> str:
    """Return one line for the terminal; the report and the JSON hold every reason."""
    reasons = result.validity.reasons
    more = f" (and {len(reasons) - 1} more, see the report)" if len(reasons) > 1 else ""
    return f"{result.name}: {reasons[0]}{more}" if reasons else ""


def _plain(group: Group) -> dict[str, Any]:
    return {
        "scenario": group.scenario,
        "results": [
            {
                **dict(zip(head([r]), row(r), strict=True)),
                "reasons": list(r.validity.reasons),
                "artefact": dict(r.artefact),
                "runtime": dict(r.runtime),
                "statistics_ms": {str(m.batch): m.statistics for m in r.stage("infer")},
                **({"shares": r.shares, "split": split(r)} if r.shares else {}),
            }
            for r in group.results
        ],
        "environment": dict(group.results[0].environment),
    }
