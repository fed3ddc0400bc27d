"""Ctrl-C: one sentence before the work begins, and no exception inside an import.

A framework whose import is torn apart answers with an error that has nothing to do with the
user's wish, or with a crash: many of them swallow whatever an import raises. This module
imports next to nothing, for whoever presses Ctrl-C early waits for it.
"""

from __future__ import annotations

# The part of signal without enum, which takes milliseconds to import.
import _signal as signal  # type: ignore[import-not-found]
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

AGAIN_S = 0.1
EXIT_CODE = 130
SENTENCE = "interrupted; finished work is kept, the same command goes on"


def begin() -> bool:
    """Answer Ctrl-C from now on, unless somebody else does; return whether it is answered."""
    ours: bool = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, leave)
    return ours


def end() -> None:
    """Let Ctrl-C end the process without a word: all is said."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def leave(number: int, frame: FrameType | None) -> None:
    """End the process at once: nothing has begun."""
    if "--json" in sys.argv:
        _write(1, f'{{"error": "{SENTENCE}", "exit_code": {EXIT_CODE}}}\n')
    _write(2, f"edgesdk: {SENTENCE}\n")
    os._exit(EXIT_CODE)


def _write(descriptor: int, text: str) -> None:
    try:
        os.write(descriptor, text.encode())
    except OSError:  # nobody listens
        return


class patient_interrupts:  # noqa: N801 - read as a verb: with patient_interrupts():
    """Raise KeyboardInterrupt outside of imports only; a foreign handler stays in place."""

    def __enter__(self) -> None:
        self._before: Any = None
        if not hasattr(signal, "setitimer"):
            return
        handler = signal.getsignal(signal.SIGINT)
        if handler not in (signal.default_int_handler, leave):
            return
        try:
            self._alarm = signal.signal(signal.SIGALRM, _interrupt)
        except ValueError:  # handlers belong to the main thread
            return
        self._before = handler
        signal.signal(signal.SIGINT, _interrupt)

    def __exit__(self, *exc: object) -> None:
        if self._before is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGINT, self._before)
            signal.signal(signal.SIGALRM, self._alarm)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _importing(frame):
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        return
    raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
