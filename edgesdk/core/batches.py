"""Any number of items through a run that takes one batch at a time."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgesdk.core.tensors import Array, Arrays

Run = Callable[[Arrays], Mapping[str, Any]]
# Items of one run where any number is allowed.
CHUNK = 64


def repeated(arrays: Arrays, size: int) -> dict[str, Array]:
    """Return `size` items of each array [N, ...]: the first ones, then over and over."""
    return {name: np.take(array, range(size), 0, mode="wrap") for name, array in arrays.items()}


def in_batches(
    run: Run, arrays: Arrays, size: int | None = None, most: int = CHUNK
) -> dict[str, Array]:
    """Run any number of items in batches.

    Args:
        run: Runs one batch.
        arrays: Input name -> [N, ...], N of 1 or more.
        size: The only batch size that `run` takes: the last batch is filled up. None for any.
        most: Largest batch that `run` takes where it takes any.

    Returns:
        Output name -> [N, ...].
    """
    count, step = len(next(iter(arrays.values()))), size or min(CHUNK, most)
    parts = []
    for start in range(0, count, step):
        part = {name: array[start : start + step] for name, array in arrays.items()}
        found = run(part if size is None else repeated(part, size))
        parts.append({name: np.asarray(array) for name, array in found.items()})
    return {name: np.concatenate([p[name] for p in parts])[:count] for name in parts[0]}
