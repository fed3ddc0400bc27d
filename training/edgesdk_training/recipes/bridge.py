"""Bridge distillation: a compact student of tiny faces inherits from a big face network.

Independent implementation from the published description (arXiv 2409.11786, IEEE TIP
2020): the networks' roles and the losses' names are published, the losses' forms, weights
and the schedule are our own choice. Two steps:

1. Adapt: on public faces, a softmax classifier reads the teacher's embedding (soft
   output); a stack of narrowing layers makes a compact adapted embedding, taught by
   the labels and by that soft output.
2. Distil: the student sees the same faces small and degraded; its mimic layer regresses
   the adapted embedding, its identity layer learns the labels.

With `qat=true` the student then learns to bear int8 (`qat.py`).

Baselines by setting: `direct=true` regresses the raw teacher embedding, turned into the
mimic layer's dimensions, and skips step 1; `labels_only=true` drops every distillation
term. The terms `identity`, `relation` and `contrast` are ours: they act on the identity
layer, against the teacher's own embedding.

    edgesdk train bridge --data public=faces.tar --set size=16 --set epochs=30
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError
from edgesdk_training.leave import leave
from edgesdk_training.loop import check_optimiser
from edgesdk_training.settings import ABOVE_0, MOST_AT_ONCE, check_ranges

if TYPE_CHECKING:
    from edgesdk.core.bundle import Checkpoint
    from edgesdk.core.protocols import Recipe, RunContext, RunResult

LOSSES = ("classes", "mimic", "identity", "relation", "contrast")
RANGES = {
    **dict.fromkeys(("epochs", "adapt_epochs", "qat_epochs", "base", "smallest"), (0, inf)),
    **dict.fromkeys(("morphs", "class_bank", "bank", "holdout"), (0, inf)),
    "batch": (1, MOST_AT_ONCE),
    "morph_batch": (1, MOST_AT_ONCE),
    "class_pictures": (1, inf),
    **dict.fromkeys((*LOSSES, "alpha", "weight_decay", "whiten", "light", "blur"), (0, inf)),
    **dict.fromkeys(("lr", "qat_lr", "scale", "temperature"), (ABOVE_0, inf)),
    **dict.fromkeys(("centre", "flip", "keep"), (0, 1)),
    **dict.fromkeys(("shift", "zoom"), (0, 0.5)),
    "average": (0, 0.999999),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of `bridge`.

    Attributes:
        size: Side of the student's input in pixels.
        base: Side at which pictures are kept in memory and varied; 0 chooses.
        smallest: Smallest face shown in pixels, enlarged to `size`; 0 for faces of `size` alone.
        epochs: Passes of step 2.
        adapt_epochs: Passes of step 1.
        batch: Faces per step and process.
        lr: Highest learning rate of step 2; with muon of kernels, ten times that of the rest.
        optimiser: sgd, adamw or muon.
        weight_decay: Of kernels and matrices.
        average: Decay of the averaged weights, 0 for none.
        class_pictures: Least pictures of an identity that becomes a class.
        classes: Weight of the class loss.
        class_bank: Classes drawn per step to tell a face's own class from, 0 for all.
        mimic: Weight of the regression of the mimic layer.
        identity: Weight of the regression of the identity layer to the teacher itself.
        relation: Weight of the batch's cosines, identity layer against teacher.
        contrast: Weight of finding one's own teacher vector among many.
        bank: Teacher vectors per step that `contrast` chooses among.
        scale: Inverse temperature of `contrast`.
        temperature: Of the soft output in step 1.
        alpha: Weight of the soft output in step 1.
        centre: How far the identity layer's targets are drawn to their person's mean, 0..1.
        whiten: Closed form at the end: shrinkage of the within-person covariance, 0 for none.
        morphs: Blends of two training faces that the teacher labels, 0 for none.
        morph_batch: Of them per step and process, beside the `batch` faces.
        same_names: Whether a folder's name or number means one person in all sets.
        init: Shipped model or checkpoint folder to begin with, "" for fresh weights.
        keep: How far the weights are drawn back to those of `init` at the end, 0..1.
        bf16: Whether the network computes in bfloat16.
        compiled: Whether torch.compile makes the network first, for long runs on a GPU.
        direct: Baseline: regress the raw teacher, skip step 1.
        labels_only: Baseline: class loss alone.
        qat: Last, teach the student to bear int8 (quantisation-aware training).
        qat_epochs: Passes of that.
        qat_lr: Highest learning rate of that, by AdamW.
        holdout: People kept out of training, to judge settings on; at most a quarter of all.
        flip: Probability of mirroring.
        shift: Largest shift, part of the width.
        zoom: Largest change of scale.
        light: Largest change of brightness and contrast.
        blur: Largest blur, pixels of the shrunk face.
    """

    size: int = 16
    base: int = 0
    smallest: int = 0
    epochs: int = 30
    adapt_epochs: int = 25
    batch: int = 128
    lr: float = 0.1
    optimiser: str = "sgd"
    weight_decay: float = 5e-4
    average: float = 0.0
    class_pictures: int = 3
    classes: float = 0.1
    class_bank: int = 0
    mimic: float = 20.0
    identity: float = 0.0
    relation: float = 0.0
    contrast: float = 0.0
    bank: int = 4096
    scale: float = 20.0
    temperature: float = 4.0
    alpha: float = 1.0
    centre: float = 0.0
    whiten: float = 0.0
    morphs: int = 0
    morph_batch: int = 128
    same_names: bool = False
    init: str = ""
    keep: float = 0.0
    bf16: bool = False
    compiled: bool = False
    direct: bool = False
    labels_only: bool = False
    qat: bool = False
    qat_epochs: int = 2
    qat_lr: float = 3e-5
    holdout: int = 200
    flip: float = 0.5
    shift: float = 0.03
    zoom: float = 0.04
    light: float = 0.15
    blur: float = 0.4

    def __post_init__(self) -> None:
        """Refuse what cannot be meant before anything is read, written or trained."""
        check_optimiser(self.optimiser)
        check_ranges(self, RANGES)
        taught = ("classes",) if self.labels_only else LOSSES
        if not any(getattr(self, name) > 0 for name in taught):
            raise UsageError(f"no loss is left: set one of {', '.join(taught)} above 0")
        if self.keep and not self.init:
            raise UsageError("keep draws back to the weights of init; set init, or leave keep at 0")
        if self.smallest > self.size:
            raise UsageError(
                f"smallest is 0 or a size from 1 to size={self.size}, found {self.smallest}"
            )
        if 0 < self.base < self.size:
            raise UsageError(f"base is 0 or at least size={self.size}, found {self.base}")


