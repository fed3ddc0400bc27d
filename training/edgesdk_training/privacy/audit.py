"""Attacks as evidence: who was in the training set, and what epsilon is at least.

LiRA (Carlini et al. 2022, arXiv 2112.03570): shadow models trained with and without a picture
give two normal distributions of its confidence; the ratio of likelihoods of the target's own
confidence is the score. Everybody's shadows serve all pictures (offline and online in one).
"""

from __future__ import annotations

import math

import numpy as np

from edgesdk.core.tensors import Array

LEAST_SPREAD = 0.05
Z_95 = 1.959964


def confidence(logits: Array, labels: Array) -> Array:
    """Return log p / (1 - p) of each one's class, which is nearly normal, float64 [N]."""
    rows = np.arange(len(labels))
    own = logits[rows, labels].astype(np.float64)
    others = logits.astype(np.float64).copy()
    others[rows, labels] = -np.inf
    top = others.max(1)
    return np.asarray(own - top - np.log(np.exp(others - top[:, None]).sum(1)))


def lira(target: Array, shadows: Array, inside: Array) -> Array:
    """Return how much likelier each picture was learnt from than not, [N].

    Args:
        target: Confidences of the attacked model, [N].
        shadows: Confidences of M shadow models, [M, N].
        inside: Whether the shadow learnt from the picture, bool [M, N].
    """
    ratio = np.zeros(len(target))
    for side, sign in ((inside, 1), (~inside, -1)):
        count = np.maximum(side.sum(0), 1)
        mean = np.where(side, shadows, 0).sum(0) / count
        # One spread for all pictures: with few shadows each one's own is noise.
        spread = max(LEAST_SPREAD, float(np.sqrt(np.square(shadows - mean)[side].mean())))
        ratio += sign * (-np.square(target - mean) / (2 * spread**2) - math.log(spread))
    return ratio


def rates(scores: Array, member: Array, most: float = 0.01) -> dict[str, float]:
    """Return the attack's true positives at a share `most` of false ones, and its AUC.

    Args:
        scores: [N], larger for members.
        member: bool [N].
        most: False positives allowed.

    Returns:
        "tpr" with "low" and "high" (Wilson, 95 %), "fpr", "auc", "members", "others".
    """
    from edgesdk.core.biometrics import auc

    inside, outside = scores[member], np.sort(scores[~member])[::-1]
    threshold = outside[int(most * len(outside))]
    hits = int((inside > threshold).sum())
    low, high = wilson(hits, len(inside))
    return {
        "tpr": hits / len(inside), "low": low, "high": high, "fpr": most,
        "auc": float(auc(inside, outside)), "members": len(inside), "others": len(outside),
    }  # fmt: skip


def wilson(hits: int, count: int, z: float = Z_95) -> tuple[float, float]:
    """Return Wilson's interval of a share."""
    share, square = hits / count, z * z
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = (
        z / (1 + square / count) * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    )
    return max(0.0, middle - half), min(1.0, middle + half)


def lower_bound(right: Array, choices: int = 2, level: float = 0.95) -> float:
    """Return an epsilon that the answers prove to be spent, at least, with confidence `level`.

    An adversary who plays randomised response's own game, which of `choices` labels it was, is
    right with at most e^eps / (e^eps + choices - 1); what he is right with at least bounds eps.

    Args:
        right: Whether each guess was right, bool [N].
        choices: Number of labels that were equally likely.
        level: Of confidence, one-sided.
    """
    low, _ = wilson(int(right.sum()), len(right), 1.644854 if level == 0.95 else Z_95)
    if low >= 1:
        return math.inf
    return max(0.0, math.log(low * (choices - 1) / (1 - low))) if low > 0 else 0.0
