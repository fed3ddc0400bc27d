"""Which model a word means: a shipped name, a run, a checkpoint or a bundle."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.files import read_json

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle, Checkpoint

DEFAULT = "bridge-face"
SHIPPED_TARGET = "onnx-fp32"


def zoo() -> Path:
    """Return the folder of shipped models."""
    return Path(str(files("edgesdk"))) / "zoo"


def shipped() -> list[str]:
    """Return the names of shipped models."""
    return sorted(p.parent.name for p in zoo().glob("*/meta.json"))


def shipped_checkpoint(name: str) -> Path:
    """Return the checkpoint folder of a shipped model."""
    return zoo() / name


def shipped_bundle(name: str) -> Path:
    """Return the ONNX bundle folder of a shipped model."""
    return zoo() / f"{name}-{SHIPPED_TARGET}"


def open_bundle(bundle: Path | str | Bundle, force: bool = False) -> Bundle:
    """Return the bundle behind a path or a shipped name.

    Raises:
        UsageError: there is neither such a folder nor such a name.
    """
    from edgesdk.core.bundle import Bundle, read_bundle

    if isinstance(bundle, Bundle):
        return bundle
    path = Path(bundle)
    if path.exists():
        return read_bundle(path, allow_rejected=force)
    if str(bundle) in shipped():
        return read_bundle(shipped_bundle(str(bundle)))
    raise UsageError(
        f"bundle {bundle} does not exist and no shipped model has that name. "
        f"{did_you_mean(str(bundle), shipped())}"
    )


def newest_run(runs: Path) -> Path | None:
    """Return the checkpoint of the run in `runs` that finished last."""
    found = [*runs.glob("*/checkpoint/meta.json"), *runs.glob("*/checkpoint/*/meta.json")]
    return max(found, key=lambda p: p.stat().st_mtime).parent if found else None


def find_source(model: Path | str | None, onnx_is_enough: bool) -> tuple[Checkpoint | Bundle, str]:
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
        return _open(path), f"model {path}: asked"
    if str(model) in shipped():
        return _shipped_source(str(model), onnx_is_enough), f"model {model}: asked, shipped"
    raise UsageError(
        f"model {model} does not exist and no shipped model has that name. "
        f"{did_you_mean(str(model), shipped())}"
    )


def _shipped_source(name: str, onnx_is_enough: bool) -> Checkpoint | Bundle:
    return _open(shipped_bundle(name) if onnx_is_enough else shipped_checkpoint(name))


def _open(path: Path) -> Checkpoint | Bundle:
    from edgesdk.core.bundle import MANIFEST, read_bundle, read_checkpoint

    if (path / MANIFEST).is_file() or path.name.endswith(".rejected"):
        return read_bundle(path)
    for folder in (path, path / "checkpoint"):
        if (folder / "meta.json").is_file():
            return read_checkpoint(folder)
    if (path / "state").is_dir():
        raise UsageError(f"run {path} is not finished; the command that began it goes on with it")
    raise UsageError(f"{path} is neither a checkpoint, a run nor a bundle; see: edgesdk models")


def licence_of(name: str) -> str:
    """Return the licence sentence of a shipped model's weights."""
    meta = read_json(shipped_checkpoint(name) / "meta.json", "checkpoint")
    return str(meta["licence"]["weights"])
