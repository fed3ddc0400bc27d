"""Statistics of raw times: intervals, drift, memory of the series, ratios."""

import math
from collections.abc import Sequence

import numpy as np

from edgesdk.core.tensors import Array

DRAWS = 1000
# Long series are thinned for the quadratic drift test.
MOST_FOR_DRIFT = 500


def median_interval(
    samples: Sequence[float], level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return the bootstrap interval of the median."""
    values = np.asarray(samples, np.float64)
    generator = np.random.default_rng(seed)
    drawn = generator.choice(values, (DRAWS, min(values.size, 2000)))
    low, high = np.quantile(np.median(drawn, 1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def ratio_interval(
    base: Sequence[float], other: Sequence[float], level: float = 0.95, seed: int = 0
) -> tuple[float, float, float]:
    """Return median(base) / median(other) with its bootstrap interval: above 1 = other faster."""
    generator = np.random.default_rng(seed)
    medians = [
        np.median(generator.choice(np.asarray(v, np.float64), (DRAWS, min(len(v), 2000))), 1)
        for v in (base, other)
    ]
    low, high = np.quantile(medians[0] / medians[1], [(1 - level) / 2, (1 + level) / 2])
    return float(np.median(base) / np.median(other)), float(low), float(high)


def drift(samples: Sequence[float]) -> tuple[float, float]:
    """Return Kendall's tau against time, -1..1, and its two-sided p (Mann-Kendall test)."""
    values = _thinned(np.asarray(samples, np.float64))
    count = values.size
    if count < 8:
        return 0.0, 1.0
    signs = np.sign(values[None] - values[:, None])
    score = float(np.triu(signs, 1).sum())
    variance = count * (count - 1) * (2 * count + 5) / 18
    z = (score - math.copysign(1, score)) / math.sqrt(variance) if score else 0.0
    return score / (count * (count - 1) / 2), math.erfc(abs(z) / math.sqrt(2))


def _thinned(values: Array) -> Array:
    """Return block medians, at most MOST_FOR_DRIFT of them: drift shows, jitter does not."""
    if values.size <= MOST_FOR_DRIFT:
        return values
    return np.array([np.median(part) for part in np.array_split(values, MOST_FOR_DRIFT)])


def moved(samples: Sequence[float]) -> float:
    """Return how far the last quarter's median lies from the first quarter's, as a part."""
    values = np.asarray(samples, np.float64)
    quarter = max(1, values.size // 4)
    first, last = np.median(values[:quarter]), np.median(values[-quarter:])
    return float(last / first - 1)


def autocorrelation(samples: Sequence[float]) -> float:
    """Return the correlation of each sample with the one before, -1..1."""
    values = np.asarray(samples, np.float64)
    centred = values - values.mean()
    total = float((centred**2).sum())
    return float((centred[1:] * centred[:-1]).sum() / total) if total and values.size > 2 else 0.0
