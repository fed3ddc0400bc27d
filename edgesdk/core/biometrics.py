"""How well similarities tell equal people from different ones: numpy only.

A pair is *genuine* when both pictures show one person, else *impostor*. A pair is
accepted when its similarity is at or above the threshold. FAR is the part of the
impostor pairs accepted, TAR the part of the genuine pairs accepted.

Intervals are 95 % bootstrap intervals over pairs, with a fixed seed. They take pairs
as independent; pairs that share a face are not, so the true interval is wider.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.tensors import Array

FARS = (1e-2, 1e-3)
EXPECTED_FALSE_ACCEPTS = 10.0
REPLICAS = 2000
ROC_POINTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationMetrics:
    """The result of one verification protocol.

    Attributes:
        genuine: Number of genuine pairs.
        impostor: Number of impostor pairs in the list.
        accuracy: Mean over the folds, 0..1, each judged at the threshold that is best
            on the other folds.
        accuracy_std: Standard deviation over the folds (population form).
        folds: Accuracy of each fold.
        auc: Area under the ROC curve.
        eer: Equal error rate.
        tar: "far_1e-2" -> {"value", "low", "high", "threshold"}, or {"value": None,
            "reason"} where the impostor pairs are too few; impostors from the list.
        tar_all: The same with every pair of different people as an impostor; empty
            where the people are not known.
        impostor_all: Number of those pairs.
        roc: (FAR, TAR) points of the list, thinned.
    """

    genuine: int
    impostor: int
    accuracy: float
    accuracy_std: float
    folds: tuple[float, ...]
    auc: float
    eer: float
    tar: Mapping[str, Mapping[str, Any]]
    tar_all: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    impostor_all: int = 0
    roc: tuple[tuple[float, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        return asdict(self) | {"folds": list(self.folds), "roc": [list(p) for p in self.roc]}


def verification(
    scores: Array,
    same: Array,
    folds: Array,
    *,
    fars: Sequence[float] = FARS,
    all_impostors: Array | None = None,
) -> VerificationMetrics:
    """Judge the scores of a list of pairs.

    Args:
        scores: [N] similarities.
        same: [N] bool, True for genuine pairs.
        folds: [N] integers; one single value means that the threshold is chosen on the
            pairs it is judged on.
        fars: FAR points.
        all_impostors: [M] scores of all pairs of different people, for the FAR points
            that the list is too short for.

    Raises:
        UsageError: a score is not finite, or one kind of pair is absent.
    """
    scores, same = np.asarray(scores, np.float64), np.asarray(same, bool)
    genuine, impostor = _sorted(scores[same], "genuine"), _sorted(scores[~same], "impostor")
    accuracies = fold_accuracies(scores, same, folds)
    every = None if all_impostors is None else _sorted(all_impostors, "impostor")
    return VerificationMetrics(
        genuine=len(genuine),
        impostor=len(impostor),
        accuracy=float(np.mean(accuracies)),
        accuracy_std=float(np.std(accuracies)),
        folds=tuple(accuracies),
        auc=auc(genuine, impostor),
        eer=eer(genuine, impostor),
        tar={far_key(far): tar_at_far(genuine, impostor, far) for far in fars},
        tar_all={} if every is None else {far_key(f): tar_at_far(genuine, every, f) for f in fars},
        impostor_all=0 if every is None else len(every),
        roc=_thinned(*roc(genuine, impostor)[:2]),
    )


def unit(vectors: Array) -> Array:
    """Return the rows of [N, D] at unit length, as float32; a zero row stays zero."""
    rows = np.asarray(vectors, np.float32)
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: Array = rows / np.maximum(norms, np.float32(1e-12))
    return scaled


def cosine(a: Array, b: Array) -> Array:
    """Return the cosine of each row of `a` [N, D] with the same row of `b` [N, D]."""
    product: Array = np.einsum("nd,nd->n", unit(a), unit(b))
    return product.clip(-1.0, 1.0)


def cross_scores(embeddings: Array, identities: Array, block: int = 1024) -> tuple[Array, Array]:
    """Return the cosines of all pairs of faces, as (genuine, impostor).

    The score matrix is made in strips of `block` rows, so memory holds the answer and
    one strip.

    Args:
        embeddings: [N, D].
        identities: [N] person numbers; faces of -1 (unknown) are left out.
        block: Rows per strip.
    """
    known = np.asarray(identities) >= 0
    rows, people = unit(np.asarray(embeddings)[known]), np.asarray(identities)[known]
    genuine, impostor = [np.empty(0, np.float32)], [np.empty(0, np.float32)]
    for start in range(0, len(rows), block):
        strip = (rows[start : start + block] @ rows[start:].T).clip(-1.0, 1.0)
        later = np.arange(strip.shape[1]) > np.arange(len(strip))[:, None]
        equal = people[start : start + block, None] == people[start:]
        genuine.append(strip[later & equal])
        impostor.append(strip[later & ~equal])
    return np.concatenate(genuine), np.concatenate(impostor)


def fold_accuracies(scores: Array, same: Array, folds: Array) -> list[float]:
    """Return each fold's accuracy at the threshold that is best on the other folds."""
    right = decided_rightly(scores, same, folds)
    return [float(np.mean(right[folds == number])) for number in np.unique(folds)]


