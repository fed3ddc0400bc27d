"""edgesdk: vision models from a big teacher to a small device, with proof at each step."""

from __future__ import annotations

from edgesdk._version import __version__ as __version__
from edgesdk.core.quiet import silence

silence()

# Not typing's own: the command line waits for this module before it can answer Ctrl-C.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from edgesdk.core.bundle import Bundle as Bundle
    from edgesdk.core.bundle import Checkpoint as Checkpoint
    from edgesdk.core.errors import EdgeSdkError as EdgeSdkError
    from edgesdk.core.preprocess import Preprocess as Preprocess
    from edgesdk.core.session import Session as Session
    from edgesdk.face import FacePipeline as FacePipeline
    from edgesdk.galleries import Gallery as Gallery
    from edgesdk.images import read_image as read_image
    from edgesdk.track import Tracker as Tracker

    # [[[cog
    # from edgesdk.verbs import verb_names
    # for name in verb_names():
    #     cog.outl(f"from edgesdk.verbs.{name} import {name} as {name}")
    # ]]]
    from edgesdk.verbs.bench import bench as bench
    from edgesdk.verbs.doctor import doctor as doctor
    from edgesdk.verbs.explain import explain as explain
    from edgesdk.verbs.export import export as export
    from edgesdk.verbs.federate import federate as federate
    from edgesdk.verbs.gallery import gallery as gallery
    from edgesdk.verbs.inspect import inspect as inspect
    from edgesdk.verbs.load import load as load
    from edgesdk.verbs.models import models as models
    from edgesdk.verbs.report import report as report
    from edgesdk.verbs.run import run as run
    from edgesdk.verbs.targets import targets as targets
    from edgesdk.verbs.train import train as train
    from edgesdk.verbs.verify import verify as verify
    # [[[end]]]

_HOMES = {
    "Bundle": "edgesdk.core.bundle",
    "Checkpoint": "edgesdk.core.bundle",
    "EdgeSdkError": "edgesdk.core.errors",
    "FacePipeline": "edgesdk.face",
    "Gallery": "edgesdk.galleries",
    "Preprocess": "edgesdk.core.preprocess",
    "Session": "edgesdk.core.session",
    "Tracker": "edgesdk.track",
    "read_image": "edgesdk.images",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import edgesdk` stays quick."""
    from importlib import import_module

    from edgesdk.verbs import verb_names

    if name == "__all__":
        return sorted([*_HOMES, "__version__", *verb_names()])
    if name not in _HOMES and name not in verb_names():
        raise AttributeError(f"module 'edgesdk' has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, f"edgesdk.verbs.{name}")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return list(__getattr__("__all__"))
