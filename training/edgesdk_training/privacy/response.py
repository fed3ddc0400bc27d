"""Randomised response, plain and selective, in whole numbers: its ratio is exact.

Plain: of K classes the true one is told with e^eps / (e^eps + K - 1), else one of the others.
Selective, after RRWithPrior (Ghazi et al. 2021, arXiv 2102.06062): with a prior p over the
classes, which may depend on anything but this picture's true label, the response is drawn among
the k* likeliest, k* = argmax_k e^eps / (e^eps + k - 1) * (sum of the k largest p); a true label
outside of them gives a uniform one of them. Any two true labels give every answer with chances
whose ratio is at most e^eps: as whole numbers here, so no rounding of floats can break it.
"""

from __future__ import annotations

import math
from decimal import ROUND_FLOOR, Context, Decimal
from fractions import Fraction

import numpy as np

from edgesdk.core.tensors import Array
from edgesdk_training.privacy.chance import Chance

# Weight of every untrue answer; that of the true one is this times e^eps, rounded down.
UNIT = 2**64
LARGEST_EPSILON = 50.0


def true_weight(epsilon: float) -> int:
    """Return the weight of the true answer: UNIT * e^eps, rounded down, never below UNIT."""
    context = Context(prec=80, rounding=ROUND_FLOOR)
    exact = context.exp(Decimal(epsilon))
    # exp is correctly rounded to 80 digits: one unit in the last place below it is a bound.
    below = context.next_minus(exact)
    return max(UNIT, int(context.multiply(below, Decimal(UNIT))))


def keep(epsilon: float, count: int) -> float:
    """Return the chance that plain response among `count` classes tells the true one."""
    return math.exp(epsilon) / (math.exp(epsilon) + count - 1)


def allowed(prior: Array, epsilon: float) -> Array:
    """Return which answers may be given: the k* likeliest classes of each row.

    Args:
        prior: [N, K], rows sum to 1; must not depend on the true labels of these rows.
        epsilon: Of each answer.

    Returns:
        bool [N, K].
    """
    order = np.argsort(-prior, axis=1, kind="stable")
    mass = np.take_along_axis(prior, order, 1).cumsum(1)
    gain = mass * [keep(epsilon, k) for k in range(1, prior.shape[1] + 1)]
    best = gain.argmax(1)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(prior.shape[1])[None], 1)
    return np.asarray(rank <= best[:, None])


def everything(count: int, classes: int) -> Array:
    """Return the answers of plain response: all, bool [count, classes]."""
    return np.ones((count, classes), bool)


def chances(answers: Array, truth: int, epsilon: float) -> dict[int, Fraction]:
    """Return the exact chance of every answer of one picture: what `respond` draws from.

    Args:
        answers: bool [K], the answers that may be given.
        truth: The true label.
        epsilon: Of the answer.
    """
    inside = [int(c) for c in np.flatnonzero(answers)]
    weights = _weights(inside, truth, epsilon)
    return {c: Fraction(w, sum(weights)) for c, w in zip(inside, weights, strict=True)}


def _weights(inside: list[int], truth: int, epsilon: float) -> list[int]:
    told = true_weight(epsilon)
    return [told if c == truth else UNIT for c in inside]


def respond(truth: Array, answers: Array, epsilon: float, chance: Chance) -> Array:
    """Return one released label for each true one, int64 [N].

    Args:
        truth: int [N].
        answers: bool [N, K], from `allowed` or `everything`.
        epsilon: Of each answer.
        chance: Where the randomness comes from.
    """
    told = true_weight(epsilon)
    released = np.empty(len(truth), np.int64)
    for row, (label, may) in enumerate(zip(truth, answers, strict=True)):
        inside = np.flatnonzero(may)
        first = told if may[label] else 0
        others = inside[inside != label]
        draw = chance.below(first + UNIT * len(others))
        released[row] = label if draw < first else others[(draw - first) // UNIT]
    return released


def likelihood(released: Array, answers: Array, epsilon: float) -> Array:
    """Return how likely each true label makes what was released, float32 [N, K].

    A student that maximises this likelihood learns through the noise: post-processing, free.
    """
    size = answers.sum(1, keepdims=True)
    true = np.exp(epsilon) / (np.exp(epsilon) + size - 1)
    other = 1 / (np.exp(epsilon) + size - 1)
    found = np.where(answers, other, 1 / size)
    rows = np.arange(len(released))
    found[rows, released] = true[:, 0]
    likely: Array = found.astype(np.float32)
    return likely


def one_hot(labels: Array, classes: int) -> Array:
    """Return labels as they were told, float32 [N, classes]."""
    rows: Array = np.eye(classes, dtype=np.float32)[labels]
    return rows
