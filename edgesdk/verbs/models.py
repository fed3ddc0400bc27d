"""What can be trained, exported and run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from edgesdk._options import own_options, summary
from edgesdk.core import plugins
from edgesdk.core.files import read_json
from edgesdk.core.shipped import shipped, shipped_bundle, shipped_checkpoint
from edgesdk.core.table import table
from edgesdk.core.task import task_of
from edgesdk.verbs._text import pairs
from edgesdk.verbs._verb import Verb


def models() -> dict[str, Any]:
    """List shipped models, tasks, students, recipes and runtimes.

    Returns:
        Lists of plain dictionaries under "models", "tasks", "students", "recipes", "runtimes".
    """
    return {
        "models": [_model(name) for name in shipped()],
        "students": [_student(*item) for item in plugins.every(plugins.STUDENTS)],
        "recipes": [_recipe(*item) for item in plugins.every(plugins.RECIPES)],
        "runtimes": [_runtime(*item) for item in plugins.every(plugins.RUNTIMES)],
        "tasks": [_task(*item) for item in plugins.every(plugins.TASKS)],
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
        "advice": meta["metrics"].get("advice", ""),
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


def _task(name: str, plugin: Any) -> dict[str, Any]:
    return {
        "name": name,
        "aliases": list(plugin.aliases),
        "item": plugin.item,
        "does": summary(plugin.run),
        "options": list(own_options(plugin.run)),
        "live": bool(plugin.live),
    }


def show(data: Mapping[str, Any]) -> str:
    """Return one table per kind."""
    rows = [_model_row(m) for m in data["models"]]
    head = ["model", "input", "parameters", "MMACs", "MB", "measured", "on", "weights"]
    parts = ["Shipped models", table(head, rows)] if rows else ["No model is shipped."]
    parts += [f"{m['name']}: {m['advice']}" for m in data["models"] if m["advice"]]
    students = [[s["name"], s["task"], pairs(s["config"])] for s in data["students"]]
    recipes = [
        [r["name"], ", ".join(r["students"]), ", ".join(r["needs"]), "yes" if not r["missing"] else
         f"needs {', '.join(r['missing'])}"]
        for r in data["recipes"]
    ]  # fmt: skip
    runtimes = [
        [r["name"], ", ".join(r["formats"]), r["kind"], "yes" if r["available"] else r["why_not"]]
        for r in data["runtimes"]
    ]
    tasks = [
        [t["name"], t["does"], " ".join(f"--{o.replace('_', '-')}" for o in t["options"])]
        for t in data["tasks"]
    ]
    parts += ["\nTasks", table(["task", "edgesdk run", "own options"], tasks)]
    parts += ["\nStudents", table(["student", "task", "config"], students)]
    parts += ["\nRecipes", table(["recipe", "students", "data roles", "ready"], recipes)]
    parts += ["\nRuntimes", table(["runtime", "opens", "kind", "ready"], runtimes)]
    return "\n".join(parts)


def _model_row(model: Mapping[str, Any]) -> list[Any]:
    found = task_of(model["task"]).headline(model["metrics"])
    height, width = model["input"]
    return [
        model["name"],
        f"{height}x{width}",
        f"{model['parameters']:,}",
        f"{model['macs'] / 1e6:.2f}",
        f"{model['bytes'] / 1e6:.2f}",
        f"{found.metric} {found.text}" if found else "not measured",
        found.data if found else "",
        model["licence"]["weights"].split(";")[0],
    ]


PLUGIN = Verb(models, show, place=1)
