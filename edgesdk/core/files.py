"""Hashes, JSON and files that appear whole or not at all."""

import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.typed import check_plain

LARGEST_JSON = 2**26
LONGEST_SHOWN = 120
# What Python makes of bytes that are no UTF-8.
ALONE = re.compile("[\ud800-\udfff]")


@contextmanager
def locked(path: Path, message: str) -> Iterator[None]:
    """Hold the file `path` for this process alone; the system lets go when the process ends.

    The file stays: taking it away would let two others hold one of the same name each.

    Raises:
        EdgeSdkError: another process holds it; `message` says what to do.
    """
    with os_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("ab")
    with stream:
        with os_errors("lock", path):
            if not _lock(stream.fileno()):
                raise EdgeSdkError(message)
        yield


def _lock(descriptor: int) -> bool:
    """Lock an open file, and return False where another process has."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        def lock() -> None:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:

        def lock() -> None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    try:
        lock()
    except (BlockingIOError, PermissionError):
        return False
    return True


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` in hex."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical(data: Any) -> bytes:
    """Return `data` as JSON bytes that are equal for equal content."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def clean(value: Any) -> Any:
    """Return `value` with numpy scalars unwrapped and non-finite floats as None."""
    if isinstance(value, Mapping):
        return {str(k): clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [clean(v) for v in value]
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def tupled(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return `data` with its lists as tuples, as frozen dataclasses hold them."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}


def write_json(path: Path, data: Any) -> None:
    """Write `data` as readable JSON, atomically."""
    write_atomic(path, encoded(json.dumps(clean(data), indent=1, ensure_ascii=False) + "\n"))


def encoded(text: str) -> bytes:
    r"""Return UTF-8; what a file's name holds and is none is spelt out, as in bad\\udcffname."""
    return ALONE.sub(lambda found: rf"\\u{ord(found[0]):04x}", text).encode()


def read_small(path: Path) -> str:
    """Return the text of a file that a person or edgesdk wrote.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no UTF-8, or has no end within 64 MiB, as devices have none.
    """
    with path.open("rb") as stream:
        content = stream.read(LARGEST_JSON + 1)
    if len(content) > LARGEST_JSON:
        raise ValueError(f"it holds more than the {LARGEST_JSON:,} bytes that are allowed")
    return content.decode("utf-8")


def read_json(path: Path, what: str) -> Any:
    """Return the JSON of a file.

    Raises:
        UsageError: the file is missing, not JSON, above 64 MiB, or holds what `check_plain`
            refuses.
    """
    try:
        data = json.loads(read_small(path))
        check_plain(data)
        return data
    except FileNotFoundError:
        raise UsageError(f"{what} {path} does not exist; check the path") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{what} {path} cannot be read as JSON ({error}); make it again") from None


def exists(path: Path) -> bool:
    """Tell whether something lies at `path`.

    Raises:
        UsageError: the system cannot tell: the name is too long, or a folder may not be read;
            or the name is no UTF-8.
    """
    if ALONE.search(str(path)):
        raise UsageError(f"the name {path} is no UTF-8, so no runtime opens it; rename it")
    try:
        return path.exists()
    except OSError as error:
        shown = str(path) if len(str(path)) < LONGEST_SHOWN else f"{str(path)[:LONGEST_SHOWN]}..."
        raise UsageError(f"{shown} cannot be looked up: {error.strerror}; check the path") from None


@contextmanager
def os_errors(doing: str, path: Path) -> Iterator[None]:
    """Turn an OSError (full disk, no permission) into one sentence."""
    try:
        yield
    except OSError as error:
        if isinstance(error, shutil.Error):  # copies of a whole tree: one entry per file
            error = OSError(str(error.args[0][0][2]))
        reason = error.strerror or error
        raise EdgeSdkError(
            f"cannot {doing} {path}: {reason}; free space or choose another folder with -o"
        ) from error


def check_writable(folder: Path) -> None:
    """Make `folder` and raise EdgeSdkError where no file can be written: before hours of work."""
    with os_errors("write", folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def check_place(path: Path) -> None:
    """Raise EdgeSdkError where no file or folder `path` can be made; nothing is left behind."""
    with os_errors("write", path):
        path.exists()  # a name that is too long is refused here
        inside = path if path.is_dir() else path.parent
        while not inside.exists():
            inside = inside.parent
        tempfile.TemporaryFile(dir=inside).close()


def check_target(path: Path) -> None:
    """Raise EdgeSdkError where the file `path` cannot be written: before hours of work."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file to write")
    check_writable(path.parent)


def write_atomic(path: Path, *parts: bytes | memoryview) -> None:
    """Write `parts`, one after the other, to a temporary neighbour, then move it into place.

    Raises:
        EdgeSdkError: the folder cannot be written or the disk is full.
    """
    with os_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.writelines(parts)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
