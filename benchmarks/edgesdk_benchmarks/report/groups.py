"""Read results and group what may be compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesdk.core.env import unlike
from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_small
from edgesdk.core.result import SCENARIOS, BenchResult, item_of, read_result, told_apart
from edgesdk.core.task import rate_unit
from edgesdk_benchmarks.stats import ratio_interval

HEAD = (
    "contender",
    "batch",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "items/s",
    "load ms",
    "peak MB",
    "computes in",
    "verdict",
)


@dataclass(frozen=True, slots=True)
class Group:
    """Results of one interleaved run on one machine: the only ones that may be ranked.

    Attributes:
        scenario: Of all of them.
        results: In the order of the run.
    """

    scenario: str
    results: tuple[BenchResult, ...]

    @property
    def ranked(self) -> list[BenchResult]:
        """Results that may stand in a chart."""
        return [r for r in self.results if r.ranked]


def read_results(paths: Sequence[Path], may_lack: bool = False) -> list[BenchResult]:
    """Return the results of files and folders; a folder's other JSON files are passed over.

    Args:
        paths: Result files, or folders.
        may_lack: Whether a folder need not hold any, for what else lies there is shown.
    """
    results = []
    for path in paths:
        if path.is_dir():
            found = [r for p in sorted(path.rglob("*.json")) if (r := _maybe(p)) is not None]
            if not found and not may_lack:
                raise UsageError(
                    f"{path} holds no benchmark result and no training run; make one with: "
                    "edgesdk bench"
                )
            results += found
        else:
            results.append(read_result(path))
    if not results and not may_lack:
        raise UsageError("no result was given; name result files or folders")
    return told_apart(results)


def _maybe(path: Path) -> BenchResult | None:
    try:
        data = json.loads(read_small(path))
    except (OSError, ValueError, RecursionError):
        return None
    is_result = isinstance(data, dict) and {"measurements", "plan", "artefact"} <= set(data)
    return read_result(path) if is_result else None


def grouped(results: Sequence[BenchResult]) -> list[Group]:
    """Return results by interleaved run: same contenders, scenario, plan and machine."""
    groups: list[list[BenchResult]] = []
    for result in sorted(results, key=_place):
        fitting = (g for g in groups if _comparable(g[0], result))
        home = next(fitting, None)
        if home is None:
            groups.append([result])
        else:
            home.append(result)
    return [Group(g[0].plan.scenario, tuple(g)) for g in groups]


def _place(result: BenchResult) -> tuple[int, int, str]:
    mine = f"{result.artefact['sha256']}"[:8]
    place = next((i for i, n in enumerate(result.order) if n.endswith(mine)), 99)
    return SCENARIOS.index(result.plan.scenario), place, result.name


def _comparable(a: BenchResult, b: BenchResult) -> bool:
    same_run = sorted(a.order) == sorted(b.order) and a.plan.scenario == b.plan.scenario
    threads = a.plan.threads == b.plan.threads and a.device == b.device
    return same_run and threads and not unlike(a.environment, b.environment)


def row(result: BenchResult) -> list[Any]:
    """Return one line of the table of results, as text."""
    best = result.main
    facts = best.statistics
    load = result.stage("load")
    peak = result.memory.get("peak_mb")
    return [
        result.name,
        best.batch,
        *(f"{facts[p]:.4g}" for p in ("p50", "p90", "p99")),
        f"{facts['items_s']:,.0f}",
        f"{load[0].ms[0]:.1f}" if load else "unknown",
        "unknown" if peak is None else f"{peak:.0f}",
        computes_in(result),
        _verdict(result),
    ]


def split(result: BenchResult) -> str:
    """Return how a pipeline's time splits and what its overlap gains; "" for other scenarios."""
    if result.plan.scenario != "pipeline":
        return ""
    plain, overlapped = result.stage("plain")[0], result.main
    gain, low, high = ratio_interval(plain.samples, overlapped.samples)
    shares = ", ".join(f"{part} {share:.0%}" for part, share in result.shares.items())
    unit = rate_unit(result.item)
    return (
        f"{result.name}: {plain.statistics['items_s']:,.4g} {unit} one after the other, "
        f"{overlapped.statistics['items_s']:,.4g} overlapped: {gain:.2f}x ({low:.2f} to "
        f"{high:.2f}); of the time {shares}"
    )


def computes_in(result: BenchResult) -> str:
    """Return the precisions of the artefact's products as read back from it, the usual first."""
    effective = result.artefact.get("effective") or {}
    counts = effective.get("arithmetic") or effective.get("weights") or {}
    total = sum(counts.values())
    if len(counts) < 2:
        return next(iter(counts), "unknown")
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count / total:.0%}" for name, count in ordered)


def head(results: Sequence[BenchResult]) -> list[str]:
    """Return the headings of the table of results, with the unit of their throughput."""
    return [rate_unit(item_of(results)) if word == "items/s" else word for word in HEAD]


def _verdict(result: BenchResult) -> str:
    """Return the verdict, or that the speed is none of native code; INVALID outweighs both."""
    verdict = result.validity.verdict
    return verdict if result.runtime.get("native") or verdict == "INVALID" else "not native"
