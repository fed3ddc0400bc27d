"""The clock: interleaved contenders, equal slices of time, every sample kept. Standard library."""

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Call = Callable[[], object]

WARMUP_NS = 200_000_000
# Shorter runs are averaged over several, so that the timer's own step does not show.
SAMPLE_NS = 5_000
SLICE_NS = 20_000_000


@dataclass
class Series:
    """Times of one contender.

    Attributes:
        warmups: Nanoseconds per run before counting.
        samples: Nanoseconds per run, in order.
        repeat: Runs that one sample averages.
    """

    warmups: list[float] = field(default_factory=list)
    samples: list[float] = field(default_factory=list)
    repeat: int = 1


def timed(call: Call, repeat: int = 1) -> float:
    """Return nanoseconds per run of `repeat` runs in a row."""
    begin = time.perf_counter_ns()
    for _ in range(repeat):
        call()
    return (time.perf_counter_ns() - begin) / repeat


def warm(call: Call, least: int) -> list[float]:
    """Run until both 200 ms and `least` runs have passed; return their times."""
    times: list[float] = []
    begin = time.perf_counter_ns()
    while len(times) < least or time.perf_counter_ns() - begin < WARMUP_NS:
        times.append(timed(call))
    return times


def interleaved(
    calls: Mapping[str, Call],
    *,
    warmup: int,
    iterations: int,
    duration_s: float,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Series]:
    """Time contenders in turns, in a new random order each round, so that drift hits all alike.

    Every contender gets at least `iterations` samples and `duration_s` seconds.

    Args:
        calls: Name -> one run: copy the input in, execute, results on the host.
        warmup: Least runs before counting.
        iterations: Least samples.
        duration_s: Least seconds measured per contender.
        seed: Seed of the orders.
        progress: Called with (rounds done, rounds in all).
    """
    series = {name: Series(warmups=warm(call, warmup)) for name, call in calls.items()}
    per_slice = {}
    for name, one in series.items():
        typical = sorted(one.warmups)[len(one.warmups) // 2]
        one.repeat = max(1, math.ceil(SAMPLE_NS / typical))
        per_slice[name] = max(1, round(SLICE_NS / (typical * one.repeat)))
    rounds = max(_rounds(s, per_slice[n], iterations, duration_s) for n, s in series.items())
    for index in range(rounds):
        for name in random.Random(f"{seed} {index}").sample(sorted(calls), len(calls)):
            # The first run brings the caches back after the other contenders.
            calls[name]()
            one = series[name]
            one.samples += [timed(calls[name], one.repeat) for _ in range(per_slice[name])]
        if progress is not None:
            progress(index + 1, rounds)
    return series


def _rounds(series: Series, per_slice: int, iterations: int, duration_s: float) -> int:
    typical = sorted(series.warmups)[len(series.warmups) // 2] * series.repeat
    by_time = duration_s * 1e9 / (typical * per_slice)
    return max(1, -(-iterations // per_slice), round(by_time + 0.5))
