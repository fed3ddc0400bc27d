"""FedNTD: the received network teaches about all classes but the label's own.

Independent implementation of the rival of FedLMD, arXiv 2106.03097.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesdk_training.federated.local import answers
from edgesdk_training.federated.objectives import not_true
from edgesdk_training.federated.seam import Job, Method, Penalty
from edgesdk_training.methods.fedavg import FedAvg

if TYPE_CHECKING:
    from torch import Tensor


class FedNtd(FedAvg):
    """The plug-in."""

    def penalty(self, job: Job) -> tuple[Penalty | None, int]:
        """Return distil * T^2 * KL over the classes that are not true."""
        teacher, _ = answers(job.model, job.images)
        settings = job.settings

        def apart(chosen: Tensor, scores: Tensor, features: Tensor) -> Tensor:
            labels = job.labels[chosen]
            found = not_true(scores, teacher[chosen], labels, settings.temperature)
            return settings.distil * found

        return apart, len(teacher)


PLUGIN: Method = FedNtd()
