"""People kept out of training, to choose settings on. Never the set a result is reported on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgesdk.core.biometrics import VerificationMetrics, cosine, verification
from edgesdk.core.tensors import Array

MOST_PAIRS_EACH = 6
FOLDS = 10


@dataclass(frozen=True, slots=True)
class Holdout:
    """Items kept out and the pairs made of them.

    Attributes:
        items: Indices into the data set, sorted.
        a: First of each pair, as a position in `items`.
        b: Second of each pair.
        same: Whether the pair shows one person.
    """

    items: Array
    a: Array
    b: Array
    same: Array

    def judge(self, embed: Callable[[Array], Array]) -> VerificationMetrics:
        """Return the accuracy of `embed`, which maps item indices to rows [N, D]."""
        rows = embed(self.items)
        folds = np.arange(len(self.same)) % FOLDS
        return verification(cosine(rows[self.a], rows[self.b]), self.same, folds)


def hold_out(identities: Array, people: int, seed: int) -> Holdout:
    """Choose `people` identities with two pictures or more, and pairs of their pictures.

    Never more than a quarter of them, and nobody where that is one person, who has no
    impostors. Up to six genuine pairs each, and as many impostor pairs. The choice depends on
    the identities and the seed only.
    """
    generator = np.random.default_rng(seed)
    labels, counts = np.unique(identities[identities >= 0], return_counts=True)
    several = labels[counts >= 2]
    most = min(people, len(several) // 4)
    chosen = generator.choice(several, most if most > 1 else 0, replace=False)
    items = np.flatnonzero(np.isin(identities, chosen))
    owner = identities[items]
    genuine = [pair for person in np.sort(chosen) for pair in _pairs(owner, person, generator)]
    a, b = np.array(genuine, np.int64).reshape(-1, 2).T
    other_a, other_b = _impostors(owner, len(a), generator)
    same = np.repeat([True, False], [len(a), len(other_a)])
    order = generator.permutation(len(same))
    first, second = np.concatenate([a, other_a]), np.concatenate([b, other_b])
    return Holdout(items, first[order], second[order], same[order])


def _pairs(owner: Array, person: int, generator: np.random.Generator) -> list[tuple[int, int]]:
    places = np.flatnonzero(owner == person)
    every = [(int(i), int(j)) for n, i in enumerate(places) for j in places[n + 1 :]]
    keep = generator.permutation(len(every))[:MOST_PAIRS_EACH]
    return [every[k] for k in keep]


def _impostors(owner: Array, count: int, generator: np.random.Generator) -> tuple[Array, Array]:
    if not count:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    a = generator.integers(0, len(owner), 4 * count + 16)
    b = generator.integers(0, len(owner), 4 * count + 16)
    differ = owner[a] != owner[b]
    return a[differ][:count], b[differ][:count]
