"""FedAvg: everything travels, the mean of the clients' networks is the next one.

The other methods are this one with a penalty, another choice of what travels, or both.
Independent implementation of arXiv 1602.05629.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgesdk_training.federated.seam import Job, Method, Penalty, Update, Weights

if TYPE_CHECKING:
    from torch import Tensor


class FedAvg:
    """The plug-in, and what the others inherit."""

    aliases: tuple[str, ...] = ()
    extra = "train"
    requires: tuple[str, ...] = ("torch", "safetensors")
    whole = True

    def shared(self, names: Sequence[str]) -> list[str]:
        """Return all of them."""
        return list(names)

    def local(self, job: Job) -> Update:
        """Learn from one client's pictures, from where the received network stands."""
        from edgesdk_training.federated.local import learn, whole_state

        start = {**job.begun, **(job.kept or {}), **job.received}
        job.model.load_state_dict(start, strict=False)
        penalty, looked = self.penalty(job)
        loss = learn(job, penalty)
        kept = whole_state(job.model)
        shared = {name: kept[name] for name in self.shared(list(kept))}
        scalars = {"loss": loss, "teacher_pictures": float(looked)}
        return Update(job.client, job.round, shared, kept, len(job.labels), scalars)

    def penalty(self, job: Job) -> tuple[Penalty | None, int]:
        """Return what is added to the loss, and how many pictures a teacher looked at.

        The model holds the weights that the round starts from.
        """
        return None, 0

    def merge(self, updates: Sequence[Update], weights: Sequence[float]) -> Weights:
        """Return the weighted mean of what the clients sent."""
        names = updates[0].shared
        return {name: _mean([u.shared[name] for u in updates], weights) for name in names}


def _mean(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    total = sum(weight * tensor.double() for weight, tensor in zip(weights, tensors, strict=True))
    mean: Tensor = total.to(tensors[0].dtype)
    return mean


PLUGIN: Method = FedAvg()
