"""What every runtime's session shares: its bundle, its state and the context manager."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from threading import Lock
from typing import Any, Self

from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.session import CLOSED
from edgesdk.core.tensors import Arrays


class BaseSession:
    """Base of all sessions; a runtime adds `run`, which several threads may call at a time.

    Attributes:
        bundle: What was opened.
        runtime: Name of the runtime.
    """

    runtime = ""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def run(self, inputs: Arrays) -> dict[str, Any]:
        """Run one batch; the arrays returned belong to the caller."""
        raise NotImplementedError

    def placement(self) -> Mapping[str, int] | None:
        """Return the number of operators per unit, None where unknown."""
        return None

    def close(self) -> None:
        """Free the session; closing twice is allowed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class SerialSession(BaseSession):
    """Base where the library does one run at a time: a second thread waits for the first.

    A runtime adds `alone` and `free` instead of `run` and `close`.
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        self._lock = Lock()
        self._closed = False

    def alone(self, inputs: Arrays) -> dict[str, Any]:
        """Run one batch while no other thread does anything with the session."""
        raise NotImplementedError

    def free(self) -> None:
        """Free what `__init__` made; called once."""

    def run(self, inputs: Arrays) -> dict[str, Any]:
        """Run one batch; the arrays returned belong to the caller.

        Raises:
            EdgeSdkError: the session was closed while this run waited.
        """
        with self._lock:
            if self._closed:
                raise EdgeSdkError(CLOSED)
            return self.alone(inputs)

    def close(self) -> None:
        """Free the session after the run in progress; closing twice is allowed."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self.free()


def renormalised(bundle: Bundle) -> str:
    """Return the output that coded numbers leave not exactly of unit length, "" for none."""
    return bundle.outputs[0].name if bundle.build.get("renormalise") else ""


def use_threads(count: int) -> None:
    """Let torch compute with `count` threads: one number that all sessions of a process share."""
    import torch

    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


def distribution_version(*names: str) -> str:
    """Return "name version" of the first distribution that is installed, "" for none."""
    for name in names:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return ""
