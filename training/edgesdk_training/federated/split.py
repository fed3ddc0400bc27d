"""Who has which pictures: equal shards of sorted labels, Dirichlet shares, even, or by class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.tensors import Array

KINDS = ("shards", "dirichlet", "even", "people")
LEAST = 2  # pictures of a client: one to learn, one to be judged by
ATTEMPTS = 1000


def check_skew(skew: str) -> tuple[str, float]:
    """Return the kind of a split and its number.

    Raises:
        UsageError: it is none of shards:N, dirichlet:A, even, people.
    """
    kind, _, word = skew.partition(":")
    if kind not in KINDS:
        raise UsageError(f"there is no skew {kind!r}. {did_you_mean(kind, KINDS)}")
    numbered = kind in KINDS[:2]
    try:
        number = float(word) if numbered else 1.0
    except ValueError:
        number = 0.0
    whole = kind != "shards" or number.is_integer()
    if not 0 < number < 1e6 or not whole or (word and not numbered):
        example = {"shards": "shards:2", "dirichlet": "dirichlet:0.1"}.get(kind, kind)
        raise UsageError(f"skew={skew} makes no sense; such as skew={example}")
    return kind, number


def divide(labels: Array, clients: int, skew: str, seed: int) -> list[Array]:
    """Return the pictures of every client, numbers in rising order; equal seeds, equal parts.

    Args:
        labels: Class of each picture, [N].
        clients: Number of clients.
        skew: shards:N (each client gets N equal pieces of the pictures sorted by class),
            dirichlet:A (each class is shared out by a draw of Dirichlet, small A is more
            uneven), even, or people (each class has one owner).
        seed: Decides the draw.

    Raises:
        UsageError: there are too few pictures or classes for so many clients.
    """
    kind, number = check_skew(skew)
    random = np.random.default_rng([seed, clients])
    if len(labels) < clients * LEAST:
        raise UsageError(
            f"{len(labels)} pictures are too few for {clients} clients; set fewer clients"
        )
    parts = HOW[kind](labels, clients, number, random)
    return [np.sort(part) for part in parts]


def held_out(part: Array, share: float, seed: int, client: int) -> tuple[Array, Array]:
    """Return a client's pictures to learn from and those to be judged by, at least one each."""
    shuffled = np.random.default_rng([seed, client, 1]).permutation(part)
    kept = min(max(1, round(share * len(part))), len(part) - 1)
    return np.sort(shuffled[kept:]), np.sort(shuffled[:kept])


def counts(labels: Array, parts: list[Array], classes: int) -> Array:
    """Return the pictures of each client and class, [clients, classes]."""
    return np.stack([np.bincount(labels[part], minlength=classes) for part in parts])


def _shards(labels: Array, clients: int, number: float, random: np.random.Generator) -> list[Array]:
    each = int(number)
    if clients * each > len(labels):
        raise UsageError(
            f"{len(labels)} pictures cannot be cut into {clients * each} shards; set fewer"
        )
    shuffled = random.permutation(len(labels))
    ordered = shuffled[np.argsort(labels[shuffled], kind="stable")]
    pieces = np.array_split(ordered, clients * each)
    dealt = random.permutation(len(pieces)).reshape(clients, each)
    return [np.concatenate([pieces[i] for i in mine]) for mine in dealt]


def _dirichlet(
    labels: Array, clients: int, alpha: float, random: np.random.Generator
) -> list[Array]:
    classes = np.unique(labels)
    for _ in range(ATTEMPTS):
        parts: list[list[Array]] = [[] for _ in range(clients)]
        for label in classes:
            mine = random.permutation(np.flatnonzero(labels == label))
            shares = random.dirichlet(np.full(clients, alpha))
            cuts = (np.cumsum(shares)[:-1] * len(mine)).astype(int)
            for part, piece in zip(parts, np.split(mine, cuts), strict=True):
                part.append(piece)
        joined = [np.concatenate(part) for part in parts]
        if min(map(len, joined)) >= least(len(labels), clients):
            return joined
    raise UsageError(
        f"no draw of dirichlet:{alpha} gives each of {clients} clients enough pictures; set fewer "
        "clients or a larger number"
    )


def least(pictures: int, clients: int) -> int:
    """Return how many pictures a client has at least after a Dirichlet draw: ten, of few fewer."""
    return max(LEAST, min(10, pictures // (5 * clients)))


def _even(labels: Array, clients: int, _: float, random: np.random.Generator) -> list[Array]:
    return np.array_split(random.permutation(len(labels)), clients)


def _people(labels: Array, clients: int, _: float, random: np.random.Generator) -> list[Array]:
    people = random.permutation(np.unique(labels))
    if len(people) < clients:
        raise UsageError(f"{len(people)} people are too few for {clients} clients; set fewer")
    groups = np.array_split(people, clients)
    return [np.flatnonzero(np.isin(labels, group)) for group in groups]


HOW: dict[str, Callable[[Array, int, float, np.random.Generator], list[Array]]] = {
    "shards": _shards, "dirichlet": _dirichlet, "even": _even, "people": _people,
}  # fmt: skip
