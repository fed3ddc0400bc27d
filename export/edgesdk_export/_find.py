"""Find the source of a bundle on this machine, by the hash in its manifest."""

from collections.abc import Iterator
from pathlib import Path

from edgesdk.core import plugins
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.protocols import SourceKind
from edgesdk.core.shipped import zoo
from edgesdk.core.source import ONNX
from edgesdk_export._source import Source

# What was trained stands before what was made of it.
KINDS = ("checkpoint", "bundle")


def find_source(bundle: Bundle) -> Source | None:
    """Return the checkpoint or fp32 ONNX bundle that `bundle` was made of, None if not here.

    Looked at: shipped models, finished runs in `runs/`, and the bundle's neighbours.
    """
    folders = [*_below(zoo()), *_below(Path("runs"), "*/checkpoint"), *_below(bundle.path.parent)]
    others = [folder for folder in folders if folder.resolve() != bundle.path.resolve()]
    for source in _sources(others):
        if source.sha256 == bundle.source_sha256:
            return source
    return None


def _below(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(p for p in folder.glob(pattern) if p.is_dir())


def _sources(folders: list[Path]) -> Iterator[Source]:
    """Yield readable sources that can be had as ONNX here."""
    for name in KINDS:
        kind = plugins.load(plugins.SOURCES, name)
        for folder in folders:
            found = _opened(kind, folder) if kind.opens(folder) else None
            if found is not None:
                yield found


def _opened(kind: SourceKind, folder: Path) -> Source | None:
    try:
        found = kind.open(folder)
        found.check()
    except EdgeSdkError:
        return None
    return None if found.lacks(ONNX) else found
