"""The desk at which a teacher answers: charged first, answered once, answers kept."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.notes import note
from edgesdk_training.classes import predict
from edgesdk_training.privacy import response
from edgesdk_training.privacy.budget import Budget, Charge
from edgesdk_training.privacy.chance import SEED, chance
from edgesdk_training.privacy.work import sha256_of

if TYPE_CHECKING:
    from edgesdk.core.protocols import RunContext
    from edgesdk.core.tensors import Array

NAMES = {
    "selective": "selective-randomised-response",
    "response": "randomised-response",
    "none": "none",
}
PARALLEL = (
    "parallel inside a run: each picture is asked once, and the prior of a picture's answer comes "
    "from answers to others; sequential over runs: the epsilons of all runs that ask this teacher "
    "add up"
)
PROTECTS = (
    "the teacher's label of each picture asked, against whoever sees the student, the released "
    "pictures and labels, and every other label; NOT the private records: the generator has "
    "learnt from statistics of the teacher that no noise covers"
)
NOTHING = "nothing: the teacher's labels are told as they are"


class Desk:
    """Answers of one teacher under one mechanism.

    Args:
        settings: Of the recipe.
        context: Of the run.
        teacher: The network, in eval mode.
    """

    def __init__(self, settings: Any, context: RunContext, teacher: Any) -> None:
        self._settings, self._context, self._teacher = settings, context, teacher
        self._seed = context.seed if settings.seeded else None
        self._budget = Budget(context.folder.parent, sha256_of(teacher), settings.budget)
        if settings.seeded:
            note("the noise of the answers follows from the seed: it protects nobody")

    def check(self) -> None:
        """Refuse before any long work what the budget will refuse.

        Raises:
            UsageError: the budget is spent.
        """
        self._budget.check(self._charge())

    def ask(self, stage: str, pictures: Array, may: Array) -> Array:
        """Return a released label for each picture, int64 [N]; after a restart the same ones.

        Args:
            stage: Name of this part of the queries.
            pictures: uint8 [N, S, S, 3].
            may: Answers that may be given, bool [N, K].

        Raises:
            UsageError: the budget is spent.
        """
        import torch

        if (kept := self._context.load(f"answers-{stage}")) is not None:
            return np.asarray(kept["labels"].numpy(force=True), np.int64)
        self._budget.charge(self._charge())
        truth: Array = predict(self._teacher, pictures).argmax(1)
        if self._settings.method != "none":
            source = chance(self._seed, stage)
            truth = response.respond(truth, may, self._settings.epsilon, source)
        self._context.save(f"answers-{stage}", {"labels": torch.from_numpy(truth)})
        return truth

    def ledger(self) -> dict[str, Any]:
        """Return what protects what, against whom, and what is spent."""
        private = self._settings.method != "none"
        return {
            "mechanism": NAMES[self._settings.method],
            "epsilon": self._settings.epsilon if private else None,
            "delta": 0.0 if private else None,
            "queries": self._settings.queries,
            "queries_per_picture": 1,
            "composition": PARALLEL if private else "none",
            "protects": PROTECTS if private else NOTHING,
            "randomness": told(chance(self._seed).source) if private else "none",
            **account(self._budget, self._settings.budget),
        }

    def _charge(self) -> Charge:
        private = self._settings.method != "none"
        return Charge(
            self._context.folder.name,
            token(self._context),
            NAMES[self._settings.method],
            self._settings.epsilon if private else None,
            self._settings.queries,
        )


def token(context: RunContext) -> str:
    """Return what tells this run's charge from all others', kept with the run's state.

    A run that is started over loses it, and so is charged again.
    """
    import torch

    kept = context.load("charge")
    if kept is None:
        kept = {"token": torch.tensor(list(secrets.token_bytes(16)), dtype=torch.uint8)}
        context.save("charge", kept)
    return bytes(kept["token"].tolist()).hex()


def told(source: str) -> str:
    """Return a sentence on where the randomness came from."""
    if source == SEED:
        return "seed: for tests; whoever knows the seed takes the noise away, so it protects nobody"
    return "system: the operating system's secure source"


def account(budget: Budget, limit: float) -> dict[str, Any]:
    """Return what was asked of this teacher by all runs beside each other."""
    return {
        "budget": limit,
        "spent": budget.spent(),
        "asked_without_protection": budget.unprotected(),
    }
