"""stdout belongs to the result, stderr to all else; either may be closed, full or left."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, TextIO

from edgesdk.core.errors import EdgeSdkError


class _Closed(io.StringIO):
    """Stands for a stdout that was closed when the process began."""

    def write(self, text: str) -> NoReturn:
        """Refuse."""
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def prepare() -> None:
    """Let both streams take any text, where they are closed as well."""
    sys.stdout = sys.stdout or _Closed()
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115 - for the whole process
    for stream in (sys.stdout, sys.stderr):
        # A file's name may hold bytes that no encoding knows.
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def tell(text: str, stream: TextIO) -> None:
    """Print a line; a reader who has gone had enough.

    Raises:
        EdgeSdkError: the stream is closed, or the disk behind it is full.
    """
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        _deafen(stream)
    except (OSError, ValueError) as error:
        _deafen(stream)
        raise EdgeSdkError(
            f"the result cannot be written to stdout ({error}); what was made is kept, give "
            "stdout a place to write to"
        ) from None


def drain() -> None:
    """Write what is left, so that Python does not complain at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _deafen(stream)


def _deafen(stream: TextIO) -> None:
    """Drop what a stream still holds and whatever comes."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def results_only() -> Iterator[TextIO]:
    """Send whatever libraries print, from Python or C++, to stderr; yield the real stdout."""
    try:
        saved = os.dup(sys.stdout.fileno())
    except (OSError, ValueError):  # stdout is captured in memory, so no C++ code writes to it
        yield sys.stdout
        return
    drain()
    os.dup2(2, sys.stdout.fileno())
    try:
        yield sys.stdout
    finally:
        drain()
        os.dup2(saved, sys.stdout.fileno())
        os.close(saved)
