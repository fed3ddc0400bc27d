"""FedBSD: only the backbone travels, and teaches the client's own backbone.

Independent implementation from the published description: the distance is that of the softened
features of the received and of the local backbone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesdk_training.federated.local import answers
from edgesdk_training.federated.objectives import softened
from edgesdk_training.federated.seam import Job, Method, Penalty
from edgesdk_training.methods.fedper import FedPer

if TYPE_CHECKING:
    from torch import Tensor


class FedBsd(FedPer):
    """The plug-in."""

    def penalty(self, job: Job) -> tuple[Penalty | None, int]:
        """Return distil * T^2 * KL between the features of both backbones."""
        _, teacher = answers(job.model, job.images)
        settings = job.settings

        def apart(chosen: Tensor, scores: Tensor, features: Tensor) -> Tensor:
            return settings.distil * softened(features, teacher[chosen], settings.temperature)

        return apart, len(teacher)


PLUGIN: Method = FedBsd()
