"""Measure bundles: from words to plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.shipped import open_bundle

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle
    from edgesdk.core.result import BenchPlan, BenchResult

SCENARIOS = ("latency", "throughput", "offline")


def measure(
    bundles: Sequence[Path | str | Bundle],
    *,
    runtimes: Sequence[str],
    scenarios: Sequence[str],
    device: str,
    threads: int,
    batch: int | None,
    warmup: int,
    iterations: int,
    duration: float | None,
    force: bool,
    lan: bool,
    https: bool,
    timeout: float,
    output_dir: Path,
    progress: Callable[[int, int, str], None] | None,
) -> list[BenchResult]:
    """See `edgesdk.api.bench`."""
    from edgesdk_runtimes._open import runner_of

    runner = runner_of(device)
    duration = _default_duration(runner) if duration is None else duration
    times = {"duration": duration, "timeout": timeout}
    if warmup < 0:
        raise UsageError(f"--warmup must be 0 or more, found {warmup}")
    counts = {"threads": threads, "iterations": iterations}
    _check(scenarios, {**counts, **times}, batch)
    from edgesdk.core.protocols import Reach
    from edgesdk_benchmarks.bench import bench
    from edgesdk_benchmarks.remote import bench_remote

    settings = {"warmup": warmup, "iterations": iterations, "threads": threads}
    plans = _plans(scenarios, batch, {**settings, "duration_s": duration})
    opened = [open_bundle(b) for b in bundles]
    _check_batch(opened, batch)
    if runner is not None:
        if runtimes:
            raise UsageError(f"--device {device} brings its own runtime; leave --runtime out")
        reach = Reach(lan, https, timeout, progress)
        return bench_remote(opened, plans, runner, device, reach, out=output_dir, force=force)
    if lan or https:
        raise UsageError("--lan and --https serve a page; they need --device browser")
    return bench(
        opened,
        plan=plans,
        runtimes=[plugins.resolve(plugins.RUNTIMES, r) for r in runtimes] or None,
        device=device,
        out=output_dir,
        force=force,
        progress=progress,
    )


def _default_duration(runner: str | None) -> float:
    from edgesdk.core.result import BenchPlan

    plan = BenchPlan() if runner is None else plugins.load(plugins.RUNTIMES, runner)
    return float(plan.duration_s)


def _check(scenarios: Sequence[str], numbers: Mapping[str, float], batch: int | None) -> None:
    for scenario in scenarios:
        if scenario not in SCENARIOS:
            hint = did_you_mean(scenario, SCENARIOS)
            raise UsageError(f"unknown scenario {scenario!r}. {hint}")
    for name, value in numbers.items():
        if not 0 < value < inf:
            raise UsageError(f"--{name} must be above 0, found {value}")
    if batch is not None and batch < 1:
        raise UsageError(f"--batch must be 1 or more, found {batch}")
    if batch is not None and "throughput" not in scenarios:
        raise UsageError("--batch is the size of --scenario throughput; add it, or leave it out")


def _plans(
    scenarios: Sequence[str], batch: int | None, settings: Mapping[str, Any]
) -> list[BenchPlan]:
    """Return one plan per scenario; batches belong to throughput alone."""
    from edgesdk.core.result import THROUGHPUT_BATCH, BenchPlan

    sizes = {s: (batch or THROUGHPUT_BATCH) if s == "throughput" else 1 for s in scenarios}
    return [BenchPlan(scenario=s, batch=sizes[s], **settings) for s in scenarios]


def _check_batch(bundles: Sequence[Bundle], batch: int | None) -> None:
    for bundle in bundles:
        if batch is not None and bundle.inputs[0].shape[0] not in (None, batch):
            raise UsageError(
                f"--batch {batch} was asked, bundle {bundle.path} takes batches of "
                f"{bundle.inputs[0].shape[0]} alone; leave --batch out or export it again"
            )
