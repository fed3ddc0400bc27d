"""The public session: names, types and shapes are checked once, here."""

from collections.abc import Callable, Mapping
from typing import Any

from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.protocols import Session as RawSession
from edgesdk.core.tensors import Arrays, check_inputs

Run = Callable[[Arrays], Mapping[str, Any]]


def guarded(run: Run, who: str, kind: type[EdgeSdkError] = EdgeSdkError) -> Run:
    """Return `run`; whatever a runtime raises in it becomes one sentence of class `kind`."""

    def safe(arrays: Arrays) -> Mapping[str, Any]:
        try:
            return run(arrays)
        except EdgeSdkError:
            raise
        except Exception as error:
            count = len(next(iter(arrays.values())))
            text = " ".join(str(error).split())[:200]
            raise kind(f"{who} fails on a batch of {count}: {text}") from error

    return safe


class Session:
    """An open bundle. Made by `edgesdk.load`; a context manager.

    Attributes:
        bundle: What was opened.
        runtime: Name of the runtime behind it.
        device: Device it runs on.
        threads: Threads it uses.
    """

    def __init__(self, raw: RawSession, device: str, threads: int) -> None:
        self._raw: RawSession | None = raw
        self.bundle: Bundle = raw.bundle
        self.runtime = raw.runtime
        self.device = device
        self.threads = threads

    @property
    def raw(self) -> RawSession:
        """The runtime's own session, which checks nothing: for tight loops."""
        if self._raw is None:
            raise EdgeSdkError("the session is closed; open it again with edgesdk.load")
        return self._raw

    def run(self, inputs: Arrays) -> dict[str, Any]:
        """Run one batch.

        Args:
            inputs: Input name -> array as `session.bundle.inputs` describes.

        Returns:
            Output name -> array; the arrays belong to the caller.

        Raises:
            UsageError: a name, shape or dtype differs, or a value is not finite.
            EdgeSdkError: the runtime itself fails.
        """
        run = guarded(self.raw.run, f"runtime {self.runtime!r} of {self.bundle.path}")
        return dict(run(check_inputs(self.bundle.inputs, inputs)))

    def placement(self) -> Mapping[str, int] | None:
        """Return the number of operators per unit, None where unknown."""
        return self.raw.placement()

    def close(self) -> None:
        """Free the session; closing twice is allowed."""
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
