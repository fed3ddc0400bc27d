"""Measure bundles: from words to plans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.shipped import open_bundle

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle
    from edgesdk.core.result import BenchResult

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
    duration: float,
    force: bool,
    lan: bool,
    https: bool,
    timeout: float,
    output_dir: Path,
    progress: Callable[[int, int, str], None] | None,
) -> list[BenchResult]:
    """See `edgesdk.api.bench`."""
    for scenario in scenarios:
        if scenario not in SCENARIOS:
            hint = did_you_mean(scenario, SCENARIOS)
            raise UsageError(f"unknown scenario {scenario!r}. {hint}")
    numbers = {
        "threads": threads,
        "iterations": iterations,
        "duration": duration,
        "timeout": timeout,
    }
    for name, value in numbers.items():
        if not value > 0:
            raise UsageError(f"--{name} must be above 0, found {value}")
    if batch is not None and batch < 1:
        raise UsageError(f"--batch must be 1 or more, found {batch}")
    from edgesdk.core.protocols import Reach
    from edgesdk.core.result import BenchPlan
    from edgesdk_benchmarks.bench import bench
    from edgesdk_benchmarks.remote import bench_remote, runner_of

    options: dict[str, Any] = {} if batch is None else {"batch": batch}
    plans = [
        BenchPlan(
            scenario=s,
            warmup=warmup,
            iterations=iterations,
            duration_s=duration,
            threads=threads,
            **(options if s == "throughput" else {}),
        )
        for s in scenarios
    ]
    opened = [open_bundle(b) for b in bundles]
    runner = runner_of(device)
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
