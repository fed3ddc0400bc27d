"""One question explained: neighbours, labels, student, map, and how good the map is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.jobs import Progress
from edgesdk.core.question import Question
from edgesdk.core.tensors import Array
from edgesdk.saliency.curves import STEPS, Curves, curves
from edgesdk.saliency.found import Found
from edgesdk.saliency.masks import lime, rise
from edgesdk.saliency.neighbours import Neighbours
from edgesdk.saliency.relabel import relabelled

GRID = 16  # cells of a map along each side
LEAST_QUERIES = 40
# Outside of it hardly anything, or hardly anything else, is learnt from.
BALANCED = (0.1, 0.9)
# Root mean square error of 0..255 from which on a picture is of another kind.
FAR_OFF = 40.0
DRAWS = 1000

METHODS = ("relabel", "lime", "rise")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why one picture was answered as it was.

    Attributes:
        question: What was asked.
        answer: Number of the answer that is explained, in `question.answers`.
        share: Share that the black box gives it for the picture itself, 0..1.
        found: The map, of which the largest value is 1 or -1, and the student's fidelity.
        curves: Deletion and insertion.
        queries: Pictures that the black box was asked about.
        notes: Sentences on what to be careful about.
    """

    question: Question
    answer: int
    share: float
    found: Found
    curves: Curves
    queries: int
    notes: tuple[str, ...] = ()

    @property
    def decision(self) -> str:
        """The answer in words."""
        return self.question.answers[self.answer]


class Counted:
    """Asks for the share of one answer, counts, and tells how far it is."""

    def __init__(
        self, question: Question, answer: int, total: int, progress: Progress | None
    ) -> None:
        self._question, self._answer = question, answer
        self._total, self._progress = total, progress
        self.count = 0

    def __call__(self, pictures: Array) -> Array:
        """Return the share of the answer for each picture [N]."""
        found = np.asarray(self._question.ask(list(pictures)), np.float64)[:, self._answer]
        self.count += len(pictures)
        if self._progress is not None:
            self._progress(self.count, max(self._total, self.count), Path(self._question.name).name)
        return found


def decided(question: Question) -> tuple[int, Array]:
    """Return the number of the likeliest answer about the picture itself, and all shares [K]."""
    shares = np.asarray(question.ask([question.picture]), np.float64)[0]
    return int(shares.argmax()), shares


def explained(
    question: Question,
    neighbours: Neighbours | None,
    *,
    method: str = "relabel",
    queries: int = 400,
    seed: int = 0,
    answer: int | None = None,
    moves: Sequence[float] = (),
    progress: Progress | None = None,
) -> Explanation:
    """Explain the answer to one question by asking more of the same kind.

    Args:
        question: The picture and the black box.
        neighbours: What draws pictures near it; relabel alone needs it.
        method: One of METHODS.
        queries: Questions that the map may cost; the picture itself and the curves that judge
            the map come on top.
        seed: Draws neighbours and masks.
        answer: The answer to explain; default: the decision.
        moves: Of another explanation of the same picture (`found.moves`): relabel then asks about
            the very same neighbours.
        progress: Called with (done, total, label).

    Raises:
        UsageError: too few queries for any map.
    """
    if queries < LEAST_QUERIES:
        raise UsageError(f"a map takes {LEAST_QUERIES} queries or more, found {queries}")
    own, shares = decided(question)
    answer = own if answer is None else answer
    score = Counted(question, answer, queries + 2 * (STEPS + 1), progress)
    grid = min(GRID, *question.picture.shape[:2])
    ask = (question.picture, score, grid, queries, seed)
    if method == "relabel":
        assert neighbours is not None, "relabel draws neighbours"
        found = relabelled(neighbours, *ask, moves)
        notes = _notes(found, neighbours.misfit(question.picture), neighbours.bundle.model)
    else:
        found, notes = {"lime": lime, "rise": rise}[method](*ask), ()
    found = replace(found, saliency=_scaled(found.saliency))
    judged = curves(question.picture, found.saliency, score)
    return Explanation(
        question=question,
        answer=answer,
        share=float(shares[answer]),
        found=found,
        curves=judged,
        queries=score.count + 1,
        notes=notes,
    )


def mean_interval(values: Sequence[float]) -> dict[str, float]:
    """Return the mean of a figure over pictures with its 95 % interval by bootstrap."""
    array = np.asarray(values, np.float64)
    drawn = np.random.default_rng(0).choice(array, (DRAWS, array.size)).mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {"mean": float(array.mean()), "low": float(low), "high": float(high)}


def _scaled(saliency: Array) -> Array:
    largest = float(np.abs(saliency).max())
    return saliency / largest if largest else saliency


def _notes(found: Found, misfit: float, model: str) -> tuple[str, ...]:
    told = []
    if not BALANCED[0] <= found.shifted_share <= BALANCED[1]:
        told.append(
            f"{100 * found.shifted_share:.0f} % of the neighbours shift the decision: the map "
            "follows how sure the model is, and its fidelity says little; lime, which takes parts "
            "away, may tell more (--method lime)"
        )
    if misfit > FAR_OFF:
        told.append(
            f"{model} draws this picture {misfit:.0f} of 255 off: it knows other pictures, so the "
            "map may tell more of it than of the model; choose with --neighbours"
        )
    return tuple(told)
