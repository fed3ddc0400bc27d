"""Last step, for int8: the rounded student learns to answer as its float self did.

Post-training quantisation takes the weights as they are; here they move, under the rounding
that the exporters will do, until the rounded answers are close to the float ones again. The
float student is the teacher: no label, no other network, and whatever step 2 and the closed
form have reached is kept. BatchNorm is folded before, as in the exported graph.

Ranges of maps are the extremes of each batch, because an export takes the extremes of its
calibration set; so nothing but weights is learned and the checkpoint is an ordinary one.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.biometrics import cosine

if TYPE_CHECKING:
    from edgesdk.core.protocols import RunContext
    from edgesdk_training.faces import Faces


def quantise_aware(
    settings: Any, context: RunContext, faces: Faces, student: Any
) -> dict[str, float]:
    """Teach a folded `student`, in place, to bear int8, and return what that did.

    Args:
        settings: Fields size, batch, qat_epochs and qat_lr.
        context: Of the run.
        faces: The public faces.
        student: A network with `heads`, BatchNorm folded.

    Returns:
        `judge_int8` before and after; empty without people held out.
    """
    import torch
    from torch.nn.functional import normalize

    from edgesdk_training.loop import Plan, fit
    from edgesdk_training.losses import regression
    from edgesdk_training.nets.rounded import Rounded

    before = judge_int8(student, faces, settings.size)
    exact, rounded, train = deepcopy(student), Rounded(student), faces.train

    def draw(order: Any, generator: Any) -> Any:
        return faces.batch(train[order], settings.size, generator)

    def loss(pictures: Any) -> Any:
        with torch.no_grad():
            target = normalize(exact.heads(pictures)[1])
        return regression(rounded(pictures), target), {}

    batch = min(settings.batch, len(train))
    epochs, rate = settings.qat_epochs, settings.qat_lr
    plan = Plan("qat", len(train), epochs, batch, rate, "adamw", weight_decay=0.0)
    fit(context, plan, student.requires_grad_(True), draw, loss)
    student.requires_grad_(False)
    return {f"{k}_before": v for k, v in before.items()} | judge_int8(student, faces, settings.size)


def judge_int8(student: Any, faces: Faces, size: int) -> dict[str, float]:
    """Return how a folded student fares on the people held out when it is rounded to int8.

    Args:
        student: A network with `heads`.
        faces: The public faces.
        size: Side of the student's input.

    Returns:
        holdout_accuracy_int8, and holdout_cosine_p1_int8: the cosine to its own float answer
        that one face of a hundred falls short of. Empty without people held out.
    """
    from edgesdk_training.nets.rounded import Rounded

    if faces.held is None:
        return {}
    rounded = Rounded(student)
    rounded.measure(faces.sample(size, faces.seed))
    both = (faces.embed(net, faces.held.items, size) for net in (student, rounded))
    return {
        "holdout_accuracy_int8": faces.judge(rounded, size)["holdout_accuracy"],
        "holdout_cosine_p1_int8": float(np.percentile(cosine(*both), 1)),
    }
