"""What every method does on a client: answer its pictures, and learn from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from edgesdk_training.federated.seam import Job, Penalty, Weights

BLOCK = 512


def inputs(images: Tensor) -> Tensor:
    """Return uint8 [N, S, S, 3] as a network sees them, [N, 3, S, S] in -1..1."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def answers(model: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return a frozen network's scores [N, C] and features [N, K] of pictures."""
    import torch

    was = model.training
    model.eval()
    scores, features = [], []
    with torch.no_grad():
        for part in images.split(BLOCK):
            found = model.features(inputs(part))
            features.append(found)
            scores.append(model.head(found))
    model.train(was)
    return torch.cat(scores), torch.cat(features)


def whole_state(model: Any) -> dict[str, Tensor]:
    """Return a copy of a network's tensors of floats; BatchNorm's counter is none."""
    state: Weights = model.state_dict()
    return {k: v.detach().cpu().clone() for k, v in state.items() if v.is_floating_point()}


def learn(job: Job, penalty: Penalty | None) -> float:
    """Train the model of a job for its local epochs and return the mean loss of the last.

    SGD begins anew each round; every random choice follows from seed, round and client.
    """
    import torch
    import torch.nn.functional as F

    settings, model = job.settings, job.model
    optimiser = torch.optim.SGD(
        model.parameters(), lr=settings.lr * settings.lr_decay**job.round,
        momentum=settings.momentum, weight_decay=settings.weight_decay,
    )  # fmt: skip
    model.train()
    losses: list[Tensor] = []
    for chosen in batches(job):
        features = model.features(inputs(job.images[chosen]))
        scores = model.head(features)
        loss = F.cross_entropy(scores, job.labels[chosen])
        if penalty is not None:
            loss = loss + penalty(chosen, scores, features)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    model.eval()
    last = max(1, len(losses) // settings.local_epochs)
    return float(torch.stack(losses[-last:]).mean())


def batches(job: Job) -> Iterator[Tensor]:
    """Yield the places of each batch; the pictures of an epoch come in an order of its own."""
    import torch

    count, size = len(job.labels), job.settings.batch
    seed = hash_of(job.seed, job.round, job.client)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(job.settings.local_epochs):
        order = torch.randperm(count, generator=generator).to(job.images.device)
        yield from order.split(size)


def hash_of(*numbers: int) -> int:
    """Return one seed that follows from several numbers."""
    from edgesdk.core.files import canonical, sha256_bytes

    return int(sha256_bytes(canonical(list(numbers)))[:15], 16)
