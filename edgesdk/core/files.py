"""Hashes, JSON and outputs that appear whole or not at all."""

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgesdk.core.errors import EdgeSdkError, UsageError


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
    write_atomic(path, (json.dumps(clean(data), indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Path, what: str) -> Any:
    """Return the JSON of a file.

    Raises:
        UsageError: the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{what} {path} does not exist; check the path") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{what} {path} cannot be read as JSON ({error}); make it again") from None


@contextmanager
def os_errors(doing: str, path: Path) -> Iterator[None]:
    """Turn an OSError (full disk, no permission) into one sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise EdgeSdkError(
            f"cannot {doing} {path}: {reason}; free space or choose another folder with -o"
        ) from error


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to a temporary neighbour, then move it into place.

    Raises:
        EdgeSdkError: the folder cannot be written or the disk is full.
    """
    with os_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def staging(final: Path) -> Iterator[Path]:
    """Yield a fresh neighbour folder of `final`; whatever is left there at the end is removed.

    Call `publish(stage, final)` inside to move it into place.
    """
    with os_errors("write", final):
        final.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    stage.chmod(0o755)
    try:
        with os_errors("write", final):
            yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def publish(stage: Path, final: Path) -> None:
    """Move the folder `stage` to `final`, replacing what was there."""
    old = stage.with_name(stage.name + ".old")
    if final.exists():
        final.rename(old)
    stage.rename(final)
    shutil.rmtree(old, ignore_errors=True)
