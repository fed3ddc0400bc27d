"""What every runtime's session shares: its bundle, its state and the context manager."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self

from edgesdk.core.bundle import Bundle
from edgesdk.core.tensors import Arrays


class BaseSession:
    """Base of all sessions; a runtime adds `run`.

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


def distribution_version(*names: str) -> str:
    """Return "name version" of the first distribution that is installed, "" for none."""
    for name in names:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return ""
