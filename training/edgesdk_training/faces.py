"""Public faces in memory: pictures, classes, the teacher's embeddings and people held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.notes import note
from edgesdk.core.tensors import Array
from edgesdk_training.augment import Augmentation, augment, shrink
from edgesdk_training.data import decode, parts_of, people
from edgesdk_training.holdout import Holdout, hold_out
from edgesdk_training.morphs import Morphs, draw_morphs

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from edgesdk.core.protocols import RunContext

SIZES_PER_BATCH = 4


@dataclass(frozen=True, slots=True)
class Faces:
    """Everything about the public faces that training asks for.

    Attributes:
        pictures: uint8 [N, S, S, 3].
        morphs: M blends of the training pictures, numbered from N on; None for none.
        features: Unit embeddings of the teacher, [N + M, K].
        labels: Class per picture, -1 for none, [N + M].
        classes: Number of classes.
        train: Indices of the pictures to train on.
        labelled: Those of them that have a class.
        held: People kept out, None for none.
        how: Ranges of augmentation.
        smallest: Smallest face shown in pixels, 0 for the student's size alone.
        teacher: Name of the teacher.
        name: Names of the data sets.
        seed: Seed of the student's first weights.
    """

    pictures: Tensor
    morphs: Morphs | None
    features: Tensor
    labels: Tensor
    classes: int
    train: Tensor
    labelled: Tensor
    held: Holdout | None
    how: Augmentation
    smallest: int
    teacher: str
    name: str
    seed: int

    def batch(self, chosen: Tensor, size: int, generator: Generator) -> Tensor:
        """Return varied inputs of the student, [B, 3, size, size] in -1..1.

        With `smallest`, each part of the batch is seen at a size of its own and enlarged.

        Args:
            chosen: Numbers of pictures and morphs [B].
            size: Side of the student's input.
            generator: Decides everything random, on the device of the pictures.
        """
        import torch

        pictures = self._look(chosen)
        if not self.smallest:
            return augment(pictures, size, self.how, generator) / 127.5 - 1
        views, device = [], generator.device
        for part in pictures.chunk(SIZES_PER_BATCH):
            seen = torch.randint(self.smallest, size + 1, (), generator=generator, device=device)
            views.append(shrink(augment(part, int(seen), self.how, generator), size))
        return torch.cat(views) / 127.5 - 1

    def _look(self, chosen: Tensor) -> Tensor:
        """Return pictures and morphs by number, uint8 [B, S, S, 3]."""
        import torch

        if self.morphs is None:
            return self.pictures[chosen]
        pictures = self.pictures[chosen.clamp_max(len(self.pictures) - 1)]
        number = chosen - len(self.pictures)
        blends = self.morphs.blend(number.clamp_min(0))
        return torch.where(number[:, None, None, None] < 0, pictures, blends)

    def sample(self, size: int, seed: int, count: int = 512) -> Tensor:
        """Return inputs of some training faces, [count, 3, size, size] in -1..1."""
        import torch

        device = self.pictures.device
        generator = torch.Generator(device).manual_seed(seed)
        place = torch.randint(len(self.train), (count,), generator=generator, device=device)
        return self.batch(self.train[place], size, generator)

    def fresh(self, module: Any) -> Any:
        """Return `module` with weights that follow from the seed alone."""
        import torch

        torch.manual_seed(self.seed)
        for part in module.modules():
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()
        return module

    def embed(self, module: Any, chosen: Array, size: int) -> Array:
        """Return the embeddings of un-augmented pictures, as a device would make them."""
        import torch

        rows = []
        with torch.no_grad():
            for part in torch.from_numpy(chosen).to(self.pictures.device).split(512):
                picture = self.pictures[part].permute(0, 3, 1, 2).float()
                rows.append(module(shrink(picture, size).round() / 127.5 - 1).numpy(force=True))
        return np.concatenate(rows)

    def likeness(self, model: Any, size: int) -> dict[str, float]:
        """Return holdout_cosine: of the identity layer to the teacher's centred embedding.

        It tells runs apart that differ by less than their accuracies' error.
        """
        import torch
        from torch.nn.functional import normalize

        from edgesdk_training.losses import in_width

        if self.held is None:
            return {}
        model.eval()
        items = self.held.items
        rows = torch.from_numpy(self.embed(lambda x: model.heads(x)[1], items, size))
        features = self.features[: len(self.pictures)].cpu()
        wanted = in_width(features, rows.shape[1], self.seed)[torch.from_numpy(items)]
        return {"holdout_cosine": float((normalize(rows) * wanted).sum(1).mean())}

    def judge(self, module: Any, size: int) -> dict[str, float]:
        """Return holdout_accuracy and holdout_auc of a folded module; nothing without people."""
        if self.held is None:
            return {}
        found = self.held.judge(lambda items: self.embed(module, items, size))
        return {"holdout_accuracy": found.accuracy, "holdout_auc": found.auc}


def load_faces(context: RunContext, side: int, settings: Any, stored: bool = True) -> Faces:
    """Read the public faces, ask the teacher where the set brings no embeddings, split.

    Args:
        context: Of the run.
        side: Side at which pictures are kept.
        settings: Fields holdout, class_pictures, same_names, smallest, morphs and those of
            Augmentation.
        stored: Whether what a set brings is what the teacher says; else all of it is asked.
    """
    import torch

    dataset = context.data("public")
    # Before the teacher's long work: it may be that nobody can tell who is who.
    identities = np.asarray(people(dataset) if settings.same_names else dataset.identities)
    features, teacher = _features(context, dataset, settings, stored)
    held = hold_out(identities, settings.holdout, context.seed) if settings.holdout else None
    free = np.ones(len(dataset), bool)
    if held is not None:
        free[held.items] = False
    if context.rank == 0:
        _tell(held, dataset)
    if free.sum() < 2:
        raise UsageError(f"{dataset.name} holds too few faces to train on; give more data")
    labels, classes = _classes(np.where(free, identities, -1), settings.class_pictures)
    ranges = {k: getattr(settings, k) for k in Augmentation.__dataclass_fields__}
    decoded, sides = decode(dataset, side, context.progress)
    pictures = torch.from_numpy(decoded).to(context.device)
    train = np.flatnonzero(free)
    morphs, features, labeller = _morphs(
        context, settings, pictures, _sharp(train, sides, settings), features
    )
    labels = np.pad(labels, (0, settings.morphs), constant_values=-1)
    return Faces(
        pictures=pictures,
        morphs=morphs,
        features=torch.from_numpy(features).to(context.device),
        labels=torch.from_numpy(labels).to(context.device),
        classes=classes,
        train=torch.from_numpy(train).to(context.device),
        labelled=torch.from_numpy(np.flatnonzero(labels >= 0)).to(context.device),
        held=held if held is not None and len(held.same) else None,
        how=Augmentation(**ranges),
        smallest=settings.smallest,
        teacher=f"{teacher}; morphs by {labeller}" if morphs else teacher,
        name=dataset.name,
        seed=context.seed,
    )


def _tell(held: Holdout | None, dataset: Any) -> None:
    """Tell who is held out: numbers of drawn faces tell nothing of real ones."""
    count = 0 if held is None else len(np.unique(np.asarray(dataset.identities)[held.items]))
    artificial = all(p.name == "synthetic" for p in parts_of(dataset))
    drawn = " (drawn faces, not photos)" if artificial else ""
    note(f"held out: {count or 'no'} people of {dataset.name}{drawn}")


def _features(context: Any, dataset: Any, settings: Any, stored: bool) -> tuple[Array, str]:
    """Return the embeddings a set brings, completed by the teacher, and the teacher's name."""
    if stored and all(p.embeddings is not None for p in parts_of(dataset)):
        if context.named_teacher and not settings.morphs:
            raise UsageError(
                f"{dataset.name} brings a teacher's embeddings, so --teacher "
                f"{context.named_teacher} would not be asked; leave it out, or give pictures alone"
            )
        return dataset.embeddings.astype(np.float32), "as stored with the pictures"
    teacher = context.teacher("sface")
    return all_rows(context, teacher, stored), teacher.name


