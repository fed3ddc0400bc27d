"""Bridge distillation: a compact student of tiny faces inherits from a big face network.

Independent implementation from the published description (arXiv 2409.11786, IEEE TIP
2020): the networks' roles and the losses' names are published, the losses' forms, weights
and the schedule are our own choice. Two steps:

1. Adapt: on public faces, a softmax classifier reads the teacher's embedding (soft
   output); a stack of narrowing layers makes a compact adapted embedding, taught by
   the labels and by that soft output.
2. Distil: the student sees the same faces small and degraded; its mimic layer regresses
   the adapted embedding, its identity layer learns the labels.

Baselines by setting: `direct=true` regresses the raw teacher embedding, turned into the
mimic layer's dimensions, and skips step 1; `labels_only=true` drops every distillation
term. The terms `identity`, `relation` and `contrast` are ours: they act on the identity
layer, against the teacher's own embedding.

    edgesdk train bridge --data public=faces.tar --set size=16 --set epochs=30
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError
from edgesdk.core.protocols import RunResult

if TYPE_CHECKING:
    from edgesdk.core.protocols import Recipe, RunContext

LICENCE = {
    "weights": "research-only; trained on pictures that allow research alone",
    "data": "see provenance.data: research, non-commercial",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of `bridge`.

    Attributes:
        size: Side of the student's input in pixels.
        base: Side at which pictures are kept in memory and varied; 0 chooses.
        epochs: Passes of step 2.
        adapt_epochs: Passes of step 1.
        batch: Faces per step and process.
        lr: Highest learning rate of step 2.
        optimiser: sgd or adamw.
        weight_decay: Of kernels and matrices.
        average: Decay of the averaged weights, 0 for none.
        class_pictures: Least pictures of an identity that becomes a class.
        classes: Weight of the class loss.
        mimic: Weight of the regression of the mimic layer.
        identity: Weight of the regression of the identity layer to the teacher itself.
        relation: Weight of the batch's cosines, identity layer against teacher.
        contrast: Weight of finding one's own teacher vector among many.
        bank: Teacher vectors per step that `contrast` chooses among.
        scale: Inverse temperature of `contrast`.
        temperature: Of the soft output in step 1.
        alpha: Weight of the soft output in step 1.
        direct: Baseline: regress the raw teacher, skip step 1.
        labels_only: Baseline: class loss alone.
        holdout: People kept out of training, to judge settings on; at most a quarter of all.
        flip: Probability of mirroring.
        shift: Largest shift, part of the width.
        zoom: Largest change of scale.
        turn: Largest rotation, radians.
        light: Largest change of brightness and contrast.
        blur: Largest blur, pixels of the shrunk face.
    """

    size: int = 16
    base: int = 0
    epochs: int = 30
    adapt_epochs: int = 25
    batch: int = 128
    lr: float = 0.1
    optimiser: str = "sgd"
    weight_decay: float = 5e-4
    average: float = 0.0
    class_pictures: int = 3
    classes: float = 0.1
    mimic: float = 20.0
    identity: float = 0.0
    relation: float = 0.0
    contrast: float = 0.0
    bank: int = 4096
    scale: float = 20.0
    temperature: float = 4.0
    alpha: float = 1.0
    direct: bool = False
    labels_only: bool = False
    holdout: int = 200
    flip: float = 0.5
    shift: float = 0.03
    zoom: float = 0.04
    turn: float = 0.05
    light: float = 0.15
    blur: float = 0.4


