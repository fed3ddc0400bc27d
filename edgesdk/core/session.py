"""The public session: names, types and shapes are checked once, here."""

import os
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakSet

import numpy as np

from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.protocols import Session as RawSession
from edgesdk.core.tensors import Array, Arrays, InputCheck, all_finite

Run = Callable[[Arrays], Mapping[str, Any]]
# Square of the least length of a vector that is to be of unit length: coded ones come close to
# 1, and one whose squares left the range of float32 comes as zeros.
LEAST_LENGTH = 0.25
CLOSED = "the session is closed; open it again with edgesdk.load"
FORKED = (
    "the session was opened before this process was forked: neither threads nor a GPU survive "
    "that; open it again here with edgesdk.load"
)


def _squares(array: Array) -> Array:
    """Return the square of the length of each row."""
    squares: Array = np.einsum("...i,...i->...", array, array)
    return squares


def guarded(run: Run, who: str, kind: type[EdgeSdkError] = EdgeSdkError) -> Run:
    """Return `run`; whatever a runtime raises in it becomes one sentence of class `kind`."""

    def safe(arrays: Arrays) -> Mapping[str, Any]:
        try:
            return run(arrays)
        except EdgeSdkError:
            raise
        except Exception as error:
            raise kind(_failure(who, arrays, error)) from error

    return safe


def _failure(who: str, arrays: Arrays, error: Exception) -> str:
    count = len(next(iter(arrays.values())))
    return f"{who} fails on a batch of {count}: {' '.join(str(error).split())[:200]}"


class Session:
    """An open bundle. Made by `edgesdk.load`; a context manager.

    Threads may share it: a runtime that can only do one run at a time lets the others wait.
    A process forked from the one that opened it is refused.

    Attributes:
        bundle: What was opened.
        runtime: Name of the runtime behind it.
        device: Device it runs on.
        threads: Threads it uses.
    """

    def __init__(self, raw: RawSession, device: str, threads: int) -> None:
        self._raw: RawSession | None = raw
        self._ended = CLOSED
        self.bundle: Bundle = raw.bundle
        self.runtime = raw.runtime
        self.device = device
        self.threads = threads
        self._who = f"runtime {self.runtime!r} of {self.bundle.path}"
        self._check = InputCheck(self.bundle.inputs)
        unit = self.bundle.outputs[0].name if self.bundle.postprocess.get("normalised") else ""
        self._unit = unit
        _OPEN.add(self)

    @property
    def raw(self) -> RawSession:
        """The runtime's own session, which checks nothing: for tight loops."""
        if self._raw is None:
            raise EdgeSdkError(self._ended)
        return self._raw

    def run(self, inputs: Arrays) -> dict[str, Any]:
        """Run one batch.

        Args:
            inputs: Input name -> array as `session.bundle.inputs` describes.

        Returns:
            Output name -> array; the arrays belong to the caller.

        Raises:
            UsageError: it is no dictionary of arrays, a name, shape or dtype differs, or a
                value is not finite.
            EdgeSdkError: the runtime itself fails, or answers finite inputs with NaN, infinity,
                or zeros where the bundle promises unit length.
        """
        # Written out, not composed of `raw` and `guarded`: each call costs as much as a check.
        raw = self._raw
        if raw is None:
            raise EdgeSdkError(self._ended)
        arrays = self._check(inputs)
        try:
            found = raw.run(arrays)
            for name, array in found.items():
                if not all_finite(array):
                    raise EdgeSdkError(self._not_finite(name, array, arrays))
                if name == self._unit and (_squares(array) < LEAST_LENGTH).any():
                    raise EdgeSdkError(self._no_length(name, array, arrays))
        except EdgeSdkError:
            raise
        except Exception as error:
            raise EdgeSdkError(_failure(self._who, arrays, error)) from error
        return found

    def _not_finite(self, name: str, array: Array, inputs: Arrays) -> str:
        items = array.reshape(len(array), -1)
        item = int((~np.isfinite(items)).any(1).argmax())
        return self._unusable("NaN or infinity", name, item, inputs)

    def _no_length(self, name: str, array: Array, inputs: Arrays) -> str:
        item = int(_squares(array).argmin())
        return self._unusable("a vector that is not of unit length", name, item, inputs)

    def _unusable(self, what: str, name: str, item: int, inputs: Arrays) -> str:
        ranges = ", ".join(f"{n} from {a.min():.3g} to {a.max():.3g}" for n, a in inputs.items())
        return (
            f"{self._who} answers finite inputs ({ranges}) with {what} in output {name!r}, "
            f"item {item}; check the range of the inputs, and the bundle with: edgesdk verify"
        )

    def placement(self) -> Mapping[str, int] | None:
        """Return the number of operators per unit, None where unknown."""
        return self.raw.placement()

    def close(self) -> None:
        """Free the session; closing twice is allowed. A run in another thread ends first."""
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.close()

    def _leave(self) -> None:
        """Let go of what belongs to the parent process, and free none of it."""
        if self._raw is not None:
            self._parents, self._raw, self._ended = self._raw, None, FORKED

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


_OPEN: WeakSet[Session] = WeakSet()


def _after_fork() -> None:
    for session in _OPEN:
        session._leave()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
