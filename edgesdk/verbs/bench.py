"""Measure bundles: from words to plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import EdgeSdkError, UsageError, did_you_mean
from edgesdk.core.shipped import open_bundle
from edgesdk.verbs._verb import Progress, Verb, listed

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle
    from edgesdk.core.result import BenchPlan, BenchResult

SCENARIOS = ("latency", "throughput", "offline", "pipeline")
PASSES = 5  # least ones of a pipeline over all its files
# Whoever asks for more has mistyped: a day, and samples that still fit into a result file.
MOST = {"threads": 256, "iterations": 10**6, "duration": 86400, "timeout": 86400}
# More would measure the memory's allocator, or fill it.
MOST_AT_ONCE = 65536


def bench(
    bundles: Sequence[Path | str | Bundle] | Path | str | Bundle,
    *,
    runtime: Sequence[str] | str = (),
    scenario: Sequence[str] | str = ("latency",),
    device: str = "cpu",
    threads: int = 1,
    allow_fallback: bool = False,
    batch: int | None = None,
    photos: Path | str | None = None,
    warmup: int = 10,
    iterations: int = 100,
    duration: float | None = None,
    force: bool = False,
    lan: bool = False,
    https: bool = False,
    timeout: float = 300.0,
    output_dir: Path | str = "reports/results",
    progress: Progress | None = None,
) -> list[BenchResult]:
    """Measure bundles side by side, interleaved in one run.

    Args:
        bundles: Bundle folders, shipped names or runs that have a bundle; of several, those that
            cannot run here are listed with the reason.
        runtime: Runtime to measure with; repeat for several; default: each bundle's first one.
        scenario: latency, throughput, offline or pipeline (files to answers); repeatable.
        device: cpu, cuda:0 or auto; android[:SERIAL] or browser measure there.
        threads: Threads of the CPU.
        allow_fallback: Accept another device than the one asked for.
        batch: Batch size of the throughput scenario.
        photos: Folder of photos for the pipeline scenario; default: drawn ones.
        warmup: Least number of warm-up runs (and 200 ms).
        iterations: Least number of samples.
        duration: Least time measured per bundle, in seconds; 3 by default, 30 on a phone.
        force: Measure again although the result exists.
        lan: Serve the page of `--device browser` on the local network.
        https: Serve it through TLS, with a certificate made for this run.
        timeout: Longest silence of a remote device, in seconds.
        output_dir: Folder for one JSON per result.
        progress: Called with (done, total, label).

    Returns:
        One result per bundle, runtime and scenario, with raw samples and a verdict; the list's
        `skipped` says folder -> why of bundles that cannot be measured here.

    Raises:
        UsageError: nothing to measure, or numbers that make no sense.
        UnsupportedError: the device or what reaches it is absent.
        GateFailedError: what ran gave wrong golden outputs.
        InvalidBenchmarkError: every result broke a rule of validity.
    """
    from edgesdk_runtimes._open import runner_of

    bundles, runtime, scenario = listed(bundles), listed(runtime), listed(scenario)
    runner = runner_of(device)
    duration = _default_duration(runner) if duration is None else duration
    times = {"duration": duration, "timeout": timeout}
    _check_warmup(warmup)
    counts = {"threads": threads, "iterations": iterations}
    _check(scenario, {**counts, **times}, batch)
    from edgesdk.core.protocols import Reach
    from edgesdk_benchmarks.bench import bench as measure
    from edgesdk_benchmarks.remote import bench_remote

    settings = {"warmup": warmup, "iterations": iterations, "threads": threads}
    plans = _plans(scenario, batch, {**settings, "duration_s": duration})
    files = _files(photos, scenario)
    skipped: dict[str, str] = {}
    opened = _opened(bundles, skipped)
    _check_batch(opened, batch)
    if runner is not None:
        _check_remote(device, runtime, scenario)
        reach = Reach(lan, https, timeout, progress)
        return bench_remote(opened, plans, runner, device, reach, out=Path(output_dir), force=force)
    if lan or https:
        raise UsageError("--lan and --https serve a page; they need --device browser")
    results = measure(
        opened,
        plan=plans,
        runtimes=[plugins.resolve(plugins.RUNTIMES, r) for r in runtime] or None,
        device=device,
        allow_fallback=allow_fallback,
        out=Path(output_dir),
        force=force,
        progress=progress,
        skipped=skipped if len(bundles) > 1 else None,
        files=files,
    )
    return Measured(results, skipped)


class Measured(list["BenchResult"]):
    """Results, and what could not be measured here.

    Attributes:
        skipped: Folder -> why.
    """

    def __init__(self, results: Sequence[BenchResult], skipped: Mapping[str, str]) -> None:
        super().__init__(results)
        self.skipped = skipped


def _opened(bundles: Sequence[Path | str | Bundle], skipped: dict[str, str]) -> list[Bundle]:
    """Open the bundles; of several, those that cannot be opened go into `skipped`."""
    opened, errors = [], []
    for bundle in bundles:
        try:
            opened.append(open_bundle(bundle))
        except EdgeSdkError as error:
            errors.append(error)
            skipped[str(bundle)] = str(error)
    if errors and not opened:
        raise errors[0]
    return opened


def _check_warmup(warmup: int) -> None:
    if not 0 <= warmup <= MOST["iterations"]:
        raise UsageError(
            f"--warmup must be 0 or more, {MOST['iterations']:,} at most, found {warmup}"
        )


def _check_remote(device: str, runtimes: Sequence[str], scenarios: Sequence[str]) -> None:
    if runtimes:
        raise UsageError(f"--device {device} brings its own runtime; leave --runtime out")
    if "pipeline" in scenarios:
        raise UsageError(f"scenario pipeline runs here, not on {device}; leave --device out")


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
        most = MOST[name]
        if not 0 < value <= most:
            raise UsageError(f"--{name} must be above 0 and {most:,} at most, found {value}")
    if batch is not None and not 1 <= batch <= MOST_AT_ONCE:
        raise UsageError(f"--batch must be 1 to {MOST_AT_ONCE}, found {batch}")
    if batch is not None and "throughput" not in scenarios:
        raise UsageError("--batch is the size of --scenario throughput; add it, or leave it out")


def _plans(
    scenarios: Sequence[str], batch: int | None, settings: Mapping[str, Any]
) -> list[BenchPlan]:
    """Return one plan per scenario; batches belong to throughput alone."""
    from edgesdk.core.result import THROUGHPUT_BATCH, BenchPlan

    sizes = {s: (batch or THROUGHPUT_BATCH) if s == "throughput" else 1 for s in scenarios}
    passes = {"warmup": 1, "iterations": max(PASSES, settings["iterations"] // 10)}
    return [
        BenchPlan(scenario=s, batch=sizes[s], **{**settings, **(passes if s == "pipeline" else {})})
        for s in scenarios
    ]


def _files(photos: Path | str | None, scenarios: Sequence[str]) -> list[Path]:
    """Return the photos of a folder, checked; [] where none was named."""
    if photos is None:
        return []
    if "pipeline" not in scenarios:
        raise UsageError("--photos are those of --scenario pipeline; add it, or leave them out")
    from edgesdk.picture_sets import Pictures

    found = Pictures(photos)
    found.check()
    if not found.names:
        raise UsageError(f"{photos} holds no photo; {found.line()}")
    return [found.file(name) for name in found.names]


def _check_batch(bundles: Sequence[Bundle], batch: int | None) -> None:
    for bundle in bundles:
        if batch is not None and bundle.inputs[0].shape[0] not in (None, batch):
            raise UsageError(
                f"--batch {batch} was asked, bundle {bundle.path} takes batches of "
                f"{bundle.inputs[0].shape[0]} alone; leave --batch out or export it again"
            )


def show(results: Sequence[BenchResult]) -> str:
    """Return one line per result, and one per bundle that was not measured."""
    from edgesdk_benchmarks.report import result_table

    skipped = getattr(results, "skipped", {})
    lines = [f"not measured: {place}: {why}" for place, why in skipped.items()]
    return "\n".join([result_table(results), *lines])


PLUGIN = Verb(bench, show, place=7)
