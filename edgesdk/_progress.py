"""Progress and notes on stderr: bars on a terminal, else lines. The only user of tqdm."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from logging import INFO, Handler, LogRecord
from typing import Any

from edgesdk.core.notes import LOGGER

Progress = Callable[[int, int, str], None]


@contextmanager
def notes(quiet: bool = False) -> Iterator[None]:
    """Write the notes of `edgesdk.core.notes` to stderr, each one once."""
    handler, before = _Notes(), LOGGER.level
    if not quiet:
        LOGGER.addHandler(handler)
        LOGGER.setLevel(INFO)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(before)


class _Notes(Handler):
    """One line per note."""

    def __init__(self) -> None:
        super().__init__()
        self._told: set[str] = set()

    def emit(self, record: LogRecord) -> None:
        """Print a note that is new."""
        text = record.getMessage()
        if text not in self._told:
            self._told.add(text)
            with suppress(OSError):
                print(text, file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def bar(quiet: bool = False) -> Iterator[Progress]:
    """Yield a callback (done, total, label) that draws on stderr; closes what it opened."""
    if quiet:
        yield lambda done, total, label: None
    elif sys.stderr.isatty():
        drawn = _Bars()
        try:
            yield drawn
        finally:
            drawn.close()
    else:
        yield _Lines()


class _Bars:
    """One tqdm bar per phase: work that goes on under another label, as pictures do, has one."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, done: int, total: int, label: str) -> None:
        if self._bar is None or self._bar.total != total or done < self._bar.n:
            from tqdm import tqdm

            self.close()
            self._bar = tqdm(total=total, file=sys.stderr, dynamic_ncols=True)
        self._bar.set_description(label, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Lines:
    """A line whenever a phase passes another tenth, whatever it is at by then."""

    def __init__(self) -> None:
        self._last = (0, -1)

    def __call__(self, done: int, total: int, label: str) -> None:
        now = (total, done * 10 // max(total, 1))
        if now != self._last:
            self._last = now
            with suppress(OSError):  # work goes on where nobody reads
                print(f"{label}: {done}/{total}", file=sys.stderr, flush=True)  # noqa: T201
