"""The charts of a report, each made from results that may be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesdk.core.result import BenchResult, item_of
from edgesdk.core.task import plural, rate_unit
from edgesdk_benchmarks.report.svg import Axis, Bar, Chart, around, bars
from edgesdk_benchmarks.stats import ratio_interval

CURVE_POINTS = 120


def latency(results: Sequence[BenchResult]) -> str:
    """Return the share of runs that were at least as quick, per contender."""
    series = {r.name: r.infer.ms for r in results}
    values = [float(np.percentile(ms, q)) for ms in series.values() for q in (0, 99.5)]
    label = f"ms per {item_of(results)} (batch 1), lower is better"
    x = around(values, label, log=max(values) > 3 * min(values))
    chart = Chart(
        "Latency distribution",
        "For each contender the share of runs that took at most a given time.",
        x,
        Axis("share of runs, %", 0, 100, ticks=(0, 25, 50, 75, 90, 100)),
    )
    for i, (name, ms) in enumerate(series.items()):
        shares = np.linspace(0, 99.5, CURVE_POINTS)
        points = [
            (float(t), float(s)) for t, s in zip(np.percentile(ms, shares), shares, strict=True)
        ]
        chart.line(points, i, f"{name}: median {np.median(ms):.4g} ms")
    return chart.svg()


def throughput(results: Sequence[BenchResult]) -> str:
    """Return items per second against the batch size, per contender."""
    lines = {
        r.name: [(float(m.batch), float(m.statistics["items_s"])) for m in r.stage("infer")]
        for r in results
    }
    batches = sorted({x for points in lines.values() for x, _ in points})
    rates = [y for points in lines.values() for _, y in points]
    x = Axis("batch size", min(batches) / 1.2, max(batches) * 1.2, log=True, ticks=tuple(batches))
    chart = Chart(
        f"{plural(item_of(results)).capitalize()} per second per batch size",
        "Median inference rate of each contender at each batch size; higher is better.",
        x,
        around(rates, f"{rate_unit(item_of(results))}, higher is better", zero=True),
    )
    for i, (name, points) in enumerate(lines.items()):
        chart.line(points, i, name, dots=True)
    return chart.svg()


def ratios(results: Sequence[BenchResult]) -> str:
    """Return how many times as fast each contender is as the first one."""
    base = results[0]
    rows = []
    for i, result in enumerate(results):
        value, low, high = (
            (1.0, 1.0, 1.0)
            if result is base
            else ratio_interval(base.main.samples, result.main.samples)
        )
        text = "baseline" if result is base else f"{value:.2f}x"
        rows.append(Bar(result.name, value, low, high, text, i))
    return bars(
        f"Speed relative to {base.name}",
        "Ratio of median times with its 95 % bootstrap interval; above 1 is faster.",
        rows,
        reference=1.0,
    )


def accuracy_cost(
    points: Sequence[tuple[str, float, float]],
    x_label: str,
    y_label: str = "accuracy, %",
    series: Sequence[int] = (),
) -> str:
    """Return accuracy against cost.

    Args:
        points: Name, cost, accuracy in percent.
        x_label: What the cost is.
        y_label: What the accuracy is of.
        series: Colour of each point; one of its own where it is left out.
    """
    x = around([p[1] for p in points], x_label, log=True)
    x = Axis(x.label, x.low / 1.3, x.high * 1.3, log=True)
    chart = Chart(
        "Accuracy against cost",
        "Each dot is a model; up and left is better.",
        x,
        around([p[2] for p in points], y_label),
    )
    for _, cost, accuracy in points:
        chart.keep_clear((cost, accuracy))
    for colour, (name, cost, accuracy) in zip(series or range(len(points)), points, strict=True):
        chart.dot((cost, accuracy), colour, f"{name}: {accuracy:.2f} % at {cost:.4g}", name)
    return chart.svg()