def decided_rightly(scores: Array, same: Array, folds: Array) -> Array:
    """Return bool [N]: whether each pair is decided rightly; the other folds set the threshold."""
    right = np.zeros(len(scores), bool)
    numbers = np.unique(folds)
    for number in numbers:
        judged = folds == number
        chosen = ~judged if len(numbers) > 1 else judged
        threshold = best_threshold(scores[chosen], same[chosen])
        right[judged] = (scores[judged] >= threshold) == same[judged]
    return right


def drop_interval(before: Array, after: Array) -> list[float]:
    """Return the 95 % bootstrap interval of the mean of [N] `before` - `after`, in pairs."""
    if before.dtype != bool:
        return _resampled(np.asarray(before, np.float64) - np.asarray(after, np.float64))
    lost = np.asarray(before, int) - np.asarray(after, int)
    counts = [int((lost == value).sum()) for value in (-1, 0, 1)]
    drawn = np.random.default_rng(0).multinomial(len(lost), np.array(counts) / len(lost), REPLICAS)
    drops = (drawn[:, 2] - drawn[:, 0]) / len(lost)
    return [float(q) for q in np.quantile(drops, [0.025, 0.975])]


def _resampled(lost: Array) -> list[float]:
    chosen = np.random.default_rng(0).integers(0, len(lost), (REPLICAS, len(lost)))
    return [float(q) for q in np.quantile(lost[chosen].mean(1), [0.025, 0.975])]


