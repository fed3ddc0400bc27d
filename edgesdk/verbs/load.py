"""Open a bundle for programs; the command line's verb is `run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgesdk.core.shipped import open_bundle
from edgesdk.verbs._verb import Verb

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle
    from edgesdk.core.session import Session


def load(
    bundle: Path | str | Bundle,
    *,
    runtime: str | None = None,
    device: str = "cpu",
    threads: int = 1,
    allow_fallback: bool = False,
    force: bool = False,
) -> Session:
    """Open a bundle for inference on tensors.

    Args:
        bundle: Bundle folder or shipped name.
        runtime: Runtime; default: the first one of the bundle that works here.
        device: cpu, cuda:0 or auto.
        threads: Threads of the CPU.
        allow_fallback: Accept another device than the one asked for.
        force: Open a rejected bundle.

    Returns:
        A session; close it or use it in a `with` block.

    Raises:
        UsageError: it is no bundle, or the runtime cannot open its format.
        UnsupportedError: no runtime works here, or the device is absent.
    """
    from edgesdk_runtimes._open import open_session

    opened = open_bundle(bundle, force=force)
    return open_session(opened, runtime, device, threads, allow_fallback)


PLUGIN = Verb(load)
