"""De-occlusion distillation: complete a masked face, then recognise it as a big network would bare.

Independent implementation from the published description (arXiv 2409.12385, ACM MM 2020):
the networks' roles and the terms' names are published, the forms, weights and the schedule are
our own choice. Two steps:

1. Complete: masks are pasted on public faces; a segmenter finds them, a generator with
   contextual attention draws what they hide, a discriminator tells drawn from real. Then
   both are frozen.
2. Distil: the recogniser sees completed faces and answers what the teacher answers to the
   bare ones: the same face's answer (`centre=0`, hard), or its person's mean (`centre=1`,
   soft), with relations of pairs and triplets, of features and of predictions.

Baselines by setting: `complete_epochs=0` leaves the completion out (as MaskInv does: Huber et
al. 2021, with `classes` and `identity`), `labels_only=true` drops every distillation term.

    edgesdk train deocclusion --data public=faces.tar --data images=mask_templates.tar

The templates are optional: without them all masks are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError
from edgesdk_training.leave import leave
from edgesdk_training.loop import check_optimiser
from edgesdk_training.settings import ABOVE_0, MOST_AT_ONCE, check_ranges

if TYPE_CHECKING:
    from pathlib import Path

    from edgesdk.core.bundle import Checkpoint
    from edgesdk.core.protocols import Recipe, RunContext, RunResult

LOSSES = (
    "classes", "identity", "relation", "pair", "triplet", "contrast", "predictions", "beside",
)  # fmt: skip
COMPLETION = ("hidden", "visible", "segment", "perceptual", "adversarial")
RANGES = {
    **dict.fromkeys(
        ("epochs", "complete_epochs", "assistant_epochs", "base", "class_bank", "holdout"), (0, inf)
    ),
    "batch": (1, MOST_AT_ONCE),
    **dict.fromkeys(("class_pictures", "bank", "occluders"), (1, inf)),
    **dict.fromkeys((*LOSSES, *COMPLETION, "weight_decay", "whiten", "light", "blur"), (0, inf)),
    **dict.fromkeys(("lr", "complete_lr", "assistant_lr", "scale"), (ABOVE_0, inf)),
    **dict.fromkeys(("centre", "flip", "share", "keep"), (0, 1)),
    **dict.fromkeys(("shift", "zoom"), (0, 0.5)),
    "turn": (0, 180),
    "average": (0, 0.999999),
}
# Side in pixels at which pictures are kept unless `base` says otherwise.
KEPT_SIDE = 64
# Of the names of the recogniser's tensors in a masked-face.
PART = "recogniser."
# Pictures that a completion is judged on, at most.
MOST_JUDGED = 500

# Faces whose largest answers tell how the channels of a MobileFaceNet are made alike, at most.
MOST_LOOKED_AT = 128


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of `deocclusion`.

    Attributes:
        size: Side of the student's input in pixels.
        base: Side at which pictures are kept in memory and varied; 0 for 64.
        deep: Whether the recogniser has a deeper branch beside the trunk of bridge-face-plus.
        aside: Whether the completion is only shown: the recogniser reads the face as it came.
        mobile: Whether the recogniser is a MobileFaceNet, begun with `init` and read at 112 px
            beside a completion that `completion` brings.
        tail: Whether only its layers behind the middle learn.
        gated: Which faces small layers beside those correct: "masked", and nothing else learns, so
            that bare ones are answered as before; "bare", along with the others; "" for none.
        mirrored: Whether the student answers with the mean of a face and its mirror image.
        complete_epochs: Passes of step 1; 0 for no completion, or that of `completion` as it is.
        complete_lr: Highest learning rate of step 1, by AdamW.
        hidden: Weight of the mean absolute error of what is drawn where the face is hidden.
        visible: The same elsewhere.
        segment: Weight of the mask's cross-entropy.
        perceptual: Weight of what a small face network sees in the completed and the bare face.
        adversarial: Weight of the discriminator's verdict, 0 for none.
        epochs: Passes of step 2.
        batch: Faces per step and process.
        lr: Highest learning rate of step 2; with muon of kernels, ten times that of the rest.
        optimiser: sgd, adamw or muon, of step 2.
        weight_decay: Of kernels and matrices, in step 2.
        average: Decay of the averaged weights, 0 for none, in step 2.
        share: Part of the faces that is hidden.
        occluders: Number of occluders drawn before training.
        unseen: Kind of template kept out of training, to judge the segmenter on; "" for none.
        class_pictures: Least pictures of an identity that becomes a class.
        classes: Weight of the class loss.
        class_bank: Classes drawn per step to tell a face's own class from, 0 for all.
        identity: Weight of the instance term, first order.
        relation: Weight of the batch's cosines, student against teacher.
        pair: Weight of the batch's distances, second order.
        triplet: Weight of the batch's angles, third order.
        contrast: Weight of telling each face's own teacher vector from `bank` others.
        predictions: Weight of what both sides take a face for, among the teacher's vectors.
        beside: Weight of telling what SFace, a second teacher, says of the bare face, through a
            linear layer that is left out afterwards.
        assistant_epochs: Passes in which a copy of SFace learns to say that of the masked face; the
            recogniser is then told what this assistant says of the same masked face, 0 for none.
        assistant_lr: Highest learning rate of them, by AdamW.
        bank: Teacher vectors per step that `contrast` and `predictions` choose among.
        scale: Inverse temperature of both.
        centre: How far targets are drawn to their person's mean: 0 hard, 1 soft.
        keep: How far a MobileFaceNet is drawn back, at the end, to the weights it began with
            (Wortsman et al. 2022), 0 for not at all.
        alike: Whether its channels are then made alike, for 8 bits; `draw_back` wants them not.
        whiten: Closed form at the end: shrinkage of the within-person covariance of bare and
            masked faces, 0 for none.
        labels_only: Baseline: class loss alone.
        same_names: Whether a folder's name or number means one person in all sets.
        init: Shipped model or checkpoint folder whose recogniser to begin with: a masked-face or
            a bridge-face-plus; "" for fresh ones.
        completion: Masked-face, shipped or a folder, whose completion to begin with; "" for a
            fresh one.
        bf16: Whether the networks compute in bfloat16.
        holdout: People kept out of training, to judge settings on; at most a quarter of all.
        flip: Probability of mirroring.
        shift: Largest shift, part of the width.
        zoom: Largest change of scale.
        turn: Largest turn in degrees, of what the recogniser learns on: points are found less
            surely behind masks, and so is how a face is turned.
        light: Largest change of brightness and contrast.
        blur: Largest blur before pasting, pixels of the shrunk face; after it twice as much.
    """

    size: int = 112
    base: int = 0
    deep: bool = True
    aside: bool = False
    mobile: bool = False
    tail: bool = True
    gated: str = ""
    mirrored: bool = False
    complete_epochs: int = 2
    complete_lr: float = 2e-3
    hidden: float = 1.0
    visible: float = 0.5
    segment: float = 1.0
    perceptual: float = 0.05
    adversarial: float = 0.01
    epochs: int = 5
    batch: int = 128
    lr: float = 0.01
    optimiser: str = "muon"
    weight_decay: float = 5e-4
    average: float = 0.0
    share: float = 0.6
    occluders: int = 3000
    unseen: str = "KN95"
    class_pictures: int = 3
    classes: float = 0.5
    class_bank: int = 1024
    identity: float = 20.0
    relation: float = 0.0
    pair: float = 0.0
    triplet: float = 0.0
    contrast: float = 0.0
    predictions: float = 0.0
    beside: float = 0.0
    assistant_epochs: int = 0
    assistant_lr: float = 2e-4
    bank: int = 1024
    scale: float = 20.0
    centre: float = 0.5
    keep: float = 0.0
    alike: bool = True
    whiten: float = 1.0
    labels_only: bool = False
    same_names: bool = True
    init: str = ""
    completion: str = ""
    bf16: bool = False
    holdout: int = 200
    flip: float = 0.5
    shift: float = 0.03
    zoom: float = 0.04
    turn: float = 0.0
    light: float = 0.15
    blur: float = 0.4

    # What step 2 shares with `bridge`, which has more to choose from.
    mimic: ClassVar[float] = 0.0
    smallest: ClassVar[int] = 0
    morphs: ClassVar[int] = 0
    compiled: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse what cannot be meant before anything is read, written or trained."""
        check_optimiser(self.optimiser)
        check_ranges(self, RANGES)
        taught = ("classes",) if self.labels_only else LOSSES
        if not any(getattr(self, name) > 0 for name in taught):
            raise UsageError(f"no loss is left: set one of {', '.join(taught)} above 0")
        if self.assistant_epochs and not self.beside:
            raise UsageError("assistant_epochs teaches one who is told; set beside above 0")
        if self.keep and not self.mobile:
            raise UsageError("keep draws a MobileFaceNet back to what it began with; set mobile")
        if self.gated and (self.keep or not self.mobile):
            raise UsageError("gated corrects what a MobileFaceNet says; set mobile, and keep=0")
        if self.mobile and (self.complete_epochs or not self.aside):
            raise UsageError(
                "mobile=true reads faces as they come, beside a completion that is there; set "
                "aside=true and complete_epochs=0"
            )


class Deocclusion:
    """The plug-in."""

    aliases = ("de-occlusion",)
    extra = "train"
    requires = ("torch", "safetensors")
    students = ("masked-face",)
    needs = ("public", "images")
    settings = Settings

    def run(self, settings: Settings, context: RunContext) -> RunResult:
        """Train: data, occluders, completion, recogniser, whiten, judge, save."""
        from edgesdk_training.checkpoint import draw_back
        from edgesdk_training.completion import teach_completion
        from edgesdk_training.distiller import distil
        from edgesdk_training.nets.alike import make_alike

        student = plugins.load(plugins.STUDENTS, context.student)
        complete = bool(settings.complete_epochs or settings.completion)
        config = student.config(
            size=settings.size, complete=complete, deep=settings.deep and not settings.mobile,
            aside=settings.aside, mobile=settings.mobile, gated=settings.gated,
            mirrored=settings.mirrored,
        )  # fmt: skip
        if settings.mobile and not settings.init:
            raise UsageError("mobile=true begins with weights of others; set init to their folder")
        # Read first: a wrong name is told now, not after an epoch.
        begin = context.checkpoint(settings.init) if settings.init else None
        brought = context.checkpoint(settings.completion) if settings.completion else None
        ready = self.completion(settings, context, brought)
        faces = self.faces(settings, context)
        model = faces.fresh(student.build(config)).to(context.device)
        if ready is not None:
            model.segmenter, model.generator = ready.segmenter, ready.generator
        if settings.complete_epochs:
            teach_completion(settings, context, faces, model)
        if complete and (settings.gated or not settings.aside):
            faces = faces.behind(model)
        self.begin(settings, faces, model.recogniser, begin)
        beside = self.beside(settings, context)
        assistant, aided = self.assistant(settings, context, faces, beside)
        distil(settings, context, faces, None, model.recogniser, beside, assistant)
        if begin is not None and settings.keep:
            draw_back(model.recogniser, begin, settings.keep, PART)
        if settings.whiten:
            faces.whiten(model.recogniser, settings.whiten)
        model = student.folded(model)
        alike = settings.mobile and settings.alike
        if alike:
            make_alike(model.recogniser, faces.sample(settings.size, context.seed, MOST_LOOKED_AT))
        metrics, shown = judged(context, model, faces)
        metrics |= aided
        return leave(
            context, "deocclusion", settings, config, model,
            data=faces.name, metrics=metrics, artefacts=shown,
            begun={"init": begin, "completion": brought},
            teacher=faces.teacher, pictures=len(faces.train),
            occluders=sorted({*faces.bank.kinds, *faces.unseen.kinds}), alike=alike,
        )  # fmt: skip

    def completion(self, settings: Settings, context: RunContext, stored: Checkpoint | None) -> Any:
        """Return the network whose completion is taken over, None where one is taught or none is.

        Raises:
            UsageError: it has no completion, or works at another size.
        """
        if stored is None:
            return None
        student = plugins.load(plugins.STUDENTS, stored.student)
        found = student.load(stored).to(context.device)
        size = stored.student_config["size"]
        if getattr(found, "segmenter", None) is None or size != settings.size:
            raise UsageError(
                f"completion={settings.completion} is a {stored.student} of {size} px; give a "
                f"masked-face of {settings.size} px that completes faces"
            )
        return found

    def faces(self, settings: Settings, context: RunContext) -> Any:
        """Return the public faces and what hides them."""
        from edgesdk_training.faces import load_faces
        from edgesdk_training.masked import masked_faces
        from edgesdk_training.nets.masked_face import work_side
        from edgesdk_training.occluders import draw_bank, read_templates

        templates = [t for path in context.paths("images") for t in read_templates(path)]
        side = settings.size if settings.mobile else work_side(settings.size)
        bank = draw_bank(templates, side, settings.occluders, context.seed).to(context.device)
        base = max(settings.base or KEPT_SIDE, side)
        # A MobileFaceNet is taught what it says itself; what a pack brings is SFace's.
        faces = load_faces(context, base, settings, stored=not settings.mobile)
        return masked_faces(
            faces,
            bank=bank.only(lambda kind: kind != settings.unseen),
            unseen=bank.only(lambda kind: kind == settings.unseen),
            share=settings.share,
            side=side,
            whole=None,
            bf16=settings.bf16,
            turn=settings.turn,
        )

    def beside(self, settings: Settings, context: RunContext) -> Any:
        """Return what the second teacher says of all faces, unit rows [N, K], or None."""
        import torch

        from edgesdk_training.faces import all_rows
        from edgesdk_training.losses import centred

        if not settings.beside or settings.labels_only:
            return None
        rows = all_rows(context, context.teacher("sface", exact=True))
        return centred(torch.from_numpy(rows).float().to(context.device))

    def assistant(
        self, settings: Settings, context: RunContext, faces: Any, told: Any
    ) -> tuple[Any, dict[str, float]]:
        """Return who tells of masked faces, and how well it does; None and nothing for nobody."""
        from edgesdk_training.assistant import teach_assistant

        if told is None or not settings.assistant_epochs:
            return None, {}
        return teach_assistant(settings, context, faces, told)

    def begin(
        self, settings: Settings, faces: Any, recogniser: Any, begin: Checkpoint | None
    ) -> None:
        """Give the recogniser the first weights that `init` names, in place."""
        if begin is None:
            return
        mobile = bool(begin.student_config.get("mobile"))
        if begin.student not in ("masked-face", "bridge-face-plus") or mobile != settings.mobile:
            wanted = "mobile masked-face" if settings.mobile else "masked-face or bridge-face-plus"
            found = "mobile " * mobile + begin.student
            raise UsageError(f"init={settings.init} is a {found}; give a {wanted}")
        if mobile:
            self.taken_over(settings, recogniser, begin)
        else:
            self.grown(settings, faces, recogniser, begin)

    def taken_over(self, settings: Settings, recogniser: Any, begin: Checkpoint) -> None:
        """Give a MobileFaceNet its first weights; say which of its layers learn."""
        from edgesdk_training.checkpoint import load_weights

        fresh = frozenset(k for k in recogniser.state_dict() if k.startswith("corrections."))
        load_weights(recogniser, begin, fresh, prefix=PART)
        if settings.gated == "masked":
            recogniser.requires_grad_(False)
            recogniser.corrections.requires_grad_(True)
        else:
            recogniser.front.requires_grad_(not settings.tail)

    def grown(self, settings: Settings, faces: Any, recogniser: Any, begin: Checkpoint) -> None:
        """Give a recogniser the weights of one that is as deep as it, or is not."""
        from edgesdk_training.checkpoint import warm_start
        from edgesdk_training.nets.masked_face import Recogniser, grow

        prefix = PART if begin.student == "masked-face" else ""
        deep = bool(prefix) and begin.student_config["deep"]
        trained = faces.fresh(Recogniser(faces.side, deep)).to(faces.pictures.device)
        warm_start(trained, begin, faces.sample(settings.size, faces.seed), prefix)
        if deep == settings.deep:
            recogniser.load_state_dict(trained.state_dict())
        else:
            grow(recogniser, trained)


def judged(context: RunContext, model: Any, faces: Any) -> tuple[dict[str, float], dict[str, Path]]:
    """Return what the folded network is worth on people held out, and pictures of its work."""
    from edgesdk_training.completion import judge_completion, write_samples

    metrics = faces.verify(model.recogniser)
    if model.generator is None:
        return metrics, {}
    items, samples = faces.unknown(MOST_JUDGED), context.folder / "samples.png"
    metrics |= judge_completion(model, faces, items)
    if context.rank == 0:
        write_samples(samples, model, faces, items)
    return metrics, {"samples": samples}


PLUGIN: Recipe = Deocclusion()
