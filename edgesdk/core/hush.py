"""Silence libraries that talk a lot while they load or convert."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from logging import ERROR, getLogger

NOISY = (
    "torch.onnx",
    "torch.export",
    "torch.utils",
    "onnxscript",
    "coremltools",
    "executorch",
    "root",
)


@contextmanager
def hush() -> Iterator[None]:
    """Silence warnings, log lines and prints, those of C++ libraries included."""
    loggers = [getLogger(name) for name in NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(ERROR)
    try:
        with (
            warnings.catch_warnings(),
            _descriptors_to_nowhere(),
            redirect_stdout(StringIO()),
            redirect_stderr(StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _descriptors_to_nowhere() -> Iterator[None]:
    """Point the file descriptors 1 and 2 to the null device for a while."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    kept = {number: os.dup(number) for number in (1, 2) if _is_open(number)}
    try:
        for number in kept:
            os.dup2(nowhere, number)
        yield
    finally:
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
