"""How far a float32 source moves by rounding alone, which no artefact of it can undercut."""

from dataclasses import replace

import numpy as np

from edgesdk.core.target import Tolerance
from edgesdk.core.tensors import Array, Arrays
from edgesdk_export._source import Run

# An artefact rounds at every layer, the nudged source only at its inputs.
TIMES = 4.0
# A network that rounding moves by more than this part of its largest value tells nothing.
MOST = 1e-3
ITEMS = 16


def own_rounding(run: Run, arrays: Arrays) -> float:
    """Return how far the outputs move where each input moves to a neighbouring float32 number.

    Args:
        run: Runs the source.
        arrays: Items, pre-processed; the first 16 are taken.

    Returns:
        The largest difference as a part of the output's largest value, or of 1 where that is less.
    """
    few = {name: array[:ITEMS] for name, array in arrays.items()}
    random = np.random.default_rng(0)
    one, other = run(few), run({name: _nudged(array, random) for name, array in few.items()})
    return max(_moved(one[name], other[name]) for name in one)


def allowing(tolerance: Tolerance, run: Run, arrays: Arrays) -> tuple[Tolerance, tuple[str, ...]]:
    """Return a tolerance that the source itself would meet, and what was decided about it."""
    if tolerance.atol is None:
        return tolerance, ()
    own = own_rounding(run, arrays)
    wanted = min(TIMES * own, MOST)
    if wanted <= tolerance.atol:
        return tolerance, ()
    said = (
        f"tolerance {wanted:.2g} of an output's largest value, not {tolerance.atol:g}: rounding "
        f"its inputs otherwise moves the source itself by {own:.2g}"
    )
    return replace(tolerance, atol=wanted), (said,)


def _nudged(array: Array, random: np.random.Generator) -> Array:
    if array.dtype != np.float32:
        return array
    towards = random.choice(np.array([-np.inf, np.inf], np.float32), array.shape)
    nudged: Array = np.nextafter(array, towards)
    return nudged


def _moved(one: Array, other: Array) -> float:
    gap = np.abs(one.astype(np.float64) - other.astype(np.float64)).max(initial=0.0)
    return float(gap / max(1.0, float(np.abs(one).max(initial=0.0))))
