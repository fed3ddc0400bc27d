"""Between both steps: a copy of SFace learns to answer behind masks what it answers to bare faces.

A teacher sees the bare face and a student never will; an assistant that was taught on what the
student reads says what can be said of it. It is left out of the student's checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from edgesdk.core.protocols import RunContext
    from edgesdk_training.masked import MaskedFaces


def teach_assistant(
    settings: Any, context: RunContext, faces: MaskedFaces, told: Tensor
) -> tuple[Any, dict[str, float]]:
    """Return the assistant, frozen, and how well it and SFace as it came do on people held out.

    Args:
        settings: Of the recipe `deocclusion`.
        context: Of the run.
        faces: The public faces.
        told: What SFace says of all bare faces, unit rows [N, 128].
    """
    import torch

    from edgesdk_training.loop import Plan, fit
    from edgesdk_training.losses import regression
    from edgesdk_training.nets.sface import Assistant, read_sface
    from edgesdk_training.teachers import sface_file

    assistant = Assistant(read_sface(sface_file()[0]).fold())
    assistant.to(context.device, memory_format=torch.channels_last)
    before = faces.verify(assistant)
    train = faces.train

    def draw(order: Tensor, generator: Any) -> Any:
        return faces.batch(train[order], settings.size, generator), train[order]

    def loss(batch: Any) -> Any:
        seen, chosen = batch
        with torch.autocast(seen.device.type, torch.bfloat16, enabled=settings.bf16):
            rows = assistant(seen)
        away = regression(rows.float(), told[chosen])
        return away, {"away": away}

    plan = Plan(
        "assistant", len(train), settings.assistant_epochs, min(settings.batch, len(train)),
        settings.assistant_lr, "adamw", 1e-4,
    )  # fmt: skip
    fit(context, plan, assistant, draw, loss)
    assistant.requires_grad_(False)
    after = faces.verify(assistant)
    named = [("sface", before), ("assistant", after)]
    return assistant, {f"{who}_{k}": v for who, found in named for k, v in found.items()}
