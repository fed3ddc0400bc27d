"""COST: a tracker that listens.

Independent implementation from the published figure of COST (contrastive one-stage transformer):
template, search crop and a sentence in, a box out; language tokens, visual tokens and a learnt
[OBJ] in one encoder, and an alignment of pooled tokens by InfoNCE. What the figure leaves open is
our choice: [OBJ] scores the visual tokens and each of them holds a box, since a box regressed from
[OBJ] alone does not learn. The light form stands on NanoTrack V2: with `nanotrack` its weights are
what training begins with, and its answers what real pairs are held to.

Pairs come from labelled sequences (`video`) and from made-up worlds (edgesdk.worlds); `synthetic`
gives worlds alone. The backbone is frozen first, so its features are computed once; `whole_steps`
then trains everything on fresh crops.

    edgesdk train cost --data video=sequences.tar --set nanotrack=FOLDER
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core import plugins
from edgesdk.track_steps import Policy
from edgesdk_training.leave import leave
from edgesdk_training.loop import check_optimiser
from edgesdk_training.settings import ABOVE_0, check_ranges

if TYPE_CHECKING:
    from edgesdk.core.bundle import Checkpoint
    from edgesdk.core.protocols import Recipe, RunContext, RunResult

RANGES = {
    "pairs": (1, inf), "epochs": (0, inf), "whole_steps": (0, inf), "batch": (1, inf),
    "lr": (ABOVE_0, inf), "weight_decay": (0, inf), "average": (0, 0.999999), "made": (0, 1),
    "silent": (0, 1), "align": (0, inf), "teach": (0, inf), "temperature": (ABOVE_0, inf),
    "shake": (0, 0.4), "hears": (0, inf), "hear_pairs": (1, inf), "hear_epochs": (0, inf),
}  # fmt: skip
SYNTHETIC = "synthetic"
TAUGHT = 256  # pixels of the crop in which the teacher answers


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of `cost`.

    Attributes:
        form: light or faithful.
        size: Side of the crops in pixels.
        width: Of all tokens.
        words: Places for words.
        layers: Transformer layers of the fusion.
        nanotrack: Folder of NanoTrack V2's two files to begin with and to learn from, "" for
            neither.
        pairs: Pairs whose features are computed once.
        epochs: Passes over them with a frozen backbone.
        whole_steps: Steps on fresh crops that train the backbone as well.
        batch: Pairs per step and process.
        lr: Highest learning rate; a tenth of it where the backbone is trained.
        optimiser: sgd, adamw or muon.
        weight_decay: Of kernels and matrices.
        average: Decay of the averaged weights, 0 for none.
        made: Part of the pairs that comes from made-up worlds.
        silent: Part of the sentences that is left out.
        align: Weight of the contrastive alignment.
        temperature: Of the alignment.
        teach: Weight of the teacher's scores on real pairs.
        shake: How far the box to remember is off, in its sides.
        init: Shipped model or checkpoint folder to begin with; its form, sizes, word map and
            policy stay.
        hears: Width of the light form's map of where the crop looks like what is said.
        hear_pairs: Pairs in which only words tell the target, for that map alone.
        hear_epochs: Passes over them, all else being frozen.
    """

    form: str = "light"
    size: int = 256
    width: int = 64
    words: int = 16
    layers: int = 1
    nanotrack: str = ""
    pairs: int = 12000
    epochs: int = 2
    whole_steps: int = 0
    batch: int = 32
    lr: float = 1e-3
    optimiser: str = "adamw"
    weight_decay: float = 0.01
    average: float = 0.995
    made: float = 0.5
    silent: float = 0.3
    align: float = 0.2
    temperature: float = 0.1
    teach: float = 0.5
    shake: float = 0.1
    init: str = ""
    hears: int = 32
    hear_pairs: int = 6000
    hear_epochs: int = 12

    def __post_init__(self) -> None:
        """Refuse what cannot be meant before anything is read, written or trained."""
        check_optimiser(self.optimiser)
        check_ranges(self, RANGES)


class Cost:
    """The plug-in."""

    aliases = ()
    extra = "train"
    requires = ("torch", "safetensors")
    students = ("tracker",)
    needs = ("video",)
    asks_teacher = False
    settings = Settings

    def run(self, settings: Settings, context: RunContext) -> RunResult:
        """Train: pairs, features, listen, the whole, judge on scenes held out, save."""
        import torch

        from edgesdk_training.track_data import Pairs, split
        from edgesdk_training.track_trial import judged
        from edgesdk_training.track_words import hear

        student = plugins.load(plugins.STUDENTS, context.student)
        begin = context.beginning(settings.init)
        config = config_of(settings, student, begin)
        tracks, name = _tracks(context)
        learnt, held = split(tracks)
        wide = config.whole / config.held
        pairs = Pairs(learnt, config.size, settings.made, settings.silent, wide, settings.shake)
        teacher = _teacher(settings)
        torch.manual_seed(context.seed)
        model = first_weights(student, config, begin, teacher)
        listen(settings, context, config, model, pairs, teacher)
        whole(settings, context, config, model, pairs)
        if config.hears:
            hear(settings, context, config, model.cpu(), pairs)
        policy = kept_policy(begin)
        metrics = judged(model.cpu().eval(), student, config, held, Policy(**policy))
        told = replace(settings, nanotrack=Path(settings.nanotrack).name)  # no place of a machine
        return leave(
            context, "cost", told, config, model,
            data=name, metrics=metrics, begun={"init": begin}, sequences=len(learnt),
            reading={"policy": policy} if policy else None,
            held_out=[t.name for t in held],
            data_licence="research, non-commercial" if tracks else "made up by seed",
            teacher="" if teacher is None else teacher.name,
            teacher_sha256="" if teacher is None else teacher.sha256,
        )  # fmt: skip


