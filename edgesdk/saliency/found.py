"""What every way to explain gives back."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk.core.tensors import Array

HELD = 5  # every n-th question is kept from the student, to judge it


@dataclass(frozen=True, slots=True)
class Found:
    """A map and how faithful what it was read from is.

    Attributes:
        saliency: [G, G] how much each cell speaks for the answer; below 0 against it.
        fidelity: Share of the questions kept from the linear student on which it decides as the
            black box does; None where there is no student.
        shifted_share: Share of all questions that another answer was given to.
        moves: How far neighbours were moved, round by round; of masks none.
    """

    saliency: Array
    fidelity: float | None
    shifted_share: float
    moves: tuple[float, ...] = ()


def agreement(told: Array, true: Array, held: Array) -> float:
    """Return the share of held-out questions that a student decides rightly."""
    return float((told[held] == true[held]).mean())
