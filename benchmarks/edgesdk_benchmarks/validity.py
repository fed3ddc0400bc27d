"""VALID, NOISY or INVALID, with reasons. No sample is ever dropped to get a better verdict."""

from collections.abc import Sequence
from dataclasses import replace

from edgesdk.core.result import BenchPlan, BenchResult, Measurement, Validity
from edgesdk_benchmarks.stats import autocorrelation, drift, moved

NOISY_CV = 0.025
DRIFT_P, DRIFT_MOVE = 0.001, 0.05
AUTOCORRELATED = 0.5
# The number of rounds is planned from the warm-up, whose runs may be slower.
SLACK = 0.5


def judge(plan: BenchPlan, measurements: Sequence[Measurement]) -> Validity:
    """Return the verdict on the inference times of one result."""
    wrong: list[str] = []
    doubt: list[str] = []
    stage = "overlapped" if plan.scenario == "pipeline" else "infer"
    series = [m for m in measurements if m.stage == stage]
    for one in series:
        found_wrong, found_doubt = _series(plan, one, len(series))
        wrong += found_wrong
        doubt += found_doubt
    if wrong:
        return Validity(verdict="INVALID", reasons=tuple(wrong + doubt))
    return Validity(verdict="NOISY" if doubt else "VALID", reasons=tuple(doubt))


def _series(plan: BenchPlan, one: Measurement, sweep: int) -> tuple[list[str], list[str]]:
    """Return what is wrong and what is doubtful; the time is shared by `sweep` batch sizes."""
    facts, wrong, doubt = one.statistics, [], []
    where = f"batch {one.batch}: "
    if facts["count"] < plan.iterations:
        wrong.append(f"{where}{facts['count']} samples, {plan.iterations} are needed")
    if len(one.warmups) < plan.warmup:
        wrong.append(f"{where}{len(one.warmups)} warm-up runs, {plan.warmup} are needed")
    measured_s = sum(one.samples) * one.repeat / 1e9
    if measured_s < SLACK * plan.duration_s / sweep:
        wrong.append(
            f"{where}measured for {measured_s:.2f} s, {plan.duration_s / sweep:.2f} are needed"
        )
    if facts["cv"] > NOISY_CV:
        doubt.append(f"{where}the times vary by {facts['cv']:.1%} of their mean, over 2.5%")
    tau, p = drift(one.samples)
    if p < DRIFT_P and abs(moved(one.samples)) > DRIFT_MOVE:
        way = "slower" if tau > 0 else "faster"
        doubt.append(f"{where}it got {way} by {abs(moved(one.samples)):.0%} while measured")
    if autocorrelation(one.samples) > AUTOCORRELATED:
        doubt.append(f"{where}neighbouring times resemble each other: something else ran beside")
    return wrong, doubt


def flag_pooling(results: Sequence[BenchResult]) -> list[BenchResult]:
    """Return results, INVALID where two artefacts share their fastest time to the digit.

    Equal minima are the mark of times that were pooled in one accumulator.
    """
    fastest: dict[tuple[float, float], list[int]] = {}
    for i, result in enumerate(results):
        times = result.infer.samples
        fastest.setdefault((min(times), max(times)), []).append(i)
    flagged = list(results)
    for same in (v for v in fastest.values() if len(v) > 1):
        for i in same:
            others = ", ".join(results[j].name for j in same if j != i)
            reason = f"its fastest and slowest time equal those of {others}: pooled samples"
            validity = results[i].validity
            flagged[i] = replace(
                results[i],
                validity=Validity(verdict="INVALID", reasons=(*validity.reasons, reason)),
            )
    return flagged
