"""ITEM: generated pictures lie farther from what is said of them than real ones.

Independent implementation from the published description (arXiv 2511.00427): frozen encoders
of pictures and text, distances of the whole picture to its caption and of each object to its
word, a small MLP on them. Distances are cosines; baselines by setting: `head=global` (no
objects), `head=picture` (no text). The encoders are the user's own, whose embeddings come as a
file of features, or a compact joint space that is taught first (`space=compact`), on captioned
photos; both need captions.json inside their sets.

    edgesdk train item --data images=features.npz --set head=concat
    edgesdk train item --data images=real-and-fake.tar --data captions=photos.tar \\
        --set space=compact head=concat
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core import plugins
from edgesdk.core.biometrics import auc
from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.generated import band, calibration, probability
from edgesdk_training.item_spaces import SPACES
from edgesdk_training.leave import leave
from edgesdk_training.loop import check_optimiser
from edgesdk_training.settings import ABOVE_0, MOST_AT_ONCE, check_ranges

if TYPE_CHECKING:
    from edgesdk.core.protocols import Recipe, RunContext, RunResult
    from edgesdk.core.tensors import Array

RANGES = {
    "epochs": (0, inf), "batch": (1, MOST_AT_ONCE), "lr": (ABOVE_0, inf), "weight_decay": (0, inf),
    "holdout": (0.05, 0.5), "space_epochs": (0, inf), "word_epochs": (0, inf),
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
        space: given (embeddings from a file) or compact (taught here).
        space_epochs: Passes of the compact space's projections.
        word_epochs: Passes of its table of words.
    """

    head: str = "sum"
    epochs: int = 15
    batch: int = 64
    lr: float = 2e-3
    optimiser: str = "adamw"
    weight_decay: float = 0.0
    holdout: float = 0.2
    space: str = "given"
    space_epochs: int = 80
    word_epochs: int = 60

    def __post_init__(self) -> None:
        """Refuse what cannot be meant before anything is read, written or trained."""
        check_optimiser(self.optimiser)
        check_ranges(self, RANGES)
        if self.space not in SPACES:
            raise UsageError(
                f"there is no space {self.space!r}. {did_you_mean(self.space, SPACES)}"
            )


class Item:
    """The plug-in."""

    aliases = ()
    extra = "train"
    requires = ("torch", "safetensors")
    students = ("item-detector",)
    needs = ("images", "captions")
    asks_teacher = False
    settings = Settings

    def run(self, settings: Settings, context: RunContext) -> RunResult:
        """Train: features, head, calibrate and judge on what was held out, save."""
        from edgesdk_training.nets.item_head import ItemHead

        student = plugins.load(plugins.STUDENTS, context.student)
        space = SPACES[settings.space](context, student, settings)
        features, config = space.features, space.config
        random = np.random.default_rng(context.seed)
        held = random.random(features.picture.max() + 1)[features.picture] < settings.holdout
        check_sides(features, held)
        head = ItemHead(config.head, config.width, config.objects)
        model = learnt(settings, context, head, features, ~held)
        logits = logits_of(model, features, held)
        slope, offset = calibration(logits, features.generated[held])
        calibrate(model, slope, offset)
        chances = probability(slope * logits + offset)
        return leave(
            context, "item", settings, config, space.completed(model),
            data=space.data, data_licence=space.licence,
            metrics={**judged(chances, features, held), **space.metrics},
            thresholds=band(chances, features.generated[held]), reading=space.reading,
            pictures=len({*features.picture[~held].tolist()}), encoders=dict(space.sources),
            companions=dict(space.companions),
            artefacts=space.artefacts,
        )  # fmt: skip


def judged(chances: Array, features: Any, held: Array) -> dict[str, float]:
    """Return the AUC on the pictures held out: of all, and for each kind of caption."""
    truth, told = features.generated[held], features.told[held]
    kinds = {"": told == told, **{f"_{kind}": told == kind for kind in sorted(set(told) - {""})}}
    found = {
        f"holdout_auc{kind}": auc(chances[of & truth], chances[of & ~truth])
        for kind, of in kinds.items()
    }
    return {**found, "holdout_pictures": len(set(features.picture[held].tolist()))}


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

    from edgesdk.own_encoders import packed

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
