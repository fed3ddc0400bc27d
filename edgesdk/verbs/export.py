"""Export one target here, or several in one process each."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError
from edgesdk.verbs.models import find_source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgesdk.core.bundle import Bundle

    Progress = Callable[[int, int, str], None]

# Two converters fit into the memory of a small machine; more only fight for its cores.
AT_ONCE = 2


def export_one(
    model: Path | str | None,
    target: str,
    options: Mapping[str, Any],
    require_commercial: bool,
    out: Path,
    progress: Progress | None,
) -> Bundle:
    """Export to one target; see `edgesdk.api.export`."""
    name = plugins.resolve(plugins.EXPORTERS, target)
    exporter = plugins.load(plugins.EXPORTERS, name)
    source, why = find_source(model, "onnx" in exporter.accepts)
    if require_commercial:
        from edgesdk.core.licence import require_commercial as check

        check(source.licence, source.model)
    from edgesdk_export._pipeline import ExportOptions, export_bundle

    paths = {k: Path(options[k]) for k in ("calib", "data") if options[k] is not None}
    asked = ExportOptions(target=name, **{**options, **paths}, decisions=(why,))
    return export_bundle(source, asked, out, progress)


def export_several(
    words: Sequence[str], targets: Sequence[str], progress: Progress
) -> list[dict[str, Any]]:
    """Run the same command once per target, each in its own process.

    OpenMP, protobuf and abseil copies of the converters clash inside one process.

    Args:
        words: The command line that named several targets.
        targets: Their names, in order.
        progress: Called with (done, total, label).

    Returns:
        Per target "target", "exit_code" and "bundle" or "error".
    """
    found = (plugins.resolve(plugins.EXPORTERS, t) for t in targets if t.strip())
    names = list(dict.fromkeys(found))
    if not names:
        raise UsageError("--target names no target; see: edgesdk targets")
    rest = _without_target(words)
    done: list[str] = []

    def one(name: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "edgesdk", *rest, "--target", name, "--json", "--quiet"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        done.append(name)
        progress(len(done), len(names), "export")
        return _outcome(name, ended)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, names))


def _without_target(words: Sequence[str]) -> list[str]:
    kept, skip = [], False
    for word in words:
        if skip or word.startswith(("--target=", "--format=")) or word in ("--json", "--quiet"):
            skip = False
        elif word in ("--target", "--format"):
            skip = True
        else:
            kept.append(word)
    return kept


def _outcome(name: str, ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    try:
        answer = json.loads(ended.stdout)
    except ValueError:
        answer = {"error": ended.stderr.strip()[-500:] or f"ended with code {ended.returncode}"}
    key = "error" if "error" in answer else "bundle"
    return {
        "target": name,
        "exit_code": ended.returncode,
        key: answer["error"] if key == "error" else answer,
    }
