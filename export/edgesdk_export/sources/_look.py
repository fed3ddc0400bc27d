"""Run a network from outside once: only that shows its outputs and what its batch may be."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.session import guarded
from edgesdk.core.source import Run
from edgesdk.core.tensors import DTYPES, Array, TensorSpec

# No size that a network is often traced with: one that knows a single size fails on it.
ITEMS = 3
TRACED = (1, 2, 4, 8, 16, 32, 64)
Tensors = tuple[TensorSpec, ...]


def look(
    run: Run, name: str, inputs: Tensors, outputs: Sequence[str]
) -> tuple[Tensors, Tensors, list[str]]:
    """Return inputs and outputs as a run shows them, and sentences about it.

    Args:
        run: Runs the network.
        name: What messages call it.
        inputs: Its inputs, a free batch as None.
        outputs: Names of its outputs.

    Raises:
        UnsupportedError: the inputs or the outputs do not share a batch.
        UsageError: it does not run.
    """
    _check_batch(name, inputs)
    own = inputs[0].shape[0]
    try:
        return inputs, _outputs(run, name, inputs, outputs, own or ITEMS, own), []
    except (UsageError, UnsupportedError) as error:
        if own is not None:
            raise
        refusal = error
    for size in TRACED:
        with suppress(UsageError, UnsupportedError):
            found = _outputs(run, name, inputs, outputs, size, size)
            fixed = tuple(replace(spec, shape=(size, *spec.shape[1:])) for spec in inputs)
            return fixed, found, [f"{ITEMS} items at once do not run: its batch is {size}"]
    raise refusal


def _check_batch(name: str, inputs: Tensors) -> None:
    told = ", ".join(f"{s.name} {['N' if n is None else n for n in s.shape]}" for s in inputs)
    if not inputs:
        raise UnsupportedError(f"{name} has no input; export a network that has one")
    if not all(spec.shape for spec in inputs) or len({spec.shape[0] for spec in inputs}) > 1:
        raise UnsupportedError(
            f"the inputs of {name} do not share a first axis, the batch: {told}; export the "
            "network with one that is free in all of them, or 1 in all of them"
        )


def _outputs(
    run: Run, name: str, inputs: Tensors, outputs: Sequence[str], count: int, batch: int | None
) -> Tensors:
    zeros = {s.name: np.zeros((count, *(n or 1 for n in s.shape[1:])), s.dtype) for s in inputs}
    try:
        found = guarded(run, name, UsageError)(zeros)
    except UsageError as error:
        told = ", ".join(f"{s.name} {list(zeros[s.name].shape)}" for s in inputs)
        raise UsageError(
            f"{error}; it was run on zeros of {told}: tell other sizes with --samples inputs.npz "
            "or in model.toml, or export the network anew with sizes that it runs on"
        ) from error
    return tuple(_spec(name, output, found[output], count, batch) for output in outputs)


def _spec(name: str, output: str, found: Array, count: int, batch: int | None) -> TensorSpec:
    if found.dtype.name not in DTYPES:
        raise UnsupportedError(
            f"output {output!r} of {name} holds {found.dtype.name}, which no target takes; export "
            "the network without it"
        )
    if found.ndim == 0 or len(found) != count:
        raise UnsupportedError(
            f"output {output!r} of {name} has shape {list(found.shape)} for {count} items; its "
            "first axis must be the batch: export the network without what joins the items"
        )
    return TensorSpec(output, (batch, *found.shape[1:]), found.dtype.name)
