"""Choose a runtime for a bundle and open it. Nothing is switched silently."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import EdgeSdkError, UnsupportedError, UsageError, did_you_mean
from edgesdk.core.notes import note
from edgesdk.core.session import Session
from edgesdk.core.typed import fits

# Thousands of threads that wait for each other bring a machine to a standstill.
MOST_THREADS = 256


def choose(bundle: Bundle, runtime: str | None = None) -> tuple[str, Any]:
    """Return the name and plug-in of the runtime to open `bundle` with.

    Without a name it is the first of `bundle.runtimes`, then any other that opens the
    format, which works on this machine.

    Raises:
        UnknownPluginError: there is no runtime of that name.
        UsageError: the named runtime does not open the bundle's format.
        UnsupportedError: none works here; says why for each.
    """
    if runtime is not None:
        return _named(bundle, runtime)
    reasons = []
    for name, plugin in _candidates(bundle):
        why = plugin.available()
        if why is None:
            note(f"runtime {name}: the first one that opens {bundle.name} here")
            return name, plugin
        reasons.append(f"{name}: {why}")
    found = "; ".join(reasons) or f"no runtime opens the format {bundle.format!r}"
    raise UnsupportedError(f"bundle {bundle.path} cannot run here ({found})")


def _named(bundle: Bundle, runtime: str) -> tuple[str, Any]:
    name = plugins.resolve(plugins.RUNTIMES, runtime)
    plugin = plugins.load(plugins.RUNTIMES, name)
    if plugin.kind == "remote":
        raise UsageError(f"{name!r} measures on a device; use: edgesdk bench --device {name}")
    if bundle.format not in plugin.formats:
        fitting = ", ".join(n for n, _ in _candidates(bundle)) or "none"
        raise UsageError(
            f"runtime {name!r} opens {', '.join(plugin.formats)}, the bundle {bundle.path} is "
            f"{bundle.format}; runtimes that open it: {fitting}"
        )
    why = plugin.available()
    if why is not None:
        raise UnsupportedError(f"runtime {name!r} cannot be used here: {why}")
    return name, plugin


def _candidates(bundle: Bundle) -> Iterator[tuple[str, Any]]:
    every = [n for n in plugins.names(plugins.RUNTIMES) if n not in bundle.runtimes]
    for name in [*bundle.runtimes, *every]:
        if name in plugins.names(plugins.RUNTIMES):
            plugin = plugins.load(plugins.RUNTIMES, name)
            if bundle.format in plugin.formats and plugin.kind != "remote":
                yield name, plugin


def runners() -> dict[str, str]:
    """Return word for `--device` -> runner behind it, names and aliases."""
    remote = (item for item in plugins.every(plugins.RUNTIMES) if item[1].kind == "remote")
    return {word: name for name, plugin in remote for word in (name, *plugin.aliases)}


def runner_of(device: str) -> str | None:
    """Return the runner behind a device such as "android:R58M" or "browser", None for a host's."""
    return runners().get(device.partition(":")[0])


def device_here(name: str, asked: str, allow_fallback: bool = False) -> str:
    """Return the device of the runtime `name` that `asked` means on this machine.

    Raises:
        UnsupportedError: it is absent, and no other may take its place.
    """
    plugin = plugins.load(plugins.RUNTIMES, name)
    devices = list(plugin.devices())
    if asked == "auto":
        note(f"device {devices[-1]}: the fastest one of runtime {name} here")
        return str(devices[-1])
    if asked in devices:
        return asked
    if allow_fallback:
        note(f"device {devices[0]}: runtime {name} finds no {asked} here")
        return str(devices[0])
    hint = did_you_mean(asked, [*devices, "auto", *runners()])
    raise UnsupportedError(
        f"device {asked!r} was asked, runtime {name!r} finds {', '.join(devices)} here. {hint} "
        "With allow_fallback (--allow-fallback) another one is taken."
    )


def open_session(
    bundle: Bundle,
    runtime: str | None = None,
    device: str = "cpu",
    threads: int = 1,
    allow_fallback: bool = False,
) -> Session:
    """Open a bundle for inference.

    Args:
        bundle: What to open.
        runtime: Runtime by name or alias; None chooses.
        device: One of the runtime's devices, or "auto" for its fastest.
        threads: Threads of the CPU, 1 to 256.
        allow_fallback: Take the first device there is when `device` is absent; the
            session's `device` says which it became.

    Raises:
        UsageError: a number of threads that makes no sense, or the runtime does not fit.
        UnsupportedError: no runtime works here, or the device is absent.
        EdgeSdkError: the runtime cannot open it.
    """
    if not fits(threads, int) or not 1 <= threads <= MOST_THREADS:
        raise UsageError(f"threads must be 1 to {MOST_THREADS}, found {threads!r}")
    name, plugin = choose(bundle, runtime)
    where = device_here(name, device, allow_fallback)
    try:
        raw = plugin.open(bundle, where, threads)
    except EdgeSdkError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise EdgeSdkError(
            f"runtime {name!r} cannot open {bundle.path} ({type(error).__name__}: {text}); "
            "export it again, or choose another with --runtime"
        ) from error
    return Session(raw, where, threads)