class Bridge:
    """The plug-in."""

    aliases = ()
    extra = "train"
    requires = ("torch", "safetensors")
    students = ("bridge-face",)
    needs = ("public",)
    settings = Settings

    def run(self, settings: Settings, context: RunContext) -> RunResult:
        """Train: data, teacher, adapt, distil, judge, save."""
        from edgesdk_training.checkpoint import save_checkpoint
        from edgesdk_training.faces import load_faces

        student = plugins.load(plugins.STUDENTS, context.student)
        config = student.config(size=settings.size)
        faces = load_faces(context, settings.base or base_side(settings.size), settings)
        target = None if settings.labels_only else self.targets(settings, context, faces)
        model = self.distil(settings, context, faces, target, student.build(config))
        metrics = faces.judge(student.folded(model), settings.size)
        folder = context.folder / "checkpoint"
        if context.rank == 0:
            save_checkpoint(
                folder,
                context.student,
                student,
                config,
                model,
                licence=LICENCE,
                provenance={
                    "recipe": "bridge",
                    "recipe_sha256": context.recipe_sha256,
                    "settings": asdict(settings),
                    "teacher": faces.teacher,
                    "data": faces.name,
                    "pictures": len(faces.train),
                    "seed": context.seed,
                },
                metrics=metrics,
            )
        return RunResult(context.folder, checkpoints={"student": folder}, metrics=metrics)

    def targets(self, settings: Settings, context: RunContext, faces: Any) -> Any:
        """Return what the mimic layer regresses: unit rows [N, 512]."""
        from edgesdk_training.losses import centred, in_width
        from edgesdk_training.nets.bridge_face import MIMIC

        if settings.direct:
            return in_width(faces.features, MIMIC, context.seed)
        return centred(self.adapt(settings, context, faces))

    def adapt(self, settings: Settings, context: RunContext, faces: Any) -> Any:
        """Step 1: adapt the teacher to the public faces; return rows [N, 512]."""
        import torch
        import torch.nn.functional as F
        from torch import nn

        from edgesdk_training.loop import Plan, fit
        from edgesdk_training.losses import softened
        from edgesdk_training.nets.bridge_face import MIMIC

        torch.manual_seed(context.seed)
        width, count = faces.features.shape[1], faces.classes
        if count < 2:
            raise UsageError(
                "bridge needs labelled faces: fewer than two identities have "
                f"{settings.class_pictures} pictures; set direct=true or class_pictures lower"
            )
        reader = nn.Linear(width, count)
        adapter = nn.Sequential(
            nn.Linear(width, MIMIC), nn.BatchNorm1d(MIMIC), nn.ReLU(), nn.Linear(MIMIC, MIMIC)
        )
        head = nn.Linear(MIMIC, count)
        items = faces.labelled
        batch = min(256, len(items))

        def draw(order: Any, generator: Any) -> Any:
            chosen = items[order]
            return faces.features[chosen], faces.labels[chosen]

        def read(batch: Any) -> Any:
            loss = F.cross_entropy(20 * reader(batch[0]), batch[1])
            return loss, {}

        def narrow(batch: Any) -> Any:
            with torch.no_grad():
                soft = 20 * reader(batch[0])
            answer = head(adapter(batch[0]))
            hard = F.cross_entropy(answer, batch[1])
            loss = hard + settings.alpha * softened(answer, soft, settings.temperature)
            return loss, {"labels": hard}

        plan = Plan(
            "adapt-a", len(items), settings.adapt_epochs, batch, 1e-2, "adamw", weight_decay=0.0
        )
        fit(context, plan, reader, draw, read)
        both = nn.ModuleList([adapter, head])
        fit(context, replace(plan, phase="adapt-b", lr=2e-3), both, draw, narrow)
        with torch.no_grad():
            return torch.cat([adapter(part) for part in faces.features.split(4096)])

    def distil(
        self, settings: Settings, context: RunContext, faces: Any, target: Any, model: Any
    ) -> Any:
        """Step 2: teach the student; return it, BatchNorm still inside."""
        import torch
        import torch.nn.functional as F
        from torch import nn

        from edgesdk_training import losses
        from edgesdk_training.loop import Plan, fit
        from edgesdk_training.nets.bridge_face import IDENTITY

        torch.manual_seed(context.seed)
        student = faces.fresh(model)
        head = nn.Linear(IDENTITY, max(faces.classes, 1))
        raw = losses.in_width(faces.features, IDENTITY, context.seed)
        train = faces.train

        def draw(order: Any, generator: Any) -> Any:
            chosen = train[order]
            others = train[torch.randint(len(train), (settings.bank,), generator=generator)]
            return faces.batch(chosen, settings.size, generator), chosen, others

        def loss(batch: Any) -> Any:
            pictures, chosen, others = batch
            mimic, identity = student.heads(pictures)
            terms = {
                "classes": settings.classes * _class_loss(head(identity), faces.labels[chosen])
            }
            if not settings.labels_only:
                wanted = raw[chosen]
                terms["mimic"] = settings.mimic * losses.regression(mimic, target[chosen])
                if settings.identity:
                    terms["identity"] = settings.identity * losses.regression(identity, wanted)
                if settings.relation:
                    terms["relation"] = settings.relation * losses.relation(identity, wanted)
                if settings.contrast:
                    bank = torch.cat([wanted, raw[others]])
                    index = torch.arange(len(wanted))
                    found = losses.contrast(identity, bank, index, settings.scale)
                    terms["contrast"] = settings.contrast * found
            return sum(terms.values()), terms

        def _class_loss(answer: Any, labels: Any) -> Any:
            known = labels >= 0
            if not known.any():
                return answer.sum() * 0
            return F.cross_entropy(answer[known], labels[known])

        plan = Plan(
            "distil", len(train), settings.epochs, min(settings.batch, len(train)), settings.lr,
            settings.optimiser, settings.weight_decay, average=settings.average,
        )  # fmt: skip
        fit(context, plan, nn.ModuleDict({"student": student, "head": head}), draw, loss)
        return student


def base_side(size: int) -> int:
    """Return the side at which pictures are kept: three times the input, at most its need."""
    return max(48, size)


PLUGIN: Recipe = Bridge()
