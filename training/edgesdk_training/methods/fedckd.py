"""FedCKD: two teachers, the received network and the client's own one of its last round.

Independent implementation from the published description. The weights of the two teachers are
not published: `distil` is their sum, `own` the part of the client's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesdk_training.federated.local import answers
from edgesdk_training.federated.objectives import apart, joined
from edgesdk_training.federated.seam import Job, Method, Penalty
from edgesdk_training.methods.fedavg import FedAvg

if TYPE_CHECKING:
    from torch import Tensor


class FedCkd(FedAvg):
    """The plug-in."""

    def own(self, job: Job) -> float:
        """Return the part of the client's own last network among both teachers."""
        return job.settings.own

    def penalty(self, job: Job) -> tuple[Penalty | None, int]:
        """Return distil * T^2 * the two distances.

        In the very first round the received network knows nothing and teaches nothing; the
        client's own teaches from its second time on.
        """
        settings, own = job.settings, self.own(job)
        general, teachers = 1 - own, []
        if general and job.round:
            teachers.append((general, answers(job.model, job.images)[0]))
        if own and job.kept is not None:
            teachers.append((own, _of_last_time(job)))

        if not teachers:
            return None, 0
        targets, spread = joined(teachers, settings.temperature)

        def away(chosen: Tensor, scores: Tensor, features: Tensor) -> Tensor:
            found = apart(scores, targets[chosen], spread[chosen], settings.temperature)
            return settings.distil * found

        return away, len(teachers) * len(job.labels)


def _of_last_time(job: Job) -> Tensor:
    """Return the scores of the client's own last network; the model is left as it was."""
    from copy import deepcopy

    last = deepcopy(job.model)
    last.load_state_dict(job.kept, strict=False)
    return answers(last, job.images)[0]


PLUGIN: Method = FedCkd()
