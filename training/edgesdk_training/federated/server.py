"""What a server decides, whoever carries the messages: who takes part, whom it believes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.notes import note

if TYPE_CHECKING:
    from edgesdk_training.federated.seam import Method, Update, Weights
    from edgesdk_training.federated.settings import FederatedSettings


def taking_part(settings: FederatedSettings, number: int, seed: int) -> list[int]:
    """Return the clients of a round, rising; they follow from the seed and the round."""
    count = max(1, round(settings.participation * settings.clients))
    random = np.random.default_rng([seed, number, 2])
    return sorted(int(i) for i in random.choice(settings.clients, count, replace=False))


def fault(update: Update, expected: Weights, number: int) -> str | None:
    """Return why an answer is not believed, None where it is.

    Args:
        update: The answer.
        expected: The shared tensors as the server has them.
        number: The round that is being gathered.
    """
    import torch

    if update.round != number:
        return f"its answer belongs to round {update.round + 1}"
    if set(update.shared) != set(expected):
        return f"it sent other tensors ({_differing(update.shared, expected)})"
    for name, tensor in update.shared.items():
        if tensor.shape != expected[name].shape:
            there, here = list(tensor.shape), list(expected[name].shape)
            return f"its {name} has the shape {there} instead of {here}"
        if not torch.isfinite(tensor).all():
            return f"its {name} holds numbers that are not finite"
    if update.examples < 1:
        return f"it learnt from {update.examples} pictures"
    return None


def _differing(sent: Weights, expected: Weights) -> str:
    return ", ".join(sorted(set(sent) ^ set(expected))[:3])


def believed(
    updates: Sequence[Update], failures: Mapping[int, str], expected: Weights, number: int
) -> tuple[list[Update], dict[int, str]]:
    """Return the answers that count, by client, and why each other client's does not."""
    dropped = dict(failures)
    good = []
    for update in sorted(updates, key=lambda u: u.client):
        why = fault(update, expected, number)
        if why is None:
            good.append(update)
        else:
            dropped[update.client] = why
    for client, why in sorted(dropped.items()):
        note(f"round {number + 1}: client {client} is left out: {why}")
    return good, dropped


def weights(settings: FederatedSettings, examples: Sequence[int]) -> list[float]:
    """Return how much each client counts; they add up to 1.

    Nobody counts for more than `most` times the round's median, whatever number it claims.
    """
    bound = settings.most * median(examples)
    numbers = [min(float(n), bound) for n in examples]
    if settings.mean == "uniform":
        numbers = [1.0] * len(numbers)
    return [n / sum(numbers) for n in numbers]


def merged(
    settings: FederatedSettings,
    method: Method,
    updates: Sequence[Update],
    asked: int,
    shared: Weights,
    number: int,
) -> Weights:
    """Return the shared tensors after a round; without a quorum those before it."""
    if len(updates) < settings.quorum * asked:
        note(f"round {number + 1}: {len(updates)} of {asked} clients answered; nothing changes")
        return shared
    if not shared:
        return shared
    return method.merge(updates, weights(settings, [u.examples for u in updates]))


def size_of(tensors: Mapping[str, Any]) -> int:
    """Return the bytes of tensors on their way."""
    return sum(t.numel() * t.element_size() for t in tensors.values())
