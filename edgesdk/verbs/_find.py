"""Which model a word means: a shipped name, a run, a checkpoint or a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.shipped import shipped, shipped_bundle, shipped_checkpoint

if TYPE_CHECKING:
    from edgesdk.core.source import Source

DEFAULT = "bridge-face"


def newest_run(runs: Path) -> Path | None:
    """Return the checkpoint of the run in `runs` that finished last."""
    found = [*runs.glob("*/checkpoint/meta.json"), *runs.glob("*/checkpoint/*/meta.json")]
    return max(found, key=lambda p: p.stat().st_mtime).parent if found else None


def find_source(model: Path | str | None, onnx_is_enough: bool) -> tuple[Source, str]:
    """Return what to export, and the sentence that says why it was chosen.

    Args:
        model: What the user typed, None for the default.
        onnx_is_enough: The exporter can start from an ONNX bundle.

    Raises:
        UsageError: nothing is there.
    """
    if model is None:
        run = newest_run(Path("runs"))
        if run is not None:
            return _open(run), f"model {run}: the newest finished run"
        chosen = _shipped_source(DEFAULT, onnx_is_enough)
        return chosen, f"model {DEFAULT}: shipped, for no finished run lies in runs/"
    path = Path(model)
    if path.exists():
        return _open(path), f"model {path.name}: asked"
    if str(model) in shipped():
        return _shipped_source(str(model), onnx_is_enough), f"model {model}: asked, shipped"
    raise UsageError(
        f"model {model} does not exist and no shipped model has that name. "
        f"{did_you_mean(str(model), shipped())}"
    )


def _shipped_source(name: str, onnx_is_enough: bool) -> Source:
    return _open(shipped_bundle(name) if onnx_is_enough else shipped_checkpoint(name))


def _open(path: Path) -> Source:
    for _, kind in plugins.every(plugins.SOURCES):
        if kind.opens(path):
            found: Source = kind.open(path)
            return found
    if (path / "state").is_dir():
        raise UsageError(f"run {path} is not finished; the command that began it goes on with it")
    raise UsageError(f"{path} is neither a checkpoint, a run nor a bundle; see: edgesdk models")
