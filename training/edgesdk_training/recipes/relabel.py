"""Re-label distillation, its first part: what draws pictures near any picture of a kind.

Independent implementation from the published description (re-label distillation): a variational
autoencoder per kind of pictures draws neighbours of one, a black box labels them anew, and a
linear student of these labels explains its decision. This recipe trains the autoencoder on any
pictures of the kind, without labels; `edgesdk explain` does the rest in seconds.

    edgesdk train relabel --data images=photos.tar --set kind=pictures
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError
from edgesdk_training.leave import leave
from edgesdk_training.loop import check_optimiser
from edgesdk_training.settings import ABOVE_0, check_ranges

if TYPE_CHECKING:
    from edgesdk.core.protocols import Recipe, RunContext, RunResult
    from edgesdk.core.tensors import Array

RANGES = {
    "epochs": (0, inf), "batch": (1, inf), "lr": (ABOVE_0, inf), "weight_decay": (0, inf),
    "beta": (0, inf), "holdout": (0.01, 0.5),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of `relabel`.

    Attributes:
        kind: Kind of pictures, one word: a part of the model's name.
        size: Side of the pictures in pixels.
        latent: Numbers of a code.
        epochs: Passes.
        batch: Pictures per step and process.
        lr: Highest learning rate.
        optimiser: sgd, adamw or muon.
        weight_decay: Of kernels and matrices.
        beta: Weight of the codes' divergence from the normal distribution.
        mirror: Whether half of the pictures are mirrored.
        holdout: Part of the pictures kept out, to tell how well they are drawn.
    """

    kind: str = "faces"
    size: int = 32
    latent: int = 64
    epochs: int = 15
    batch: int = 64
    lr: float = 2e-3
    optimiser: str = "adamw"
    weight_decay: float = 0.0
    beta: float = 0.03
    mirror: bool = True
    holdout: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what cannot be meant before anything is read, written or trained."""
        check_optimiser(self.optimiser)
        check_ranges(self, RANGES)


class Relabel:
    """The plug-in."""

    aliases = ()
    extra = "train"
    requires = ("torch", "safetensors")
    students = ("neighbours",)
    needs = ("images",)
    asks_teacher = False
    settings = Settings

    def run(self, settings: Settings, context: RunContext) -> RunResult:
        """Train: pictures, learn, tell how well those held out are drawn, save."""
        from edgesdk_training.data import decode

        student = plugins.load(plugins.STUDENTS, context.student)
        config = student.config(kind=settings.kind, size=settings.size, latent=settings.latent)
        data = context.data("images")
        pictures, _ = decode(data, settings.size, context.progress)
        held = np.random.default_rng(context.seed).random(len(pictures)) < settings.holdout
        if held.all() or not held.any():
            raise UsageError(
                f"{data.name} has {len(pictures)} pictures, too few to learn from and to hold out "
                "a part; give more"
            )
        model = learnt(settings, context, student.build(config), pictures[~held])
        metrics = judged(model.cpu(), pictures[held], pictures[~held])
        return leave(
            context, "relabel", settings, config, model,
            data=data.name, metrics=metrics, pictures=int((~held).sum()),
        )  # fmt: skip


def learnt(settings: Settings, context: RunContext, model: Any, pictures: Array) -> Any:
    """Return the autoencoder after its one phase, in eval mode."""
    import torch
    import torch.nn.functional as F

    from edgesdk_training.loop import Plan, fit

    torch.manual_seed(context.seed)
    for layer in model.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    model.to(context.device, memory_format=torch.channels_last)
    shown = torch.from_numpy(pictures).to(context.device)

    def draw(order: Any, generator: Any) -> Any:
        images = shown[order].permute(0, 3, 1, 2).float() / 127.5 - 1
        turned = torch.rand(len(order), 1, 1, 1, generator=generator, device=images.device)
        if settings.mirror:
            images = torch.where(turned < 0.5, images, images.flip(3))
        shape = (len(order), settings.latent, 1, 1)
        return images, torch.randn(shape, generator=generator, device=images.device)

    def loss(batch: Any) -> tuple[Any, dict[str, Any]]:
        images, noise = batch
        mean, logs = model.coded(images)
        drawn = model.decode(mean + noise * (0.5 * logs).exp())
        error = F.mse_loss(drawn, images)
        divergence = 0.5 * (mean.square() + logs.exp() - 1 - logs).sum((1, 2, 3)).mean()
        value = error + settings.beta * divergence / images[0].numel()
        return value, {"error": error, "divergence": divergence}

    plan = Plan.of(settings, "learn", len(pictures))
    fit(context, plan, model, draw, loss)
    return model


def judged(model: Any, held: Array, seen: Array) -> dict[str, float]:
    """Return the root mean square error of pictures held out, on their scale of 0..255.

    Beside it that of their mean picture, which whatever learns nothing would draw.
    """
    import torch

    images = torch.from_numpy(held).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        noise = torch.zeros(1, model.mean.out_channels)
        drawn = torch.cat([model(part, noise)[0] for part in images.split(256)])
        error = float((drawn - images).square().mean().sqrt())
    plain = held - seen.mean(0, dtype=np.float64)
    return {
        "holdout_rmse": 127.5 * error,
        "holdout_rmse_of_the_mean": float(np.sqrt(np.square(plain).mean())),
        "holdout_pictures": len(held),
    }


PLUGIN: Recipe = Relabel()
