"""Which model a word means: a shipped name, a run, a checkpoint or a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.files import exists
from edgesdk.core.shipped import shipped, shipped_bundle, shipped_checkpoint
from edgesdk.core.source import NOTHING_TOLD, Told

if TYPE_CHECKING:
    from edgesdk.core.protocols import SourceKind
    from edgesdk.core.source import Source

DEFAULT = "bridge-face"

_PICKLE = (
    "may be a pickle, which runs code when it is read, so it is never loaded; save the network "
    "with torch.export.save(torch.export.export(net, inputs), 'net.pt2'), or give the function "
    "that builds it as package.module:function"
)
_TENSORFLOW = (
    "is a TensorFlow file, which cannot be read here; write an ONNX file of it with tf2onnx: "
    "python -m tf2onnx.convert"
)
_DONE = "is an artefact for a device already, no source; export from what it was made of"
# How each usual file that cannot be read comes here.
WAYS_HERE = {
    **dict.fromkeys((".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib"), _PICKLE),
    **dict.fromkeys((".h5", ".keras", ".pb"), _TENSORFLOW),
    **dict.fromkeys(
        (".tflite", ".mlpackage", ".mlmodel", ".engine", ".plan", ".pte", ".xml"), _DONE
    ),
    ".safetensors": "holds weights without their network; give the function that builds it and "
    "loads them as package.module:function",
    ".caffemodel": "is a Caffe file, which cannot be read here; convert it to ONNX first",
}


def newest_run(runs: Path) -> Path | None:
    """Return the checkpoint of the run in `runs` that finished last."""
    found = [*runs.glob("*/checkpoint/meta.json"), *runs.glob("*/checkpoint/*/meta.json")]
    return max(found, key=lambda p: p.stat().st_mtime).parent if found else None


def find_source(
    model: Path | str | None, onnx_is_enough: bool, told: Told = NOTHING_TOLD
) -> tuple[Source, str]:
    """Return what to export, and the sentence that says why it was chosen.

    Args:
        model: What the user typed, None for the default.
        onnx_is_enough: The exporter can start from an ONNX bundle.
        told: What the user says of a model from outside.

    Raises:
        UsageError: nothing is there.
    """
    if model is None:
        run = newest_run(Path("runs"))
        if run is not None:
            return open_source(run, told), f"model {run}: the newest finished run"
        found = _shipped_source(DEFAULT, onnx_is_enough, told)
        return found, f"model {DEFAULT}: shipped, for no finished run lies in runs/"
    word = str(model)
    for path in (Path(word), Path("runs") / word):
        if exists(path) or _kind_of(path):
            found = open_source(path, told)
            # The sentence stays in the bundle, which names no place on a machine.
            return found, f"model {found.model if path.is_absolute() else word}: asked"
    if word in shipped():
        return _shipped_source(word, onnx_is_enough, told), f"model {word}: asked, shipped"
    names = [*shipped(), *(p.name for p in Path("runs").glob("*") if _kind_of(p))]
    raise UsageError(
        f"model {word} does not exist, and no shipped model or run has that name. "
        f"{did_you_mean(word, names)}"
    )


def _shipped_source(name: str, onnx_is_enough: bool, told: Told) -> Source:
    return open_source(shipped_bundle(name) if onnx_is_enough else shipped_checkpoint(name), told)


def open_source(path: Path, told: Told = NOTHING_TOLD) -> Source:
    """Return the source at a place, whatever kind it is of.

    Raises:
        UsageError: it is of none.
    """
    kind = _kind_of(path)
    if kind is not None:
        return kind.open(path, told)
    if (path / "state").is_dir():
        raise UsageError(f"run {path} is not finished; the command that began it goes on with it")
    how = WAYS_HERE.get(path.suffix.lower())
    if how:
        raise UsageError(f"{path} {how}")
    raise UsageError(
        f"{path} is neither a checkpoint, a run, a bundle nor a network that can be read (.onnx, "
        ".pt2, package.module:function); see: edgesdk models"
    )


def _kind_of(path: Path) -> SourceKind | None:
    kinds = (kind for _, kind in plugins.every(plugins.SOURCES))
    return next((kind for kind in kinds if kind.opens(path)), None)
