"""What the methods share: the private pictures, their teacher, and pictures to ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.files import sha256_bytes, write_atomic
from edgesdk_training import datafree
from edgesdk_training.loop import Plan
from edgesdk_training.shared import shared

if TYPE_CHECKING:
    from edgesdk.core.protocols import RunContext
    from edgesdk.core.tensors import Array
    from edgesdk_training.classes import Classes

# Added to a run's seed, so that its parts draw apart.
ASKED = 7
TEACHER = (
    "teacher_width", "teacher_epochs", "batch", "lr", "optimiser", "weight_decay", "mirror",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Made:
    """A student and what is to be told of it.

    Attributes:
        model: The network, in training form.
        metrics: Measured values.
        ledger: What protects what.
        artefacts: Files that may leave, by name.
    """

    model: Any
    metrics: Mapping[str, float]
    ledger: Mapping[str, Any]
    artefacts: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work:
    """All that the methods share.

    Attributes:
        settings: Of the recipe.
        context: Of the run.
        student: The plug-in.
        config: Of the student.
        data: The private pictures.
    """

    settings: Any
    context: RunContext
    student: Any
    config: Any
    data: Classes

    def fresh(self, add: int) -> Any:
        """Return a student whose first weights follow from the run's seed."""
        import torch

        torch.manual_seed(self.context.seed + add)
        return self.student.build(self.config)

    def plan(self, phase: str, count: int, epochs: int = 0) -> Plan:
        """Return how a classifier is trained."""
        s = self.settings
        return Plan(
            phase, count, epochs or s.epochs, min(s.batch, count), s.lr, s.optimiser, s.weight_decay
        )

    def teacher(self) -> Any:
        """Return the teacher of all private pictures, learnt once for all runs here."""
        import torch

        from edgesdk_training.nets.open_teacher import OpenTeacher

        s, context, data = self.settings, self.context, self.data
        torch.manual_seed(context.seed + 1)
        teacher = OpenTeacher(s.size, len(data.names), s.teacher_width)
        about = {name: getattr(s, name) for name in TEACHER}
        about |= {"data": data.sha256, "seed": context.seed}
        plan = partial(self.plan, epochs=s.teacher_epochs)
        return shared(
            context, "teacher", teacher, about,
            lambda: datafree.learn_classes(
                context, teacher, data, data.train, "teacher", plan, s.mirror
            ),
        )  # fmt: skip

    def pictures(self, teacher: Any) -> Array:
        """Return what is asked, uint8 [queries, S, S, 3]: drawn by a generator, or noise."""
        s, context, gray = self.settings, self.context, self.data.gray
        seed = context.seed + ASKED
        if s.pictures == "noise":
            return datafree.noise_pictures(s.queries, s.size, gray, seed)
        how = datafree.Invention(
            s.steps, 128, s.generator_lr, s.entropy, s.norms, s.noise, s.generator_width
        )
        generator = datafree.fresh_generator(how, s.size, gray, context.seed)
        about = {**asdict(how), "teacher": sha256_of(teacher), "seed": context.seed}
        shared(
            context, "generator", generator, about,
            lambda: datafree.learn_generator(context, teacher, how, generator),
        )  # fmt: skip
        return datafree.invented(generator, s.queries, seed)

    def released(self, pictures: Array, labels: Array) -> dict[str, Path]:
        """Write what was released as a set that anybody may train on."""
        path = self.context.folder / "released.npz"
        shown = pictures[..., 0] if self.data.gray else pictures
        buffer = BytesIO()
        np.savez_compressed(buffer, x_train=shown, y_train=labels.astype(np.int64))
        write_atomic(path, buffer.getvalue())
        return {"released": path}


def sha256_of(module: Any) -> str:
    """Return a hash of a network's weights."""
    parts = [v.detach().cpu().numpy().tobytes() for v in module.state_dict().values()]
    return sha256_bytes(b"".join(parts))
