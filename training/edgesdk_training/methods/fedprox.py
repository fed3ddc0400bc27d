"""FedProx: FedAvg whose clients stay near the network they were sent (arXiv 1812.06127)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesdk_training.federated.seam import Job, Method, Penalty
from edgesdk_training.methods.fedavg import FedAvg

if TYPE_CHECKING:
    from torch import Tensor


class FedProx(FedAvg):
    """The plug-in."""

    def penalty(self, job: Job) -> tuple[Penalty | None, int]:
        """Return mu / 2 * the squared distance from the received weights."""
        parameters = list(job.model.parameters())
        start = [p.detach().clone() for p in parameters]

        def away(chosen: Tensor, scores: Tensor, features: Tensor) -> Tensor:
            squares = [(p - s).square().sum() for p, s in zip(parameters, start, strict=True)]
            total: Tensor = job.settings.mu / 2 * sum(squares)
            return total

        return away, 0


PLUGIN: Method = FedProx()