def config_of(settings: Settings, student: Any, begin: Checkpoint | None) -> Any:
    """Return the student's configuration: the settings', or that of the weights to begin with."""
    hears = settings.hears if settings.form == "light" else 0
    if begin is not None:
        own = student.config(**begin.student_config)
        return replace(own, hears=own.hears or hears)
    return student.config(
        form=settings.form, size=settings.size, words=settings.words, width=settings.width,
        layers=settings.layers, hears=hears,
    )  # fmt: skip


def kept_policy(begin: Checkpoint | None) -> dict[str, Any]:
    """Return how the scores of the weights to begin with become boxes; it stays."""
    return {} if begin is None else dict(begin.postprocess.get("policy", {}))


def first_weights(student: Any, config: Any, begin: Checkpoint | None, teacher: Any) -> Any:
    """Return the network before the training: as `begin` or the teacher left it, or fresh."""
    from edgesdk_training.checkpoint import load_weights

    model = student.build(config)
    if begin is not None:
        fresh = frozenset(k for k in model.state_dict() if k.startswith("words."))
        return load_weights(model, begin, fresh)
    if teacher is not None:
        teacher.begin(model)
    return model


def _tracks(context: RunContext) -> tuple[list[Any], str]:
    """Return the labelled sequences of the role `video`, and the sets' names."""
    from edgesdk.sequences import read_tracks

    name = context.data("video").name
    places = [p for p in context.paths("video") if str(p) != SYNTHETIC]
    return [track for place in places for track in read_tracks(place).tracks], name


def _teacher(settings: Settings) -> Any:
    if not settings.nanotrack:
        return None
    from edgesdk_training.nano_track import NanoTrack

    return NanoTrack(Path(settings.nanotrack))


def listen(
    settings: Settings, context: RunContext, config: Any, model: Any, pairs: Any, teacher: Any
) -> None:
    """Train all but the backbone on features that are computed once."""
    import torch

    from edgesdk_training.loop import Plan, fit
    from edgesdk_training.nets.track_losses import Aligned, objective
    from edgesdk_training.track_data import gather

    if not settings.epochs:
        return
    found = context.load("pairs")
    if found is None:
        taught = teacher is not None and hasattr(model, "head") and config.size == TAUGHT
        see = teacher.see if taught and not settings.init else _eye(model)
        arrays = gather(
            pairs, settings.pairs, context.seed, see, teacher.find if taught else None,
            (config.words, config.dims), config.held, context.progress,
        )  # fmt: skip
        found = {key: torch.from_numpy(value) for key, value in arrays.items()}
        context.save("pairs", found)
    model.backbone.requires_grad_(False)

    def draw(order: Any, generator: Any) -> Any:
        rows = {key: value[order.to(value.device)] for key, value in found.items()}
        floats = {k: v.float() for k, v in rows.items() if v.dtype == torch.float16}
        return {k: v.to(context.device) for k, v in {**rows, **floats}.items()}

    both = Aligned(model, config)
    plan = Plan.of(settings, "listen", settings.pairs)
    fit(context, plan, both, draw, objective(both, config, settings))
    model.backbone.requires_grad_(True)


def whole(settings: Settings, context: RunContext, config: Any, model: Any, pairs: Any) -> None:
    """Train everything on fresh crops."""
    if not settings.whole_steps:
        return
    import torch

    from edgesdk_training.loop import Plan, fit
    from edgesdk_training.nets.track_losses import Aligned, objective
    from edgesdk_training.track_data import fresh

    both = Aligned(model, config)
    model.to(memory_format=torch.channels_last)
    plan = Plan(
        "whole", settings.whole_steps * settings.batch, 1, settings.batch, settings.lr / 10,
        settings.optimiser, settings.weight_decay, average=settings.average,
    )  # fmt: skip
    draw = fresh(pairs, (config.words, config.dims))
    fit(context, plan, both, draw, objective(both, config, settings))


def _eye(model: Any) -> Any:
    """Return the student's own backbone as a function of numpy arrays."""
    import torch

    backbone = model.backbone.eval()

    def see(crop: Any) -> Any:
        with torch.inference_mode():
            return backbone(torch.from_numpy(np.ascontiguousarray(crop))).numpy()

    return see


PLUGIN: Recipe = Cost()
