"""Read what training runs left: how the losses fell, what was measured, what was drawn."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_json

RESULT, LOG, SETTINGS = "result.json", "log.jsonl", "settings.json"
# What a log line tells beside a course: when, where, how fast.
ABOUT = ("time", "phase", "step", "lr", "images_s", "data_share")
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml"}
MOST_LINES = 200_000

Course = tuple[str, str, list[tuple[float, float]]]
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Run:
    """One training run, as its folder tells it.

    Attributes:
        name: Of the folder.
        facts: Recipe, student, seed and the like.
        settings: Of the recipe.
        courses: Phase, name and (step, value) of all that was logged or told by round.
        metrics: What was measured at the end; empty while it is unfinished.
        ledger: Privacy accounting, empty for none.
        tables: Name -> rows, every row with the same columns.
        pictures: Name -> file.
        finished: Whether a result lies there.
    """

    name: str
    facts: Mapping[str, Any]
    settings: Mapping[str, Any]
    courses: Sequence[Course]
    metrics: Mapping[str, Any]
    ledger: Mapping[str, Any]
    tables: Mapping[str, Rows]
    pictures: Mapping[str, Path]
    finished: bool


def is_run(folder: Path) -> bool:
    """Return whether a training run left this folder."""
    return folder.is_dir() and (folder / SETTINGS).is_file()


def run_folders(paths: Sequence[Path]) -> list[Path]:
    """Return the folders of runs that `paths` name, or hold directly."""
    found = [p for path in paths for p in ([path] if is_run(path) else _inside(path))]
    return list(dict.fromkeys(found))


def _inside(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if is_run(p)) if path.is_dir() else []


def read_run(folder: Path) -> Run:
    """Return what a run's folder tells, finished or not.

    Raises:
        UsageError: a file of it is damaged.
    """
    about = read_json(folder / SETTINGS, "run's settings")
    finished = (folder / RESULT).is_file()
    result = read_json(folder / RESULT, "result") if finished else {}
    try:
        return Run(
            name=folder.name,
            facts=_facts(about),
            settings=dict(about.get("settings", {})),
            courses=_once([*_logged(folder / LOG), *_by_round(result)]),
            metrics=dict(result.get("metrics", {})),
            ledger=dict(result.get("ledger", {})),
            tables={k: [dict(r) for r in v] for k, v in result.get("tables", {}).items()},
            pictures=_pictures(folder, result.get("artefacts", {})),
            finished=finished,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{folder} is no folder of a run ({error!r}); train again") from None


def _facts(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run was of; of its data the names alone, no path of a machine."""
    known = {k: about[k] for k in ("recipe", "student", "teacher", "seed") if about.get(k)}
    data = {role: [Path(p).name for p in paths] for role, paths in about["data"].items()}
    return {**known, "data": data}


def _pictures(folder: Path, artefacts: Mapping[str, str]) -> dict[str, Path]:
    """Return the pictures among a run's files; none outside its folder is followed."""
    found = {name: (folder / place).resolve() for name, place in artefacts.items()}
    home = folder.resolve()
    return {
        name: path for name, path in found.items()
        if path.suffix.lower() in PICTURES and path.is_relative_to(home) and path.is_file()
    }  # fmt: skip


def _logged(path: Path) -> Iterator[Course]:
    """Yield every scalar of the log, phase by phase; a step told twice counts once, the last."""
    found: dict[tuple[str, str], dict[float, float]] = {}
    for line in _lines(path):
        for name, value in line.items():
            if name not in ABOUT and _number(value):
                key = (str(line.get("phase", "")), name)
                found.setdefault(key, {})[float(line.get("step", 0))] = float(value)
    for (phase, name), points in found.items():
        yield phase, name, sorted(points.items())


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a log; one that a killed run left half written is passed over."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as stream:
        for text in islice(stream, MOST_LINES):
            try:
                line = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(line, dict):
                yield line


def _by_round(result: Mapping[str, Any]) -> Iterator[Course]:
    """Yield what the result tells a value per round of."""
    for name, values in result.items():
        if isinstance(values, list) and values and all(v is None or _number(v) for v in values):
            points = [(float(i + 1), float(v)) for i, v in enumerate(values) if v is not None]
            if points:
                yield "rounds", name, points


def _once(courses: Sequence[Course]) -> list[Course]:
    """Return one course of each phase and name: what a result tells again was logged before."""
    return list({(phase, name): (phase, name, c) for phase, name, c in courses}.values())


def _number(value: Any) -> bool:
    """Return whether a chart can show the value: infinite ones and absurd ones it cannot."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def plain_run(run: Run) -> dict[str, Any]:
    """Return a run for report.json."""
    return {
        "name": run.name,
        **run.facts,
        "finished": run.finished,
        "metrics": run.metrics,
        "ledger": run.ledger,
        "tables": run.tables,
        "courses": [{"phase": p, "name": n, "points": c} for p, n, c in run.courses],
    }
