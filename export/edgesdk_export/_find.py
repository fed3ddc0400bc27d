"""Find the source of a bundle on this machine, by the hash in its manifest."""

from collections.abc import Iterator
from pathlib import Path

from edgesdk.core import plugins
from edgesdk.core.bundle import Bundle, Checkpoint
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.files import sha256_file
from edgesdk.core.protocols import SourceKind
from edgesdk.core.shipped import shipped, shipped_checkpoint, zoo
from edgesdk.core.source import ONNX, Told
from edgesdk_export._source import Source

# What was trained stands before what was made of it.
KINDS = ("checkpoint", "bundle")
FILES = ("*.onnx", "*.pt2")
PARTED_BYTES = 2**22  # of a graph whose weights lie in other files


def find_source(bundle: Bundle) -> Source | None:
    """Return the checkpoint, ONNX bundle or file that `bundle` was made of, None if not here.

    Looked at: shipped models, finished runs in `runs/`, the bundle's neighbours, and the ONNX
    files and programs beside its folder, above that, and where one works.
    """
    folders = [*_below(zoo()), *_below(Path("runs"), "*/checkpoint"), *_below(bundle.path.parent)]
    others = [folder for folder in folders if folder.resolve() != bundle.path.resolve()]
    for source in _sources(others):
        if source.sha256 == bundle.source_sha256:
            return source
    return next(_files(bundle), None)


def named_source(bundle: Bundle, word: str) -> Source:
    """Return the source that a user says `bundle` was made of.

    Raises:
        UsageError: it is none, or has another hash.
    """
    runs = Path("runs") / word
    place = shipped_checkpoint(word) if word in shipped() else runs if runs.is_dir() else Path(word)
    kind = next((k for _, k in plugins.every(plugins.SOURCES) if k.opens(place)), None)
    if kind is None:
        raise UsageError(f"--source {word} is no checkpoint, run, bundle or network; see: edgesdk "
                         "export --help")  # fmt: skip
    found = _as_told(kind, place, bundle)
    if found.sha256 != bundle.source_sha256:
        raise UsageError(
            f"{bundle.name} was not made of {word}: its manifest names a source with SHA-256 "
            f"{bundle.source_sha256[:12]}, this one has {found.sha256[:12]}"
        )
    return found


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


def _files(bundle: Bundle) -> Iterator[Source]:
    """Yield the network in a file of others that has the hash of the bundle's source."""
    home = bundle.path.resolve().parent
    for folder in dict.fromkeys((home, home.parent, Path.cwd())):
        for path in (p for pattern in FILES for p in sorted(folder.glob(pattern))):
            # What keeps its weights in other files has the hash of all: only opening tells it.
            if path.is_file() and (sha256_file(path) == bundle.source_sha256 or _parted(path)):
                kind = next((k for _, k in plugins.every(plugins.SOURCES) if k.opens(path)), None)
                try:
                    found = None if kind is None else _as_told(kind, path, bundle)
                except EdgeSdkError:
                    continue
                if found is not None and found.sha256 == bundle.source_sha256:
                    yield found


def _parted(path: Path) -> bool:
    """Tell whether an ONNX file may have its weights beside it: such a file is small."""
    return path.suffix == ".onnx" and path.stat().st_size < PARTED_BYTES


def _as_told(kind: SourceKind, path: Path, bundle: Bundle) -> Source:
    """Open a source; of a network from outside, the bundle says what the user told of it."""
    if kind.holds in (Checkpoint, Bundle):
        return kind.open(path)
    found = kind.open(path, Told(name=bundle.model, task=bundle.task))
    for name in ("preprocess", "postprocess", "labels"):
        setattr(found, name, getattr(bundle, name))
    return found
