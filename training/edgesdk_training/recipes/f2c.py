"""The frequency clue: a compact detector of generated pictures.

Independent implementation from the published description (arXiv 2511.00429): the spectrum of a
crop is weighed by how much generated pictures differ from real ones at each frequency, and a
small classifier reads what is left. The weights are published; classifier, schedule and data
are our own choice. One phase, then the logits are calibrated on photos held out, inside the
last layer, and the thresholds of the verdict are fitted there.

The data lie in folders `real`, `soft` (photos that tools have worked on, no fakes) and `fake`;
`python tools/make_fakes.py` makes them out of any photos. Rivals by setting: `clue=raw`,
`high-pass`, `top-band`, `npr`; of the last there is a student of its own, `npr-detector`.

    edgesdk train f2c --data images=fakes --set epochs=20
    edgesdk train f2c --student npr-detector --data images=fakes
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core import plugins
from edgesdk.core.biometrics import auc
from edgesdk.generated import band, calibration, probability
from edgesdk_training.leave import leave
from edgesdk_training.loop import check_optimiser
from edgesdk_training.settings import ABOVE_0, MOST_AT_ONCE, check_ranges

if TYPE_CHECKING:
    from edgesdk.core.bundle import Checkpoint
    from edgesdk.core.protocols import Recipe, RunContext, RunResult
    from edgesdk.core.tensors import Array
    from edgesdk_training.clue_data import Sample

RANGES = {
    "epochs": (0, inf), "batch": (1, MOST_AT_ONCE), "lr": (ABOVE_0, inf), "weight_decay": (0, inf),
    "average": (0, 0.999999), "soft": (0, 1), "worked": (0, 1), "smooth": (0, 0.5),
}  # fmt: skip
# Of the pictures whose clue gives mean and deviation, and of JPEG when calibrating.
FIRST, QUALITIES = 256, (75, 98)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of `f2c`.

    Attributes:
        size: Side of the crops in pixels.
        clue: What the classifier is shown: f2c, high-pass, top-band, npr or raw; "" for what the
            student is named after.
        epochs: Passes; a step draws its crops anew, each kind of picture alike.
        batch: Crops per step and process.
        lr: Highest learning rate; with muon of kernels, ten times that of the rest.
        optimiser: sgd, adamw or muon.
        weight_decay: Of kernels and matrices.
        average: Decay of the averaged weights, 0 for none.
        soft: Part of the real side that tools have worked on, where the data hold such.
        worked: Chance that a tool works on a crop of either side, so that it tells nothing.
        smooth: How far the labels are drawn to the middle, 0..0.5.
        without: Kinds left out, by the beginnings of their names, with + between: ae-+vq-.
        init: Shipped model or checkpoint folder to begin with, "" for fresh weights.
    """

    size: int = 64
    clue: str = ""
    epochs: int = 20
    batch: int = 48
    lr: float = 3e-3
    optimiser: str = "adamw"
    weight_decay: float = 0.01
    average: float = 0.0
    soft: float = 0.5
    worked: float = 0.2
    smooth: float = 0.02
    without: str = ""
    init: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant before anything is read, written or trained."""
        check_optimiser(self.optimiser)
        check_ranges(self, RANGES)


class F2c:
    """The plug-in."""

    aliases = ()
    extra = "train"
    requires = ("torch", "safetensors")
    students = ("f2c-detector", "npr-detector")
    needs = ("images",)
    asks_teacher = False
    settings = Settings

    def run(self, settings: Settings, context: RunContext) -> RunResult:
        """Train: data, standardise, learn, calibrate, judge on what was held out, save."""
        from edgesdk_training.clue_data import read_samples

        student = plugins.load(plugins.STUDENTS, context.student)
        clue = {"clue": settings.clue} if settings.clue else {}
        config = student.config(size=settings.size, **clue)
        without = tuple(filter(None, settings.without.split("+")))
        begin = context.beginning(settings.init)
        sample, held, name = read_samples(context, without, settings.size)
        model = learnt(settings, context, student.build(config), sample, begin)
        logits = held_logits(settings, context, model, held)
        slope, offset = calibration(logits, held.generated)
        model.calibrate(slope, offset)
        chances = probability(slope * logits + offset)
        metrics = judged(chances, held)
        return leave(
            context, "f2c", settings, config, model,
            data=name, metrics=metrics, thresholds=band(chances, held.generated),
            begun={"init": begin}, pictures=len(sample),
        )  # fmt: skip


def learnt(
    settings: Settings,
    context: RunContext,
    model: Any,
    sample: Sample,
    begin: Checkpoint | None,
) -> Any:
    """Return the network after its one phase, in eval mode."""
    import torch
    import torch.nn.functional as F

    from edgesdk_training.checkpoint import warm_start
    from edgesdk_training.clue_data import drawer
    from edgesdk_training.loop import Plan, fit

    torch.manual_seed(context.seed)
    for layer in model.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    draw = drawer(sample, settings.size, settings.soft, settings.worked)
    first, _ = draw(torch.zeros(FIRST), torch.Generator().manual_seed(context.seed))
    model.standardise(first)
    if begin is not None:
        warm_start(model, begin, first)
    model.to(context.device, memory_format=torch.channels_last)

    def loss(batch: Any) -> tuple[Any, dict[str, Any]]:
        images, labels = batch
        logits = model(images)[:, 0]
        wanted = labels * (1 - 2 * settings.smooth) + settings.smooth
        value = F.binary_cross_entropy_with_logits(logits, wanted)
        return value, {"right": ((logits > 0) == (labels > 0.5)).float().mean()}

    plan = Plan.of(settings, "learn", len(sample))
    fit(context, plan, model, draw, loss)
    return model


def held_logits(settings: Settings, context: RunContext, model: Any, held: Sample) -> Array:
    """Return the pooled logits [N] of the pictures held out, all through JPEG by chance."""
    from edgesdk_training.clue_data import logits_of
    from edgesdk_training.soft import jpeg

    random = np.random.default_rng(context.seed)
    pictures = [jpeg(p, int(random.integers(*QUALITIES))) for p in held.pictures]
    return logits_of(model, pictures, settings.size, context.device)


def judged(chances: Array, held: Sample) -> dict[str, float]:
    """Return the AUC of generated against all real pictures held out, and against the soft."""
    sides = np.array([kind.side for kind in held.kinds])
    fakes = chances[held.generated]
    against = {"auc": ~held.generated, "auc_soft": sides == "soft"}
    found = {f"holdout_{k}": auc(fakes, chances[real]) for k, real in against.items() if real.any()}
    brier = float(np.square(chances - held.generated).mean())
    return {**found, "holdout_brier": brier, "holdout_pictures": len(held)}


PLUGIN: Recipe = F2c()
