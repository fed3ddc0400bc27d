"""Step 1 of bridge distillation: adapt the teacher's embedding to the public faces."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgesdk.core.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from edgesdk.core.protocols import RunContext
    from edgesdk_training.faces import Faces


def adapted(settings: Any, context: RunContext, faces: Faces, width: int) -> Tensor:
    """Return the compact adapted embedding of every face, [N, width].

    A softmax classifier reads the teacher's embedding; a stack of narrowing layers is then
    taught by the labels and by that classifier's soft output.

    Args:
        settings: Fields adapt_epochs, temperature, alpha, class_pictures.
        context: Of the run.
        faces: The public faces.
        width: Length of the adapted embedding.

    Raises:
        UsageError: fewer than two classes.
    """
    import torch
    import torch.nn.functional as F
    from torch import nn

    from edgesdk_training.loop import Plan, fit
    from edgesdk_training.losses import softened

    torch.manual_seed(context.seed)
    if faces.classes < 2:
        raise UsageError(
            "bridge needs labelled faces: fewer than two identities have "
            f"{settings.class_pictures} pictures; set direct=true or class_pictures lower"
        )
    inputs = faces.features.shape[1]
    reader = nn.Linear(inputs, faces.classes).to(context.device)
    adapter = nn.Sequential(
        nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width)
    ).to(context.device)
    head = nn.Linear(width, faces.classes).to(context.device)
    items = faces.labelled

    def draw(order: Tensor, generator: Any) -> Any:
        chosen = items[order]
        return faces.features[chosen], faces.labels[chosen]

    def read(batch: Any) -> Any:
        return F.cross_entropy(20 * reader(batch[0]), batch[1]), {}

    def narrow(batch: Any) -> Any:
        with torch.no_grad():
            soft = 20 * reader(batch[0])
        answer = head(adapter(batch[0]))
        hard = F.cross_entropy(answer, batch[1])
        loss = hard + settings.alpha * softened(answer, soft, settings.temperature)
        return loss, {"labels": hard}

    size = min(256, len(items))
    plan = Plan("adapt-a", len(items), settings.adapt_epochs, size, 1e-2, "adamw", weight_decay=0.0)
    fit(context, plan, reader, draw, read)
    both = nn.ModuleList([adapter, head])
    fit(context, replace(plan, phase="adapt-b", lr=2e-3), both, draw, narrow)
    with torch.no_grad():
        return torch.cat([adapter(part) for part in faces.features.split(4096)])
