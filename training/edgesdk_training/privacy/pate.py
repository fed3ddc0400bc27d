"""The rival PATE: many teachers on parts of the private pictures vote, with noise on the votes.

GNMax of Papernot et al. 2018 (arXiv 1802.08908), with the guarantee that does not depend on the
data. The noise is a discrete Gaussian drawn exactly (Canonne et al. 2020, arXiv 2004.00010), so
votes and noise are whole numbers.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from math import isqrt, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk_training import datafree
from edgesdk_training.classes import accuracy, predict
from edgesdk_training.privacy import accountant, response
from edgesdk_training.privacy.budget import Budget, Charge
from edgesdk_training.privacy.chance import chance
from edgesdk_training.privacy.desk import account, token, told
from edgesdk_training.privacy.work import Made
from edgesdk_training.shared import shared

if TYPE_CHECKING:
    from edgesdk.core.tensors import Array
    from edgesdk_training.privacy.chance import Chance
    from edgesdk_training.privacy.work import Work

PROTECTS = (
    "each private picture in the votes of the teachers, against whoever sees the released labels; "
    "NOT in the pictures asked: their generator has learnt from a teacher of all pictures"
)
COMPOSITION = "Gaussian mechanism over all queries, Renyi accountant of dp-accounting"
# One record changes one teacher's vote: one count less, another one more.
SENSITIVITY = sqrt(2)


def by_pate(work: Work) -> Made:
    """Return a student of the noisy votes on drawn pictures."""
    import torch

    settings, context, data = work.settings, work.context, work.data
    budget = Budget(context.folder.parent, f"records-{data.sha256[:16]}", settings.budget)
    charge = Charge(context.folder.name, token(context), "pate", settings.epsilon, settings.queries)
    budget.check(charge)
    source = chance(context.seed if settings.seeded else None)
    sigma = accountant.gaussian_noise(
        settings.epsilon, settings.delta, settings.queries, SENSITIVITY
    )
    pictures = work.pictures(work.teacher())
    kept = context.load("answers")
    if kept is None:
        counted = votes(work, pictures)
        budget.charge(charge)
        winners = noisy_winner(counted, sigma, source)
        kept = {"labels": torch.from_numpy(winners)}
        context.save("answers", kept)
    labels = np.asarray(kept["labels"].numpy(force=True), np.int64)
    rows = response.one_hot(labels, len(data.names))
    learnt = datafree.learn_released(context, work.fresh(3), pictures, rows, "student", work.plan)
    ledger = {
        "mechanism": "pate-gnmax", "epsilon": settings.epsilon, "delta": settings.delta,
        "queries": settings.queries, "composition": COMPOSITION, "protects": PROTECTS,
        "sigma": sigma, "randomness": told(source.source), **account(budget, settings.budget),
    }  # fmt: skip
    metrics = {
        "holdout_accuracy": accuracy(learnt, data, data.held),
        "holdout_pictures": float(len(data.held)),
        "sigma": sigma,
    }
    return Made(learnt, metrics, ledger, work.released(pictures, labels))


def votes(work: Work, pictures: Array) -> Array:
    """Return how many teachers see each class in each picture, int64 [N, K]."""
    settings, data = work.settings, work.data
    order = np.random.default_rng(work.context.seed).permutation(data.train)
    counted = np.zeros((len(pictures), len(data.names)), np.int64)
    for number, part in enumerate(np.array_split(order, settings.teachers)):
        told = predict(_member(work, number, part), pictures).argmax(1)
        counted[np.arange(len(pictures)), told] += 1
        work.context.progress(number + 1, settings.teachers, "teachers")
    return counted


def _member(work: Work, number: int, part: Array) -> Any:
    settings, context = work.settings, work.context
    module = work.fresh(100 + number)
    about = {
        "data": work.data.sha256, "seed": context.seed, "number": number, "of": settings.teachers,
        "epochs": settings.teacher_epochs, "lr": settings.lr, "batch": settings.batch,
        "width": settings.width, "optimiser": settings.optimiser, "mirror": settings.mirror,
    }  # fmt: skip
    plan = partial(work.plan, epochs=5 * settings.teacher_epochs)
    return shared(
        context, "member", module, about,
        lambda: datafree.learn_classes(
            context, module, work.data, part, f"member-{number}", plan, settings.mirror
        ),
    )  # fmt: skip


def noisy_winner(counted: Array, sigma: float, chance: Chance) -> Array:
    """Return the class with the most votes after noise, int64 [N]."""
    square = Fraction(sigma) ** 2
    noise = [[gaussian(square, chance) for _ in row] for row in counted]
    return np.asarray((counted + np.array(noise, np.int64)).argmax(1))


def gaussian(square: Fraction, chance: Chance) -> int:
    """Return a whole number from the discrete Gaussian of variance `square`, drawn exactly."""
    scale = isqrt(square.numerator // square.denominator) + 1
    while True:
        found = _laplace(scale, chance)
        apart = (abs(found) - square / scale) ** 2 / (2 * square)
        if _falls(apart, chance):
            return found


def _laplace(scale: int, chance: Chance) -> int:
    """Return a whole number x with chance proportional to e^(-|x| / scale)."""
    while True:
        low = chance.below(scale)
        if not _falls(Fraction(low, scale), chance):
            continue
        high = 0
        while _falls(Fraction(1), chance):
            high += 1
        found, negative = low + scale * high, chance.below(2)
        if found or not negative:
            return -found if negative else found


def _falls(power: Fraction, chance: Chance) -> bool:
    """Return True with the chance e^-power, exactly."""
    while power > 1:
        if not _falls(Fraction(1), chance):
            return False
        power -= 1
    count = 1
    while chance.below(power.denominator * count) < power.numerator:
        count += 1
    return count % 2 == 1