class Bridge:
    """The plug-in."""

    aliases = ()
    extra = "train"
    requires = ("torch", "safetensors")
    students = ("bridge-face", "bridge-face-plus")
    needs = ("public",)
    settings = Settings

    def steps(self, settings: Settings) -> str:
        """Return what `run` will do, with its epochs and the settings that decide them."""
        adapts = settings.mimic > 0 and not settings.direct and not settings.labels_only
        steps = [f"distil, {settings.epochs} epochs (epochs)"]
        if adapts:
            both = f"two times {settings.adapt_epochs} epochs (adapt_epochs)"
            steps.insert(0, f"adapt the teacher's embedding, {both}")
        if settings.qat:
            steps.append(f"learn to bear int8, {settings.qat_epochs} epochs (qat_epochs)")
        return "; ".join(steps)

    def run(self, settings: Settings, context: RunContext) -> RunResult:
        """Train: data, teacher, adapt, distil, whiten, bear int8, judge, save."""
        from edgesdk_training.checkpoint import draw_back
        from edgesdk_training.distiller import distil
        from edgesdk_training.faces import load_faces
        from edgesdk_training.qat import quantise_aware
        from edgesdk_training.whiten import whiten

        student = plugins.load(plugins.STUDENTS, context.student)
        config = student.config(size=settings.size)
        # Read first: a wrong name is told now, not after the adapter's epochs.
        begin = context.beginning(settings.init)
        faces = load_faces(context, settings.base or base_side(settings.size), settings)
        model = student.build(config)
        check_classes(settings, faces)
        target = self.targets(settings, context, faces, model.mimic_width)
        model = self.first_weights(settings, context, faces, model.to(context.device), begin)
        model = distil(settings, context, faces, target, model)
        # Of weights that are drawn back it would tell nothing, nor where nothing taught it.
        told = settings.identity > 0 and not settings.labels_only and not settings.keep
        likeness = faces.likeness(model, settings.size) if told else {}
        if settings.whiten:
            whiten(model, faces, settings)
        model, rounded = student.folded(model), {}
        if begin is not None and settings.keep:
            draw_back(model, begin, settings.keep)
        if settings.qat:
            rounded = quantise_aware(settings, context, faces, model)
        metrics = likeness | faces.judge(model, settings.size) | rounded
        return leave(
            context, "bridge", settings, config, model,
            data=faces.name, metrics=metrics, begun={"init": begin},
            teacher=faces.teacher, pictures=len(faces.train),
        )  # fmt: skip

    def first_weights(
        self, settings: Settings, context: RunContext, faces: Any, model: Any,
        begin: Checkpoint | None,
    ) -> Any:  # fmt: skip
        """Return the student before step 2: fresh, or as `begin` left it."""
        if begin is None:
            return faces.fresh(model)
        from edgesdk_training.checkpoint import warm_start

        return warm_start(model, begin, faces.sample(settings.size, context.seed))

    def targets(self, settings: Settings, context: RunContext, faces: Any, width: int) -> Any:
        """Return what the mimic layer regresses: unit rows [N, width]; None for nothing."""
        from edgesdk_training.adapter import adapted
        from edgesdk_training.losses import centred, in_width

        if settings.labels_only or not settings.mimic:
            return None
        if settings.direct:
            return in_width(faces.features, width, context.seed)
        return centred(adapted(settings, context, faces, width))


def check_classes(settings: Settings, faces: Any) -> None:
    """Refuse what needs people with names where fewer than two have pictures enough.

    Raises:
        UsageError: labels are the only teacher, or whitening is asked for.
    """
    others = () if settings.labels_only else LOSSES[1:]
    alone = settings.classes > 0 and not any(getattr(settings, name) > 0 for name in others)
    if faces.classes < 2 and (alone or settings.whiten):
        asked = "labels alone" if alone else "whiten"
        raise UsageError(
            f"{asked} was asked for, but {faces.name} has {faces.classes} people with "
            f"{settings.class_pictures} pictures or more to train on; give more people, or set "
            "class_pictures lower, whiten=0 and a loss that needs no names (identity=20)"
        )


def base_side(size: int) -> int:
    """Return the side at which pictures are kept: twice a small input, a larger one's own."""
    return 2 * size if size < 24 else max(48, size)


PLUGIN: Recipe = Bridge()
