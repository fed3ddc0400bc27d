"""What can be exported, trained and run, as plain data."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.files import read_json
from edgesdk.core.shipped import shipped, shipped_bundle, shipped_checkpoint
from edgesdk.core.target import profile_names, read_profile, read_target


def catalogue() -> dict[str, Any]:
    """Return shipped models, students, recipes and runtimes."""
    return {
        "models": [_model(name) for name in shipped()],
        "students": [_student(*item) for item in plugins.every(plugins.STUDENTS)],
        "recipes": [_recipe(*item) for item in plugins.every(plugins.RECIPES)],
        "runtimes": [_runtime(*item) for item in plugins.every(plugins.RUNTIMES)],
    }


def _model(name: str) -> dict[str, Any]:
    folder = shipped_checkpoint(name)
    meta = read_json(folder / "meta.json", "checkpoint")
    size = (folder / "model.safetensors").stat().st_size
    return {
        "name": name,
        "task": meta["task"],
        "student": meta["student"],
        "input": next(iter(meta["preprocess"].values()))["size"],
        **meta["cost"],
        "bytes": size,
        "metrics": meta["metrics"],
        "licence": meta["licence"],
        "bundle": shipped_bundle(name).is_dir(),
    }


def _student(name: str, plugin: Any) -> dict[str, Any]:
    return {"name": name, "task": plugin.task, "config": _fields(plugin.config)}


def _recipe(name: str, plugin: Any) -> dict[str, Any]:
    return {
        "name": name,
        "students": list(plugin.students),
        "needs": list(plugin.needs),
        "settings": _fields(plugin.settings),
        "missing": plugins.missing(plugin),
    }


def _fields(config: type) -> dict[str, Any]:
    """Return field -> default of a dataclass."""
    return {f.name: None if f.default is MISSING else f.default for f in fields(config)}


def _runtime(name: str, plugin: Any) -> dict[str, Any]:
    why = plugin.available()
    return {
        "name": name,
        "aliases": list(plugin.aliases),
        "formats": list(plugin.formats),
        "kind": plugin.kind,
        "available": why is None,
        "why_not": why,
    }


def target_rows() -> list[dict[str, Any]]:
    """Return one row per export target."""
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
