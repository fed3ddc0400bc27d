"""What `edgesdk explain` does: open, ask, explain, compare; the answer is plain data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.question import Question, questions_of
from edgesdk.core.task import task_of
from edgesdk.saliency.explained import Explanation, decided, explained, mean_interval
from edgesdk.saliency.neighbours import Neighbours

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle
    from edgesdk.core.jobs import Progress
    from edgesdk.core.session import Session

FIGURES = ("fidelity", "deletion", "insertion")
Rows = list[list[tuple[Any, str]]]


class Asking:
    """Opens what explanations need, once.

    Args:
        stack: Closes it.
        opened: Opens a bundle to explain.
        method: relabel, lime or rise.
        neighbours: What draws neighbours, None for what fits a question's kind.
        queries: Pictures that a map may ask about.
        seed: Draws neighbours and masks.
        threads: Threads of what draws neighbours.
        progress: Called with (done, total, label).
    """

    def __init__(
        self,
        stack: ExitStack,
        opened: Callable[[Bundle], Session],
        *,
        method: str,
        neighbours: Path | str | None,
        queries: int,
        seed: int,
        threads: int,
        progress: Progress | None,
    ) -> None:
        self._stack, self._open, self._method = stack, opened, method
        self._named, self._queries, self._seed = neighbours, queries, seed
        self._threads, self._progress = threads, progress
        self._drawn: dict[str, Neighbours] = {}

    def explain(self, bundle: Bundle, paths: Sequence[Path]) -> tuple[dict[str, Any], Rows]:
        """Return the explanations of all pictures as plain data, and what is drawn of them."""
        questions, runtime = self._questions(bundle, paths)
        found = [self._one(question) for question in questions]
        first, *others = [_plain(one) for one in found]
        result = {
            "kind": "explanation",
            "bundle": bundle.name,
            "bundle_sha256": bundle.sha256,
            "runtime": runtime,
            "method": self._method,
            "seed": self._seed,
            **first,
            "others": others,
            "over_pictures": _over([first, *others]),
        }
        return result, [_row(one) for one in found]

    def disagree(
        self, bundle: Bundle, other: Bundle, paths: Sequence[Path], worst: int
    ) -> tuple[dict[str, Any], Rows]:
        """Return where two artefacts disagree most, and the maps of both for the `worst` ones."""
        if bundle.task != other.task:
            raise UsageError(
                f"{bundle.name} is for {bundle.task!r}, {other.name} for {other.task!r}; compare "
                "two artefacts of one model"
            )
        (mine, runtime), (theirs, _) = (self._questions(b, paths) for b in (bundle, other))
        if [q.name for q in mine] != [q.name for q in theirs]:
            raise UsageError(
                f"{bundle.name} and {other.name} leave out different pictures; name those that "
                "both decide about"
            )
        if [q.answers for q in mine] != [q.answers for q in theirs]:
            raise UsageError(f"{bundle.name} and {other.name} know different answers")
        rows = list(map(_beside, mine, theirs))
        places = sorted(range(len(rows)), key=lambda place: -rows[place]["gap"])
        found = [self._pair(mine[place], theirs[place]) for place in places[:worst]]
        first, *others = [_plain_pair(*pair) for pair in found]
        result = {
            "kind": "disagreement",
            "bundle": bundle.name,
            "bundle_sha256": bundle.sha256,
            "bundle_other": other.name,
            "bundle_other_sha256": other.sha256,
            "runtime": runtime,
            "method": self._method,
            "seed": self._seed,
            **first,
            "others": others,
            "disagreements": [rows[place] for place in places],
            "over_pictures": _over([first, *others]),
        }
        return result, [_pair_row(*pair, bundle.name, other.name) for pair in found]

    def _questions(self, bundle: Bundle, paths: Sequence[Path]) -> tuple[list[Question], str]:
        session = self._stack.enter_context(self._open(bundle))
        return questions_of(task_of(bundle.task), session, paths), session.runtime

    def _neighbours(self, kind: str) -> Neighbours | None:
        if self._method != "relabel":
            return None
        if kind not in self._drawn:
            drawn = Neighbours(self._named or kind, self._threads)
            self._drawn[kind] = self._stack.enter_context(drawn)
        return self._drawn[kind]

    def _one(
        self, question: Question, answer: int | None = None, moves: Sequence[float] = ()
    ) -> Explanation:
        return explained(
            question,
            self._neighbours(question.kind),
            method=self._method,
            queries=self._queries,
            seed=self._seed,
            answer=answer,
            moves=moves,
            progress=self._progress,
        )

    def _pair(self, mine: Question, theirs: Question) -> tuple[Explanation, Explanation]:
        """Explain the first one's answer for both, asking both about equal neighbours."""
        one = self._one(mine)
        return one, self._one(theirs, one.answer, one.found.moves)


def _beside(mine: Question, theirs: Question) -> dict[str, Any]:
    """Return what both say of one picture; the gap is that of the first one's answer."""
    (own, shares), (other, shares_other) = decided(mine), decided(theirs)
    return {
        "picture": mine.name,
        "decision": mine.answers[own],
        "share": float(shares[own]),
        "decision_other": theirs.answers[other],
        "share_other": float(shares_other[own]),
        "gap": float(abs(shares[own] - shares_other[own])),
    }


def _plain(one: Explanation) -> dict[str, Any]:
    return {
        "picture": one.question.name,
        "about": one.question.about,
        "decision": one.decision,
        "share": one.share,
        "saliency": np.round(one.found.saliency, 4).tolist(),
        "shifted_share": one.found.shifted_share,
        "fidelity": one.found.fidelity,
        "deletion": one.curves.deletion,
        "insertion": one.curves.insertion,
        "queries": one.queries,
        "notes": list(one.notes),
    }


def _plain_pair(one: Explanation, other: Explanation) -> dict[str, Any]:
    theirs = _plain(other)
    difference = np.round(one.found.saliency - other.found.saliency, 4)
    return {
        **_plain(one),
        "saliency_other": theirs["saliency"],
        "share_other": theirs["share"],
        "difference": difference.tolist(),
        "notes": [*one.notes, *other.notes],
    }


def _over(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and interval of each figure over pictures; [] of a method without it."""
    values = {name: [row[name] for row in rows if row[name] is not None] for name in FIGURES}
    return {name: mean_interval(found) for name, found in values.items() if found}


def _row(one: Explanation) -> list[tuple[Any, str]]:
    from edgesdk.saliency.draw import overlay

    picture, saliency = one.question.picture, one.found.saliency
    name = Path(one.question.name).name
    return [(picture, name), (overlay(picture, saliency), f"{one.decision} {one.share:.2f}")]


def _pair_row(one: Explanation, other: Explanation, name: str, other_name: str) -> Any:
    from edgesdk.saliency.draw import overlay

    picture = one.question.picture
    difference = one.found.saliency - other.found.saliency
    return [
        (picture, Path(one.question.name).name),
        (overlay(picture, one.found.saliency), f"{one.decision} {one.share:.2f}: {name}"),
        (overlay(picture, other.found.saliency), f"{other.share:.2f}: {other_name}"),
        (overlay(picture, difference / 2), "difference"),
    ]
