"""FedLMD: the received network teaches about the client's rare classes alone.

Independent implementation from the published description. Masks, temperature and weight are
those of the released settings; three faults of the released code are not copied: its variant
without a teacher divides by the size of the batch, cannot be called, and a client with no rare
class but the label's own gets a loss of hundreds. Here such a picture adds nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesdk_training.federated.local import answers
from edgesdk_training.federated.objectives import majority, masked
from edgesdk_training.federated.seam import Job, Method, Penalty
from edgesdk_training.methods.fedavg import FedAvg

if TYPE_CHECKING:
    from torch import Tensor


class FedLmd(FedAvg):
    """The plug-in."""

    def penalty(self, job: Job) -> tuple[Penalty | None, int]:
        """Return distil * T^2 * KL over the minority classes; without a teacher where asked.

        The majority is told from the client's own labels, here and nowhere else.
        """
        settings = job.settings
        common = majority(job.labels.bincount(minlength=job.classes))
        teacher = None if settings.teacher_free else answers(job.model, job.images)[0]

        def apart(chosen: Tensor, scores: Tensor, features: Tensor) -> Tensor:
            told = None if teacher is None else teacher[chosen]
            found = masked(scores, told, job.labels[chosen], common, settings.temperature)
            return settings.distil * found

        return apart, 0 if teacher is None else len(teacher)


PLUGIN: Method = FedLmd()
