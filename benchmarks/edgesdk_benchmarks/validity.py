"""VALID, NOISY or INVALID, with reasons. No sample is ever dropped to get a better verdict."""

from collections.abc import Sequence
from dataclasses import replace

from edgesdk.core.result import BenchPlan, BenchResult, Measurement, Validity
from edgesdk_benchmarks.stats import autocorrelation, drift, moved

NOISY_CV = 0.025
INVALID_CV = 1.0
DRIFT_P, DRIFT_MOVE = 0.001, 0.05
AUTOCORRELATED = 0.5
SLACK = 0.9


def judge(plan: BenchPlan, measurements: Sequence[Measurement]) -> Validity:
    """Return the verdict on the inference times of one result."""
    wrong: list[str] = []
    doubt: list[str] = []
    for one in (m for m in measurements if m.stage == "infer"):
        found_wrong, found_doubt = _series(plan, one)
        wrong += found_wrong
        doubt += found_doubt
    if wrong:
        return Validity(verdict="INVALID", reasons=tuple(wrong + doubt))
    return Validity(verdict="NOISY" if doubt else "VALID", reasons=tuple(doubt))


def _series(plan: BenchPlan, one: Measurement) -> tuple[list[str], list[str]]:
    facts, wrong, doubt = one.statistics, [], []
    where = f"batch {one.batch}: "
    if facts["count"] < plan.iterations:
        wrong.append(f"{where}{facts['count']} samples, {plan.iterations} are needed")
    if len(one.warmups) < plan.warmup:
        wrong.append(f"{where}{len(one.warmups)} warm-up runs, {plan.warmup} are needed")
    if facts["cv"] > INVALID_CV:
        wrong.append(f"{where}the times vary by {facts['cv']:.0%} of their mean")
    elif facts["cv"] > NOISY_CV:
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
