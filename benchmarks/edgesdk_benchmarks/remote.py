"""Measure bundles on a device that a runner reaches: a phone over adb, a page in its browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.protocols import Reach, RemoteJob
from edgesdk.core.result import (
    VERDICTS,
    BenchPlan,
    BenchResult,
    Validity,
    read_result,
    write_result,
)
from edgesdk_benchmarks.bench import artefact_of, refuse_invalid, result_path
from edgesdk_benchmarks.validity import flag_pooling, judge


def bench_remote(
    bundles: Sequence[Bundle],
    plans: Sequence[BenchPlan],
    runner: str,
    device: str,
    reach: Reach,
    *,
    out: Path | None = None,
    force: bool = False,
) -> list[BenchResult]:
    """Measure every bundle by every plan on one device; results that exist are read instead.

    Args:
        bundles: What to measure.
        plans: One per scenario.
        runner: Name of the runner.
        device: Device as the user named it.
        reach: How the device is reached.
        out: Folder for one JSON per result.
        force: Measure again.

    Raises:
        UsageError: nothing to measure, or a format that the runner cannot send.
        UnsupportedError: no device can be reached.
        GateFailedError: the device answers the golden vectors wrongly.
        InvalidBenchmarkError: every result is INVALID.
    """
    plugin = plugins.load(plugins.RUNTIMES, runner)
    once = [b for i, b in enumerate(bundles) if b not in bundles[:i]]
    jobs = [RemoteJob(b, p) for b in once for p in plans]
    _check(plugin, runner, jobs)
    known_as = plugin.resolve(device)
    paths = [_path(out, job, runner, known_as) for job in jobs]
    results = {} if force else _known(jobs, paths)
    todo = [i for i in range(len(jobs)) if i not in results]
    found = plugin.bench([jobs[i] for i in todo], known_as or device, reach) if todo else []
    fresh = [_judged(jobs[i], result) for i, result in zip(todo, found, strict=True)]
    for index, result in zip(todo, flag_pooling(fresh), strict=True):
        results[index] = result
        came = known_as or str(result.device["name"])
        if (path := _path(out, jobs[index], runner, came)) is not None:
            write_result(path, result)
    ordered = [results[i] for i in range(len(jobs))]
    refuse_invalid(ordered)
    return ordered


def _known(jobs: Sequence[RemoteJob], paths: Sequence[Path | None]) -> dict[int, BenchResult]:
    """Return job -> stored result, for those plans all of whose results exist and are worth it.

    Bundles of one plan are measured in turns, and ratios hold inside one run only.
    """
    stored = {i: read_result(p) for i, p in enumerate(paths) if p and p.is_file()}
    worthless = [
        jobs[i].plan
        for i in range(len(jobs))
        if i not in stored or stored[i].validity.verdict == "INVALID"
    ]
    return {i: result for i, result in stored.items() if jobs[i].plan not in worthless}


def _judged(job: RemoteJob, result: BenchResult) -> BenchResult:
    """Add the bundle's facts, and to the runner's verdict that of every other measurement."""
    mine, told = judge(job.plan, result.measurements), result.validity
    verdict = max(mine.verdict, told.verdict, key=VERDICTS.index)
    validity = Validity(verdict=verdict, reasons=(*told.reasons, *mine.reasons))
    return replace(result, artefact=artefact_of(job.bundle), validity=validity)


def _path(out: Path | None, job: RemoteJob, runner: str, device: str | None) -> Path | None:
    if out is None or device is None:
        return None
    return result_path(out, job.bundle, runner, device, job.plan)


def _check(plugin: Any, runner: str, jobs: Sequence[RemoteJob]) -> None:
    """Refuse before anything is asked of a device."""
    plugins.require(f"device {runner!r}", plugin)
    why = plugin.available()
    if why is not None:
        raise UnsupportedError(why)
    if not jobs:
        raise UsageError("no bundle was given to measure; name one or more")
    for job in jobs:
        if job.bundle.format not in plugin.formats:
            raise UsageError(
                f"{runner} runs {', '.join(plugin.formats)}, the bundle {job.bundle.path} is "
                f"{job.bundle.format}; export it with --target {plugin.formats[0]}"
            )
