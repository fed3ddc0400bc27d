"""Between both steps: a copy of SFace learns to answer behind masks what it answers to bare faces.

A teacher sees the bare face and a student never will; an assistant that was taught on what the
student reads says what can be said of it. It is left out of the student's checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from edgesdk_training.losses import regression
from edgesdk_training.teachers import SIDE

if TYPE_CHECKING:
    from edgesdk.core.protocols import RunContext
    from edgesdk_training.masked import MaskedFaces

# Convolutions before which the copy stays as it is: from here on its map is 14 places wide.
FIRST = 12


class Assistant(nn.Module):
    """What a recogniser reads [N, 3 or 4, W, W] in -1..1 in, unit rows [N, 128] out."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        network.trunk[FIRST:].requires_grad_(True)
        network.linear.requires_grad_(True)

    def forward(self, seen: Tensor) -> Tensor:
        """Return unit rows [N, 128]; a mask beside the face is not read."""
        face = seen[:, :3]
        if face.shape[-1] != SIDE:
            face = interpolate(face, (SIDE, SIDE), mode="bilinear")
        return normalize(self.network((face + 1) * 127.5))

    def heads(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows twice, as a recogniser has two layers to judge."""
        rows = self(seen)
        return rows, rows


def teach_assistant(
    settings: Any, context: RunContext, faces: MaskedFaces, told: Tensor
) -> tuple[Assistant, dict[str, float]]:
    """Return the assistant, frozen, and how well it and SFace as it came do on people held out.

    Args:
        settings: Of the recipe `deocclusion`.
        context: Of the run.
        faces: The public faces.
        told: What SFace says of all bare faces, unit rows [N, 128].
    """
    from edgesdk_training.loop import Plan, fit
    from edgesdk_training.nets.sface import read_sface
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
