"""Folders that appear whole or not at all."""

import ctypes
import errno
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from edgesdk.core.files import os_errors

MARK = ".stage-"
OLD = ".old"
# Only where the system cannot tell whether the process behind a stage is alive.
STALE_S = 3600.0
ATTEMPTS = 20


@contextmanager
def staging(final: Path) -> Iterator[Path]:
    """Yield a fresh neighbour folder of `final`; whatever is left there at the end is removed.

    Call `publish(stage, final)` inside to move it into place. What killed processes left
    beside `final` is removed as well.
    """
    with ExitStack() as held:
        with os_errors("write", final):
            final.parent.mkdir(parents=True, exist_ok=True)
            # No other process may take the new folder for a dead one's before it is locked.
            with _locked(final.parent, wait=True):
                _sweep(final.parent)
                stage = Path(tempfile.mkdtemp(prefix=f".{final.name}{MARK}", dir=final.parent))
                held.enter_context(_locked(stage))
        stage.chmod(0o755)
        try:
            with os_errors("write", final):
                yield stage
        finally:
            shutil.rmtree(stage, ignore_errors=True)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process changes the folders in `folder`, and keep the others waiting."""
    with _locked(folder, wait=True):
        yield


@contextmanager
def _locked(folder: Path, wait: bool = False) -> Iterator[bool | None]:
    """Hold a folder for this process; the system lets go when the process ends.

    Yields True where it is held, False where another process holds it, None where folders
    cannot be locked, as on Windows.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        yield None
        return
    try:
        yield _flock(descriptor, wait)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, wait: bool) -> bool | None:
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


def _sweep(folder: Path) -> None:
    """Remove the stages of dead processes; what one had moved away and not replaced comes back."""
    for left in folder.glob(f".?*{MARK}*"):
        with suppress(OSError), _locked(left) as ours:  # its own process may remove it meanwhile
            if ours or (ours is None and time.time() - left.stat().st_mtime > STALE_S):
                final = folder / left.name[1:].rpartition(MARK)[0]
                if left.name.endswith(OLD) and not final.exists():
                    left.rename(final)
                shutil.rmtree(left, ignore_errors=True)


def publish(stage: Path, final: Path) -> None:
    """Move the folder `stage` to `final`, replacing the folder that was there.

    Linux and macOS swap the two in one step: at no time there is none. Other processes may
    do the same at the same time: the last one stays.
    """
    old = stage.with_name(stage.name + OLD)
    for left in reversed(range(ATTEMPTS)):
        if _exchange(stage, final):
            shutil.rmtree(stage, ignore_errors=True)
            return
        with suppress(FileNotFoundError):
            final.rename(old)
        try:
            stage.rename(final)
            break
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY) or not left:
                with suppress(OSError):
                    old.rename(final)
                raise
        finally:
            shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step; False where one is missing or the system cannot."""
    if other.is_symlink() or not other.is_dir():
        return False
    swap = _swap()
    return swap is not None and swap(os.fsencode(one), os.fsencode(other)) == 0


@cache
def _swap() -> Any:
    """Return the system's function that swaps two paths, None where there is none."""
    here, swapped = -100, 2  # AT_FDCWD; RENAME_EXCHANGE of Linux is RENAME_SWAP of macOS
    with suppress(OSError, TypeError, AttributeError):
        libc: Any = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            return lambda one, other: libc.renamex_np(one, other, swapped)
        renameat2 = libc.renameat2
        return lambda one, other: renameat2(here, one, here, other, swapped)
    return None


def copy_linked(source: Path, target: Path) -> None:
    """Copy the folder `source` into the existing folder `target`; files share their bytes.

    A file of the copy may be replaced, by rename, but never written into.
    """

    def link(one: str, other: str) -> None:
        try:
            os.link(os.path.realpath(one), other)
        except OSError:  # a file system without links
            shutil.copy2(one, other)

    shutil.copytree(source, target, copy_function=link, dirs_exist_ok=True)
