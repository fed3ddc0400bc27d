"""Run an artefact beside its source and say whether the numbers survived."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from edgesdk.core import plugins
from edgesdk.core.batches import CHUNK, in_batches
from edgesdk.core.bundle import Bundle
from edgesdk.core.compare import Difference, judge
from edgesdk.core.errors import EdgeSdkError, UnsupportedError
from edgesdk.core.hush import hush
from edgesdk.core.protocols import Session
from edgesdk.core.session import guarded
from edgesdk.core.target import Tolerance
from edgesdk.core.task import Run
from edgesdk.core.tensors import Arrays
from edgesdk.core.verify import Verification
from edgesdk_export._quiet import brief
from edgesdk_export._source import as_onnx
from edgesdk_runtimes._session import BaseSession

BATCH, SPLITS = 32, (1, 7)
# Kernels may round otherwise at another batch size; a leak between items is a hundred times
# larger. Part of the largest output value.
BATCH_SHARE = {"fp32": 1e-4, "fp16": 1e-2, "int8": 5e-2}


def batch_share(precision: str) -> float:
    """Return what items of a batch may move each other, as a part of the largest value."""
    return BATCH_SHARE.get(precision, BATCH_SHARE["int8"])


@dataclass(frozen=True, slots=True)
class Opened:
    """An artefact, or its proxy, that runs here.

    Attributes:
        run: From inputs of any batch size to outputs.
        level: As in Verification.
        by: runtime, kind and version.
        proxy: Whether it is the proxy.
        notes: Why the artefact itself does not run, for a proxy.
        placed: Returns the number of operators per unit, None where the runtime does not tell.
        broken: Why its runtime does not open it, "" where it does.
    """

    run: Run
    level: str
    by: Mapping[str, str]
    proxy: bool
    notes: tuple[str, ...]
    placed: Callable[[], Mapping[str, int] | None]
    broken: str = ""


@contextmanager
def opened(bundle: Bundle, not_run: str = "") -> Iterator[Opened | tuple[str, ...]]:
    """Open a bundle in its first runtime that works here, else its proxy.

    Args:
        bundle: What to open; its bundle.json need not exist yet.
        not_run: Known reason why it cannot run here, "" to try.

    Yields:
        What was opened, or the reasons why nothing could be.
    """
    session: Session | None = None
    reasons = [not_run]
    if not not_run:
        session, reasons = _first_session(bundle)
    is_proxy = session is None and bool(bundle.proxy)
    shown = bundle
    if is_proxy:
        shown = as_onnx(bundle)
        session, more = _first_session(shown)
        reasons += more
    if session is None:
        yield tuple(reasons)
        return
    with session as live:
        runtime = plugins.load(plugins.RUNTIMES, live.runtime)
        kind = str(runtime.kind)
        yield Opened(
            run=partial(
                in_batches,
                guarded(live.run, live.runtime),
                size=shown.inputs[0].shape[0],
                most=_largest(shown),
            ),
            level="proxy" if is_proxy else _level(shown, live.runtime, kind, runtime),
            by={"runtime": live.runtime, "kind": kind, "version": runtime.version()},
            proxy=is_proxy,
            notes=tuple(reasons),
            placed=live.placement,
            broken=getattr(live, "broken", ""),
        )


def _first_session(bundle: Bundle) -> tuple[Session | None, list[str]]:
    reasons: list[str] = []
    for name in bundle.runtimes:
        runtime = plugins.load(plugins.RUNTIMES, name)
        why = runtime.available()
        if why is None:
            try:
                with hush():
                    return runtime.open(bundle, _device(runtime), 1), reasons
            except UnsupportedError as error:
                why = str(error)
            except EdgeSdkError as error:
                return _Unreadable(bundle, name, error), reasons
        reasons.append(f"runtime {name}: {why}")
    return None, reasons


class _Unreadable(BaseSession):
    """Stands for an artefact that its runtime cannot even open: each run says so."""

    def __init__(self, bundle: Bundle, runtime: str, error: EdgeSdkError) -> None:
        super().__init__(bundle)
        self.runtime, self._error = runtime, error
        self.broken = f"runtime {runtime} does not open it: {brief(error)}"

    def run(self, inputs: Arrays) -> dict[str, Any]:
        raise self._error


def _device(runtime: Any) -> str:
    devices = list(runtime.devices())
    return "cpu" if "cpu" in devices or not devices else str(devices[0])


def _level(bundle: Bundle, name: str, kind: str, runtime: Any) -> str:
    if kind != "native":
        return "proxy"
    on_target = name == "coreml" or _device(runtime) != "cpu"
    return "device" if on_target else "host"


def _largest(bundle: Bundle) -> int:
    """Return the largest batch that an engine was built for; others take any."""
    _, _, largest = bundle.build.get("batch", (1, 1, CHUNK))
    return int(largest)


def compare(
    bundle: Bundle, artefact: Opened, source: Run, arrays: Arrays, tolerance: Tolerance
) -> Verification:
    """Compare the outputs with those of the source, and check batch invariance.

    Args:
        bundle: What is judged.
        artefact: The same, opened.
        source: Runs the source on any number of items.
        arrays: Crops, pre-processed.
        tolerance: Of the bundle's precision.
    """
    base = Verification(
        verdict="pass",
        level=artefact.level,
        by=artefact.by,
        samples=len(next(iter(arrays.values()))),
        tolerance=asdict(tolerance),
        reasons=artefact.notes,
    )
    try:
        want, found = source(arrays), artefact.run(arrays)
        distances, reasons = _distances(bundle, want, found, tolerance)
        # Outputs of the wrong shape have nothing to compare between batches.
        checks, leaks = _batch_checks(bundle, artefact.run, arrays) if all(distances) else ({}, [])
    except EdgeSdkError as error:
        return settle(base, [str(error)], artefact.proxy)
    outputs = {s.name: d.to_json() for s, d in zip(bundle.outputs, distances, strict=True) if d}
    return settle(replace(base, outputs=outputs, batch=checks), [*reasons, *leaks], artefact.proxy)


def _distances(
    bundle: Bundle, want: Arrays, found: Arrays, tolerance: Tolerance
) -> tuple[list[Difference | None], list[str]]:
    judged = [judge(s.name, want[s.name], found[s.name], tolerance) for s in bundle.outputs]
    return [distance for distance, _ in judged], [why for _, reasons in judged for why in reasons]


def settle(verification: Verification, failures: list[str], proxy: bool) -> Verification:
    """Return the verdict that follows from `failures`, which join the reasons."""
    failed = bool(failures) or verification.failed
    reasons = (*failures, *verification.reasons)
    if proxy:
        verdict = "fail" if failed else "pass"
        return replace(verification, verdict="not-run", proxy=verdict, reasons=reasons)
    return replace(verification, verdict="fail" if failed else "pass", reasons=reasons)


def _batch_checks(
    bundle: Bundle, run: Run, arrays: Arrays
) -> tuple[dict[str, float | None], list[str]]:
    """Return check -> largest difference, and reasons; nothing where the batch is fixed."""
    if bundle.inputs[0].shape[0] is not None:
        return {}, []
    part = {name: array[: min(BATCH, _largest(bundle))] for name, array in arrays.items()}
    base = run(part)
    order = np.random.default_rng(0).permutation(len(next(iter(part.values()))))
    back = np.argsort(order)
    mixed = run({name: array[order] for name, array in part.items()})
    checks: dict[str, float | None] = {
        f"batch of {size}": _gap(base, in_batches(run, part, size)) for size in SPLITS
    }
    checks["permuted"] = _gap(base, {name: array[back] for name, array in mixed.items()})
    checks["beside NaN"] = _beside_nan(run, part, base)
    return checks, _leaks(checks, base, batch_share(bundle.precision))


def _leaks(checks: Mapping[str, float | None], base: Arrays, share: float) -> list[str]:
    most = share * max(float(np.abs(array).max()) for array in base.values())
    return [
        f"items of a batch change each other ({name}): {gap:.3g}, at most {most:.3g} allowed"
        for name, gap in checks.items()
        if gap is not None and not gap <= most
    ]


def _gap(one: Arrays, other: Arrays) -> float:
    wide = {name: array.astype(np.float64) for name, array in one.items()}
    return max(float(np.abs(wide[name] - other[name]).max()) for name in one)


def _beside_nan(run: Run, arrays: Arrays, base: Arrays) -> float | None:
    """Return how far item 1… moves when item 0 is NaN; None where the runtime refuses NaN."""
    spoiled = {name: array.copy() for name, array in arrays.items()}
    for array in spoiled.values():
        if array.dtype.kind == "f":
            array[0] = np.nan
    try:
        with np.errstate(invalid="ignore"):
            found = run(spoiled)
    except EdgeSdkError:
        return None
    return _gap(*({name: a[1:] for name, a in side.items()} for side in (base, found)))
