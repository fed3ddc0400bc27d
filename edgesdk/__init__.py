"""edgesdk: vision models from a big teacher to a small device, with proof at each step."""

from typing import TYPE_CHECKING, Any

from edgesdk._version import __version__
from edgesdk.core.quiet import silence

silence()

if TYPE_CHECKING:
    from edgesdk.api import (
        bench,
        doctor,
        export,
        inspect,
        load,
        models,
        report,
        run,
        targets,
        train,
        verify,
    )
    from edgesdk.core.bundle import Bundle, Checkpoint
    from edgesdk.core.errors import EdgeSdkError
    from edgesdk.core.preprocess import Preprocess
    from edgesdk.core.session import Session
    from edgesdk.face import FacePipeline
    from edgesdk.images import read_image

__all__ = [
    "Bundle",
    "Checkpoint",
    "EdgeSdkError",
    "FacePipeline",
    "Preprocess",
    "Session",
    "__version__",
    "bench",
    "doctor",
    "export",
    "inspect",
    "load",
    "models",
    "read_image",
    "report",
    "run",
    "targets",
    "train",
    "verify",
]

_HOMES = {
    "Bundle": "edgesdk.core.bundle",
    "Checkpoint": "edgesdk.core.bundle",
    "EdgeSdkError": "edgesdk.core.errors",
    "FacePipeline": "edgesdk.face",
    "Preprocess": "edgesdk.core.preprocess",
    "Session": "edgesdk.core.session",
    "read_image": "edgesdk.images",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `edgesdk --help` stays quick."""
    if name not in __all__:
        raise AttributeError(f"module 'edgesdk' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES.get(name, "edgesdk.api")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
