"""Find the source of a bundle on this machine, by the hash in its manifest."""

from collections.abc import Iterator
from pathlib import Path

from edgesdk.core import plugins
from edgesdk.core.bundle import MANIFEST, Bundle, Checkpoint, read_bundle, read_checkpoint
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.shipped import zoo
from edgesdk_export._source import Source, root_sha256


def find_source(bundle: Bundle) -> Source | None:
    """Return the checkpoint or fp32 ONNX bundle that `bundle` was made of, None if not here.

    Looked at: shipped models, finished runs in `runs/`, and the bundle's neighbours.
    """
    folders = [*_below(zoo()), *_below(Path("runs"), "*/checkpoint"), *_below(bundle.path.parent)]
    for source in _sources(folders, bundle):
        if root_sha256(source) == bundle.source_sha256:
            return source
    return None


def _below(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(p for p in folder.glob(pattern) if p.is_dir())


def _sources(folders: list[Path], bundle: Bundle) -> Iterator[Source]:
    """Yield readable checkpoints whose network can be rebuilt here, then ONNX bundles."""
    for folder in folders:
        if (folder / "meta.json").is_file():
            found = _checkpoint(folder)
            if found is not None:
                yield found
    for folder in folders:
        if (folder / MANIFEST).is_file() and folder.resolve() != bundle.path.resolve():
            other = _bundle(folder)
            if other is not None and (other.format, other.precision) == ("onnx", "fp32"):
                yield other


def _checkpoint(folder: Path) -> Checkpoint | None:
    try:
        found = read_checkpoint(folder)
        student = plugins.load(plugins.STUDENTS, found.student)
    except EdgeSdkError:
        return None
    return None if plugins.missing(student) else found


def _bundle(folder: Path) -> Bundle | None:
    try:
        return read_bundle(folder)
    except EdgeSdkError:
        return None
