"""What this machine can export to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.target import profile_names, read_profile, read_target
from edgesdk.verbs._text import table
from edgesdk.verbs._verb import Verb


def targets() -> list[dict[str, Any]]:
    """List export targets: precisions, runtimes, and what this machine lacks for each.

    Returns:
        One plain dictionary per target.
    """
    return [_target(name, exporter) for name, exporter in plugins.every(plugins.EXPORTERS)]


def _target(name: str, exporter: Any) -> dict[str, Any]:
    target = read_target(name)
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
    }


def show(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one line per target."""
    head = ["target", "also", "precisions", "starts from", "runtimes", "here"]
    body = [
        [r["target"], ", ".join(r["aliases"]), ", ".join(r["precisions"]), ", ".join(r["accepts"]),
         ", ".join(r["runtimes"]), r["why_not"] or "ready"]
        for r in rows
    ]  # fmt: skip
    return table(head, body)


PLUGIN = Verb(targets, show, place=2)
