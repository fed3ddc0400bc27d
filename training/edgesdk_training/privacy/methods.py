"""How a student comes about, by the method that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core import plugins
from edgesdk_training import datafree
from edgesdk_training.classes import accuracy, predict, softmax
from edgesdk_training.privacy import accountant, dpsgd, response
from edgesdk_training.privacy.desk import Desk
from edgesdk_training.privacy.dpsgd import by_dp_sgd
from edgesdk_training.privacy.pate import by_pate
from edgesdk_training.privacy.work import Made, Work

if TYPE_CHECKING:
    from edgesdk.core.tensors import Array

# Added to a run's seed, so that the stages are split apart from all else.
SPLIT = 11


def need(method: str) -> None:
    """Raise MissingDependencyError before anything is read where a rival's packages are missing."""
    if method in NEEDS:
        plugins.require(f"method {method}", NEEDS[method])


def student_of(work: Work) -> Made:
    """Return a student of private pictures, made by `settings.method`."""
    return METHODS[work.settings.method](work)


def asked(work: Work) -> Made:
    """Let a teacher answer drawn pictures through a mechanism, and teach the student by that."""
    teacher = work.teacher()
    desk = Desk(work.settings, work.context, teacher)
    desk.check()
    pictures = work.pictures(teacher)
    labels, told, second = _answers(work, desk, pictures)
    learnt = datafree.learn_released(
        work.context, work.fresh(3), pictures, told, "student", work.plan
    )
    wrong = labels != predict(teacher, pictures).argmax(1)
    metrics = {
        "holdout_accuracy": accuracy(learnt, work.data, work.data.held),
        "teacher_accuracy": accuracy(teacher, work.data, work.data.held),
        "holdout_pictures": float(len(work.data.held)),
        # Known here, where the teacher is; never released. Of the second stage, whose answers
        # the prior helps; of a method in one stage, of all.
        "label_error": float(wrong[second].mean()),
        "label_error_all": float(wrong.mean()),
    }
    return Made(learnt, metrics, desk.ledger(), work.released(pictures, labels))


def _answers(work: Work, desk: Desk, pictures: Array) -> tuple[Array, Array, Array]:
    """Return released labels [N], what the student learns from [N, K], and who was second [N]."""
    settings, classes = work.settings, len(work.data.names)
    every = response.everything(len(pictures), classes)
    if settings.method != "selective":
        labels = desk.ask("first", pictures, every)
        return labels, _learnable(settings, labels, every), np.ones(len(pictures), bool)
    order = np.random.default_rng(work.context.seed + SPLIT).permutation(len(pictures))
    first, rest = np.split(order, [int(len(order) * settings.first)])
    labels = np.zeros(len(pictures), np.int64)
    labels[first] = desk.ask("first", pictures[first], every[first])
    guess = datafree.learn_released(
        work.context, work.fresh(2), pictures[first],
        _learnable(settings, labels[first], every[first]), "prior", work.plan,
    )  # fmt: skip
    may = every
    may[rest] = response.allowed(softmax(predict(guess, pictures[rest])), settings.epsilon)
    labels[rest] = desk.ask("second", pictures[rest], may[rest])
    told = _learnable(settings, labels, may)
    if not settings.correct:
        # As published: the first stage's student names its own pictures anew, which is free.
        told[first] = response.one_hot(predict(guess, pictures[first]).argmax(1), classes)
    return labels, told, np.isin(np.arange(len(pictures)), rest)


def _learnable(settings: Any, labels: Array, may: Array) -> Array:
    if settings.correct and settings.method != "none":
        return response.likelihood(labels, may, settings.epsilon)
    return response.one_hot(labels, may.shape[1])


NEEDS = {"pate": accountant.Needs, "dp-sgd": dpsgd.Needs}
METHODS: dict[str, Callable[[Work], Made]] = {
    "selective": asked, "response": asked, "none": asked, "pate": by_pate, "dp-sgd": by_dp_sgd,
}  # fmt: skip
