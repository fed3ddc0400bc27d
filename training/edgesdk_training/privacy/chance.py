"""Where the randomness of a mechanism comes from: the system, or, in tests alone, a seed."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass

SYSTEM, SEED = "system", "seed"


@dataclass(frozen=True, slots=True)
class Chance:
    """A source of whole numbers.

    Attributes:
        below: Returns a uniform whole number from 0 to below its argument.
        source: "system", or "seed": who knows the seed can take the noise away again.
    """

    below: Callable[[int], int]
    source: str


def chance(seed: int | None, stage: str = "") -> Chance:
    """Return the system's secure source, or what follows from a seed, which protects nobody.

    Args:
        seed: None in all real runs.
        stage: Part of the run, so that a restart draws as the run would have.
    """
    if seed is None:
        return Chance(secrets.randbelow, SYSTEM)
    return Chance(random.Random(f"{seed} {stage}").randrange, SEED)
