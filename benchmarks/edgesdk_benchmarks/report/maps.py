"""Maps of explanations on a page: what `edgesdk explain -o` wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_json
from edgesdk_benchmarks.report.parts import facts, table
from edgesdk_benchmarks.report.run_page import image
from edgesdk_benchmarks.report.runs import PICTURES

KINDS = ("explanation", "disagreement")
COLUMNS = ("picture", "decision", "share", "fidelity", "deletion", "insertion", "shifted_share")


@dataclass(frozen=True, slots=True)
class Maps:
    """What one call explained.

    Attributes:
        name: Of the file.
        facts: Bundle, runtime, method and the like.
        rows: One per map.
        notes: What to be careful about.
        picture: The page of maps; None where it lies there no longer.
    """

    name: str
    facts: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    notes: Sequence[str]
    picture: Path | None


def read_maps(path: Path) -> Maps:
    """Return what a file of `edgesdk explain` tells.

    Raises:
        UsageError: it is damaged.
    """
    data = read_json(path, "explanation")
    try:
        found = [data, *data["others"]]
        picture = path.parent / Path(str(data["map"])).name
        shown = picture.suffix.lower() in PICTURES and picture.is_file()
        return Maps(
            name=path.stem,
            facts={k: data[k] for k in ("bundle", "bundle_other", "runtime", "method", "queries")
                   if k in data},
            rows=[{name: row[name] for name in COLUMNS} for row in found],
            notes=[str(note) for row in found for note in row["notes"]],
            picture=picture if shown else None,
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{path} is no file of edgesdk explain ({error!r}); make it again"
        ) from None


def maps_section(maps: Maps) -> str:
    """Return the part of a page that shows the maps of one call."""
    parts = [f"<section><h2>Why: {escape(maps.name)}</h2>", facts(maps.facts)]
    parts += [image(maps.name, maps.picture)] if maps.picture else []
    parts += [table(maps.rows), *(f"<p>{escape(note)}.</p>" for note in maps.notes)]
    return "".join(parts) + "</section>"
