"""Distil what may not be seen: a student from the answers of a teacher to pictures of nobody.

Independent implementation from summaries of the method and from sibling code; the forms of the
losses and of the selective response are reconstructed. A teacher learns from private pictures;
a generator learns from the teacher alone what to ask; the teacher's labels of what it draws
pass (selective) randomised response; the student sees drawn pictures and released labels only.

What is protected is the label of each picture asked, not the private records: the generator
reads statistics of the teacher that no noise covers. The ledger says so. Rivals by setting:
`method=response` (plain), `pate`, `dp-sgd`, `none`, and `pictures=noise`; `metrics.teacher` is
the teacher itself.

    edgesdk train dpdf --data private=mnist.npz --set epsilon=3 --set queries=4000
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk_training.leave import leave
from edgesdk_training.privacy.response import LARGEST_EPSILON
from edgesdk_training.settings import ABOVE_0, check_ranges

if TYPE_CHECKING:
    from edgesdk.core.protocols import Recipe, RunContext, RunResult

METHODS = ("selective", "response", "none", "pate", "dp-sgd")
PICTURES = ("generator", "noise")
RANGES = {
    "size": (8, 128), "epsilon": (ABOVE_0, LARGEST_EPSILON), "queries": (4, 10_000_000),
    "budget": (ABOVE_0, inf), "first": (0.05, 0.95), "groups": (0, 10_000), "most": (0, inf),
    "epochs": (1, inf), "batch": (1, inf), "lr": (ABOVE_0, inf), "weight_decay": (0, inf),
    "width": (1, 1024), "hidden": (1, 4096), "teacher_width": (1, 1024), "teacher_epochs": (1, inf),
    "steps": (1, inf), "entropy": (0, inf), "norms": (0, inf), "delta": (ABOVE_0, 0.1),
    "teachers": (2, 10_000), "clip": (ABOVE_0, inf),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of `dpdf`.

    Attributes:
        epsilon: What each released label may tell: chances of any two answers differ by e^epsilon.
        queries: Pictures asked of the teacher, each once.
        method: selective, response (plain), none (no privacy), pate or dp-sgd.
        pictures: What is asked: of the generator, or noise.
        budget: Epsilon that all runs beside each other may ask of one teacher, in all.
        seeded: Draw the noise by seed instead of the system's source: for tests, protects nobody.
        correct: Learn by the likelihood of what was released; false: as if it were the truth.
        first: Part of the queries whose plain response teaches the prior of the others.
        size: Side of the pictures in pixels.
        groups: Put the classes into so many groups, 0 for none.
        most: Private pictures to learn from at most, 0 for all.
        mirror: Mirror private pictures by chance.
        width: Maps of the student's first convolution.
        hidden: Features of the student.
        epochs: Passes over the released pictures.
        batch: Pictures per step, of teacher and student.
        lr: Highest learning rate, of teacher and student.
        optimiser: sgd, adamw or muon.
        weight_decay: Of kernels and matrices.
        teacher_width: Channels of the teacher's first map.
        teacher_epochs: Passes over the private pictures.
        steps: Steps of the generator, 128 pictures each.
        generator_lr: Highest learning rate of the generator.
        entropy: Weight of the balance of classes among its pictures.
        norms: Weight of the teacher's BatchNorm statistics.
        noise: Length of the generator's input.
        generator_width: Channels of the generator's first map.
        delta: Of pate and dp-sgd, whose guarantee may fail with this chance.
        teachers: Of pate, each on its own part of the private pictures.
        clip: Of dp-sgd, largest norm of one picture's gradient.
    """

    epsilon: float = 3.0
    queries: int = 4000
    method: str = "selective"
    pictures: str = "generator"
    budget: float = 10.0
    seeded: bool = False
    correct: bool = True
    first: float = 0.5
    size: int = 28
    groups: int = 0
    most: int = 0
    mirror: bool = False
    width: int = 16
    hidden: int = 128
    epochs: int = 20
    batch: int = 128
    lr: float = 0.003
    optimiser: str = "adamw"
    weight_decay: float = 0.01
    teacher_width: int = 24
    teacher_epochs: int = 4
    steps: int = 1500
    generator_lr: float = 0.002
    entropy: float = 5.0
    norms: float = 10.0
    noise: int = 64
    generator_width: int = 64
    delta: float = 1e-5
    teachers: int = 50
    clip: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be meant before anything is read, written or trained."""
        from edgesdk_training.loop import check_optimiser

        check_optimiser(self.optimiser)
        check_ranges(self, RANGES)
        for name, valid in (("method", METHODS), ("pictures", PICTURES)):
            if (found := getattr(self, name)) not in valid:
                raise UsageError(f"there is no {name} {found!r}. {did_you_mean(found, valid)}")
        if self.method != "none" and self.epsilon > self.budget:
            raise UsageError(
                f"epsilon {self.epsilon:g} is above the budget of {self.budget:g} that all runs "
                "beside each other may spend; ask for a smaller epsilon, or set a larger budget"
            )


class Dpdf:
    """The plug-in."""

    aliases = ()
    extra = "train"
    requires = ("torch", "safetensors")
    students = ("class-net",)
    needs = ("private",)
    asks_teacher = False
    settings = Settings

    def run(self, settings: Settings, context: RunContext) -> RunResult:
        """Teacher, generator, released answers, student; or, of dp-sgd, a student at once."""
        from edgesdk_training.classes import read_classes
        from edgesdk_training.privacy.methods import need, student_of
        from edgesdk_training.privacy.work import Work

        need(settings.method)
        data = read_classes(context, "private", settings.size, settings.groups, settings.most)
        student = plugins.load(plugins.STUDENTS, context.student)
        config = student.config(
            settings.size, len(data.names), width=settings.width, hidden=settings.hidden
        )
        made = student_of(Work(settings, context, student, config, data))
        return leave(
            context, "dpdf", settings, config, made.model,
            data=data.name, metrics=made.metrics, labels=data.names, ledger=made.ledger,
            artefacts=made.artefacts, pictures=len(data.train),
        )  # fmt: skip


PLUGIN: Recipe = Dpdf()
