"""Every error edgesdk raises on purpose, and the exit code each one gives.

EdgeSdkError                  1   printed as one sentence; --debug shows the traceback
├── UsageError                2   what was typed or handed in cannot be used
│   └── UnknownPluginError    2   a name that nothing answers to
├── UnsupportedError          3   this machine, or this combination, cannot do it
│   └── MissingDependencyError 3  a package is not installed
├── GateFailedError           4   a numeric or accuracy gate refused the artefact
├── InvalidBenchmarkError     5   the measurement is not worth printing
└── LicenceError              6   the licence forbids what was asked

A message says what was asked, what was found, and what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class EdgeSdkError(Exception):
    """Base of every expected failure."""

    exit_code = 1


class UsageError(EdgeSdkError):
    """The request, or the input handed in, cannot be used."""

    exit_code = 2


class UnknownPluginError(UsageError):
    """A name was given that no plug-in answers to."""

    def __init__(self, kind: str, name: str, valid: Iterable[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}. {did_you_mean(name, valid)}")


class UnsupportedError(EdgeSdkError):
    """This machine or this combination cannot do what was asked."""

    exit_code = 3


class MissingDependencyError(UnsupportedError):
    """A package that the request needs is not installed."""

    def __init__(self, what: str, missing: Iterable[str], extra: str) -> None:
        names = tuple(missing)
        are = "is" if len(names) == 1 else "are"
        super().__init__(
            f"{what} needs {', '.join(names)}, which {are} not installed. "
            f"Install it with: pip install 'edgesdk[{extra}]'"
        )


class GateFailedError(EdgeSdkError):
    """An artefact failed a numeric or accuracy gate."""

    exit_code = 4


class InvalidBenchmarkError(EdgeSdkError):
    """A measurement broke a rule of validity."""

    exit_code = 5


class LicenceError(EdgeSdkError):
    """The licence of the weights or data forbids the request."""

    exit_code = 6


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return "Did you mean 'x'? Valid: …" for the valid names."""
    names = sorted(valid)
    close = get_close_matches(name, names, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"{hint}Valid: {', '.join(names) or 'none'}."
