"""What this machine can export to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.source import ONNX, TORCH
from edgesdk.core.table import table
from edgesdk.core.target import profile_names, read_profile, read_target
from edgesdk.verbs._verb import Verb


def targets() -> list[dict[str, Any]]:
    """List export targets: precisions, runtimes, and what this machine lacks for each.

    Returns:
        One plain dictionary per target.
    """
    return [_target(name, exporter) for name, exporter in plugins.every(plugins.EXPORTERS)]


def _target(name: str, exporter: Any) -> dict[str, Any]:
    target = read_target(name)
    needs = getattr(exporter, "needs", {})
    profiles = [p for p in profile_names() if read_profile(p).target == name]
    return {
        "target": name,
        "aliases": list(exporter.aliases),
        "format": target.format,
        "precisions": list(target.precisions),
        "accepts": list(exporter.accepts),
        "runtimes": list(target.runtimes),
        "profiles": profiles,
        "extra": exporter.extra,
        "why_not": plugins.unavailable(f"target {name!r}", exporter),
        "lacks": {wish: list(absent) for wish in needs if (absent := plugins.missing(needs[wish]))},
    }


def show(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one line per target."""
    starts = {ONNX: "any network", TORCH: "a network in torch"}
    forms = [", ".join(starts.get(form, form) for form in r["accepts"]) for r in rows]
    head = ["target", "also", "precisions", "starts from", "runtimes", "here"]
    body = [
        [r["target"], ", ".join(r["aliases"]), ", ".join(r["precisions"]), form,
         ", ".join(r["runtimes"]), _here(r)]
        for r, form in zip(rows, forms, strict=True)
    ]  # fmt: skip
    return table(head, body)


def _here(row: Mapping[str, Any]) -> str:
    lacks = [f"{wish} needs {', '.join(absent)}" for wish, absent in row["lacks"].items()]
    return row["why_not"] or "; ".join(["ready", *lacks])


PLUGIN = Verb(targets, show, place=2)
