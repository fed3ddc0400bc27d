"""ITEM: generated pictures lie farther from what is said of them than real ones.

Independent implementation from the published description (arXiv 2511.00427): frozen encoders
of pictures and text, distances of the whole picture to its caption and of each object to its
word, a small MLP on them. The encoders are the user's own: their embeddings come as a file of
features, and only the head is trained. Distances are cosines; baselines by setting:
`head=global` (no objects), `head=picture` (no text).

    edgesdk train item --data images=features.npz --set head=concat
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core import plugins
from edgesdk.core.biometrics import auc
from edgesdk.core.errors import UsageError
from edgesdk.generated import band, calibration, probability
from edgesdk_training.leave import leave
from edgesdk_training.loop import check_optimiser
from edgesdk_training.settings import ABOVE_0, check_ranges

if TYPE_CHECKING:
    from edgesdk.core.protocols import Recipe, RunContext, RunResult
    from edgesdk.core.tensors import Array

RANGES = {
    "epochs": (0, inf), "batch": (1, inf), "lr": (ABOVE_0, inf), "weight_decay": (0, inf),
    "holdout": (0.05, 0.5),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of `item`.

    Attributes:
        head: What the MLP is shown: sum, concat, global or picture.
        epochs: Passes.
        batch: Pictures per step and process.
        lr: Highest learning rate.
        optimiser: sgd, adamw or muon.
        weight_decay: Of matrices.
        holdout: Part of the pictures kept out, to calibrate and judge on.
    """

    head: str = "sum"
    epochs: int = 15
    batch: int = 64
    lr: float = 2e-3
    optimiser: str = "adamw"
    weight_decay: float = 0.0
    holdout: float = 0.2

    def __post_init__(self) -> None:
        """Refuse what cannot be meant before anything is read, written or trained."""
        check_optimiser(self.optimiser)
        check_ranges(self, RANGES)


class Item:
    """The plug-in."""

    aliases = ()
    extra = "train"
    requires = ("torch", "safetensors")
    students = ("item-detector",)
    needs = ("images",)
    settings = Settings

    def run(self, settings: Settings, context: RunContext) -> RunResult:
        """Train: features, head, calibrate and judge on what was held out, save."""
        student = plugins.load(plugins.STUDENTS, context.student)
        features = features_of(context)
        arrays = features.arrays
        config = student.config(
            width=arrays["image"].shape[1], objects=arrays["words"].shape[1], head=settings.head
        )
        random = np.random.default_rng(context.seed)
        held = random.random(len(features)) < settings.holdout
        check_sides(features, held)
        model = learnt(settings, context, student.build(config), features, ~held)
        logits = logits_of(model, features, held)
        slope, offset = calibration(logits, features.generated[held])
        calibrate(model, slope, offset)
        chances = probability(slope * logits + offset)
        truth = features.generated[held]
        metrics = {
            "holdout_auc": auc(chances[truth], chances[~truth]),
            "holdout_pictures": int(held.sum()),
        }
        return leave(
            context, "item", settings, config, model,
            data=features.name, data_licence="unknown", metrics=metrics,
            thresholds=band(chances, truth), pictures=int((~held).sum()),
        )  # fmt: skip


def features_of(context: RunContext) -> Any:
    """Return the features given as role `images`.

    Raises:
        UsageError: the data are no file of features.
    """
    from edgesdk_training.joint_space import NAMES, FeatureSet

    data = context.data("images")
    if not isinstance(data, FeatureSet):
        raise UsageError(
            f"{data.name} holds no features; the recipe takes one .npz file with the arrays "
            f"{', '.join(NAMES)} and generated, as your encoders give them"
        )
    return data


def check_sides(features: Any, held: Array) -> None:
    """Refuse features without both sides to learn from and to calibrate on."""
    sides = [set(features.generated[part].tolist()) for part in (held, ~held)]
    if sides != [{True, False}] * 2:
        raise UsageError(
            f"{features.name} has {len(features)} pictures; real and generated ones are needed "
            "both to learn from and to hold out; give more"
        )


def learnt(
    settings: Settings, context: RunContext, model: Any, features: Any, chosen: Array
) -> Any:
    """Return the head after its one phase, in eval mode."""
    import torch
    import torch.nn.functional as F

    from edgesdk_training.loop import Plan, fit

    torch.manual_seed(context.seed)
    for layer in model.layers:
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    inputs = tensor(features, chosen, context.device)
    labels = torch.from_numpy(features.generated[chosen]).float().to(context.device)

    def draw(order: Any, generator: Any) -> Any:
        # Dropout follows the global generator: it too must follow from seed and step.
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        return inputs[order], labels[order]

    def loss(batch: Any) -> tuple[Any, dict[str, Any]]:
        shown, wanted = batch
        logits = model(shown)[:, 0]
        return F.binary_cross_entropy_with_logits(logits, wanted), {}

    plan = Plan.of(settings, "learn", len(labels))
    fit(context, plan, model, draw, loss)
    return model


def tensor(features: Any, chosen: Array, device: str = "cpu") -> Any:
    """Return the head's input of the chosen pictures."""
    import torch

    from edgesdk_training.joint_space import packed

    return torch.from_numpy(packed({n: a[chosen] for n, a in features.arrays.items()})).to(device)


def logits_of(model: Any, features: Any, chosen: Array) -> Array:
    """Return the logits [N] of the chosen pictures."""
    import torch

    device = next(model.parameters()).device
    with torch.inference_mode():
        found = model(tensor(features, chosen, str(device)))[:, 0]
    return np.asarray(found.double().cpu().numpy())


def calibrate(model: Any, slope: float, offset: float) -> None:
    """Make every logit z into slope * z + offset, inside the last layer."""
    import torch

    with torch.no_grad():
        model.layers[-1].weight.mul_(slope)
        model.layers[-1].bias.mul_(slope).add_(offset)


PLUGIN: Recipe = Item()
