"""Run a bundle: on pictures here, or live in the browser of a device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import UnsupportedError, UsageError

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle


def run(
    bundle: Bundle,
    pictures: Sequence[Path],
    runtime: str | None,
    device: str,
    threads: int,
    aligned: bool | None,
    lan: bool,
    https: bool,
) -> dict[str, Any]:
    """See `edgesdk.api.run`."""
    from edgesdk_runtimes._open import runner_of

    runner = runner_of(device)
    if runner is not None:
        if pictures or runtime:
            raise UsageError(
                f"--device {device} takes its pictures from a camera and brings its own runtime; "
                "leave pictures and --runtime out"
            )
        return _live(runner, bundle, device, lan, https)
    if lan or https:
        raise UsageError("--lan and --https serve a page; they need --device browser")
    from edgesdk.face import run_pictures

    return run_pictures(bundle, pictures, runtime, device, threads, aligned)


def _live(runner: str, bundle: Bundle, device: str, lan: bool, https: bool) -> dict[str, Any]:
    """Serve the live page until Ctrl-C."""
    from edgesdk.core.protocols import Reach

    plugin = plugins.load(plugins.RUNTIMES, runner)
    if not hasattr(plugin, "live"):
        raise UsageError(f"{device!r} measures only; use: edgesdk bench --device {device}")
    why = plugin.available()
    if why is not None:
        raise UnsupportedError(why)
    served: dict[str, Any] = plugin.live(bundle, device, Reach(lan=lan, https=https))
    return served