def best_threshold(scores: Array, same: Array) -> float:
    """Return the threshold of highest accuracy, the middle one where several tie."""
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    ranked, hits = np.asarray(scores, np.float64)[order], np.where(same, 1, -1)[order]
    gain = np.concatenate([[0], np.cumsum(hits)])
    # Only a cut between two different scores is a threshold.
    cuts = np.concatenate([[True], ranked[1:] != ranked[:-1], [True]])
    best = np.flatnonzero(cuts & (gain == gain[cuts].max()))
    cut = int(best[len(best) // 2])
    if cut in (0, len(ranked)):
        return float(np.nextafter(ranked[0], np.inf) if cut == 0 else ranked[-1])
    return float((ranked[cut - 1] + ranked[cut]) / 2)


def auc(genuine: Array, impostor: Array) -> float:
    """Return the chance that a genuine pair scores above an impostor pair; ties count half."""
    genuine, impostor = _sorted(genuine, "genuine"), _sorted(impostor, "impostor")
    below = np.searchsorted(impostor, genuine, "left") + np.searchsorted(impostor, genuine, "right")
    return float(below.mean() / 2 / len(impostor))


def roc(genuine: Array, impostor: Array) -> tuple[Array, Array, Array]:
    """Return (FAR, TAR, threshold) at every distinct score, from strict to lax.

    The first point is (0, 0, infinity), the last one accepts everything.
    """
    genuine, impostor = _sorted(genuine, "genuine"), _sorted(impostor, "impostor")
    thresholds = np.unique(np.concatenate([genuine, impostor]))[::-1]
    far = 1 - np.searchsorted(impostor, thresholds, "left") / len(impostor)
    tar = 1 - np.searchsorted(genuine, thresholds, "left") / len(genuine)
    first = np.zeros(1)
    return (
        np.concatenate([first, far]),
        np.concatenate([first, tar]),
        np.concatenate([first + np.inf, thresholds]),
    )


def eer(genuine: Array, impostor: Array) -> float:
    """Return the error at which FAR equals 1 - TAR, between two points of the ROC linearly."""
    far, tar, _ = roc(genuine, impostor)
    gap = far + tar - 1
    right = int(np.argmax(gap >= 0))
    left = max(right - 1, 0)
    span = gap[right] - gap[left]
    part = 0.0 if span == 0 else -gap[left] / span
    return float(far[left] + part * (far[right] - far[left]))


def far_key(far: float) -> str:
    """Return "far_1e-2" for 0.01."""
    mantissa, exponent = f"{far:.6e}".split("e")
    return f"far_{float(mantissa):g}e{int(exponent)}"


def refusal(far: float, impostors: int) -> str | None:
    """Return why `impostors` pairs cannot tell about `far`, None when they can."""
    if not 0.0 < far < 1.0:
        raise UsageError(f"a false accept rate lies between 0 and 1, found {far}")
    if far * impostors >= EXPECTED_FALSE_ACCEPTS:
        return None
    wanted = int(np.ceil(EXPECTED_FALSE_ACCEPTS / far))
    return f"FAR {far:g} needs {wanted:,} impostor pairs, found {impostors:,}"


def threshold_at_far(impostor: Array, far: float) -> float:
    """Return the lowest threshold that accepts at most the part `far` of the impostors."""
    ranked = _sorted(impostor, "impostor")
    return float(_thresholds(ranked, np.array([_allowed(far, len(ranked))]))[0])


def tar_at_far(genuine: Array, impostor: Array, far: float) -> dict[str, Any]:
    """Return TAR at a FAR point as {"value", "low", "high", "threshold"}.

    Too few impostor pairs (fewer than ten expected false accepts) are refused, not
    extrapolated: {"value": None, "reason": sentence}.
    """
    reason = refusal(far, len(impostor))
    if reason:
        return {"value": None, "reason": reason}
    genuine, impostor = _sorted(genuine, "genuine"), _sorted(impostor, "impostor")
    threshold = threshold_at_far(impostor, far)
    generator = np.random.default_rng(0)
    accepted = _tar(genuine, _drawn_thresholds(impostor, far, generator))
    drawn = generator.binomial(len(genuine), accepted) / len(genuine)
    low, high = np.quantile(drawn, [0.025, 0.975])
    value = float(_tar(genuine, np.array([threshold]))[0])
    return {"value": value, "low": float(low), "high": float(high), "threshold": threshold}


def fit_thresholds(
    genuine: Array, impostor: Array, fars: Sequence[float] = FARS
) -> dict[str, dict[str, float]]:
    """Return the decision thresholds of an artefact, as a bundle stores them.

    Args:
        genuine: Scores of pairs of one person; only checked, thresholds hang on impostors.
        impostor: Scores of pairs of different people.
        fars: FAR points; those with too few impostor pairs are left out, see `refusal`.

    Returns:
        "far_1e-2" -> {"value", "low", "high"}: the threshold and its 95 % interval.
    """
    _sorted(genuine, "genuine")
    ranked = _sorted(impostor, "impostor")
    fitted = {}
    for far in fars:
        if refusal(far, len(ranked)) is None:
            drawn = _drawn_thresholds(ranked, far, np.random.default_rng(0))
            low, high = np.quantile(drawn, [0.025, 0.975])
            value = threshold_at_far(ranked, far)
            fitted[far_key(far)] = {"value": value, "low": float(low), "high": float(high)}
    return fitted


def _sorted(scores: Array, kind: str) -> Array:
    values = np.sort(np.asarray(scores, np.float64).ravel())
    if len(values) == 0:
        raise UsageError(f"there are no {kind} pairs; give pairs of both kinds")
    if not np.isfinite(values).all():
        raise UsageError(f"a {kind} pair has a score that is not finite; check the embeddings")
    return values


def _allowed(far: float, count: int) -> int:
    # 0.07 * 100 is 7.000000000000001 and 0.29 * 100 is 28.999999999999996.
    return min(int(np.floor(far * count + 1e-9)), count - 1)


def _thresholds(ranked: Array, allowed: Array) -> Array:
    """Return the threshold just above the score that comes after `allowed` higher ones."""
    after: Array = ranked[len(ranked) - 1 - allowed]
    return np.nextafter(after, np.inf)


def _drawn_thresholds(ranked: Array, far: float, generator: np.random.Generator) -> Array:
    """Return thresholds of bootstrap samples of the sorted impostors, without drawing them.

    The score of rank k in a bootstrap sample is the empirical quantile at U, the k-th
    largest of n uniform numbers, which follows a beta distribution.
    """
    count, allowed = len(ranked), _allowed(far, len(ranked))
    above = generator.beta(allowed + 1, count - allowed, REPLICAS)
    return _thresholds(ranked, np.minimum((above * count).astype(int), count - 1))


def _tar(genuine: Array, thresholds: Array) -> Array:
    rates: Array = 1 - np.searchsorted(genuine, thresholds, "left") / len(genuine)
    return rates


def _thinned(far: Array, tar: Array) -> tuple[tuple[float, float], ...]:
    """Return at most ROC_POINTS points, spread evenly over log FAR."""
    wanted = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, ROC_POINTS - 1)])
    keep = np.unique(np.searchsorted(far, wanted, "right") - 1)
    return tuple((float(far[i]), float(tar[i])) for i in keep)