def all_rows(context: Any, teacher: Any, stored: bool = True) -> Array:
    """Return unit rows [N, D] of the public faces: those a set brings if `stored`, else asked for.

    Raises:
        UsageError: the stored ones are not as long as the teacher's.
    """
    rows = [
        p.embeddings if stored and p.embeddings is not None else context.embeddings(teacher, p)
        for p in parts_of(context.data("public"))
    ]
    widths = {r.shape[1] for r in rows}
    if len(widths) > 1:
        raise UsageError(
            f"stored embeddings and {teacher.name} have unlike lengths {sorted(widths)}; "
            "use the teacher that made the pack"
        )
    return np.concatenate(rows).astype(np.float32)


def _sharp(train: Array, sides: Array, settings: Any) -> Array:
    """Return the pictures as large as the student's input: enlarged ones teach it blur.

    All of them where fewer than two are.
    """
    large = train[sides[train] >= settings.size]
    return large if len(large) > 1 else train


def _morphs(
    context: Any, settings: Any, pictures: Tensor, among: Array, features: Array
) -> tuple[Morphs | None, Array, str]:
    """Return the morphs asked for, `features` with those of the morphs below, and their teacher."""
    if not settings.morphs:
        return None, features, ""
    morphs = draw_morphs(pictures, among, settings.morphs, context.seed)
    teacher = context.teacher("sface-bf16")
    rows = context.embeddings(teacher, morphs)
    if rows.shape[1] != features.shape[1]:
        raise UsageError(
            f"morphs are labelled by {teacher.name} in {rows.shape[1]} numbers, the pictures have "
            f"{features.shape[1]}; use the teacher that made the pack"
        )
    return morphs, np.concatenate([features, rows]), teacher.name


def _classes(identities: Array, least: int) -> tuple[Array, int]:
    """Return class numbers of identities with `least` pictures, -1 for the others."""
    names, counts = np.unique(identities[identities >= 0], return_counts=True)
    kept = names[counts >= least]
    place = np.searchsorted(kept, identities).clip(max=max(len(kept) - 1, 0))
    known = kept[place] == identities if len(kept) else np.zeros(len(identities), bool)
    return np.where(known, place, -1).astype(np.int64), len(kept)
