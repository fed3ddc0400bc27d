"""Draw results and training runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgesdk.verbs._verb import Verb, listed


def report(
    results: Sequence[Path | str] | Path | str,
    *,
    title: str = "edgesdk report",
    output_dir: Path | str = "reports",
) -> Path:
    """Draw results and training runs as one self-contained HTML page, Markdown and JSON beside it.

    Args:
        results: Result files, folders of them, folders of training runs, files that explain
            wrote beside its maps, or of trackers judged side by side.
        title: Heading of the page.
        output_dir: Folder for report.html, report.md and report.json.

    Returns:
        Path of report.html.

    Raises:
        UsageError: no result and no run was found, or a file is none.
    """
    from edgesdk_benchmarks.report import report as draw

    return draw([Path(p) for p in listed(results)], Path(output_dir), title=title)


def show(path: Path) -> str:
    """Return where its files are."""
    return (
        f"report   {path}\nmarkdown {path.with_suffix('.md')}\njson     {path.with_suffix('.json')}"
    )


PLUGIN = Verb(report, show, place=8)
