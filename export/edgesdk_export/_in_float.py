"""Leave in float what int8 spoils: the layers that lose most, until the proof passes."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.jobs import BOTH, LAYERS, REST
from edgesdk.core.protocols import Artefact
from edgesdk.core.tensors import Arrays
from edgesdk.core.verify import Verification
from edgesdk_export._bisect import layers_of
from edgesdk_export._layers import Layer
from edgesdk_export._plan import Plan
from edgesdk_export._source import Source

Judge = Callable[[Plan, Artefact], tuple[Bundle, Verification]]
# How many more layers each round leaves in float; half of all products at most.
ROUNDS = (1, 1, 2, 4, 8)
ALL_BUT = "all but convolutions and products"


def relax(
    plan: Plan, artefact: Artefact, arrays: Arrays, judge: Judge
) -> tuple[Plan, Bundle, Verification]:
    """Judge an artefact, and while int8 fails, export it again with more of it in float.

    Args:
        plan: What was followed.
        artefact: What the exporter answered.
        arrays: Items to compare layers on.
        judge: Says whether the numbers survived and, with data, whether the loss is allowed.

    Returns:
        The first that passes: the plan with what was left, the bundle and its verdict. Where
        none does, those of the artefact as it came.
    """
    bundle, found = judge(plan, artefact)
    tried = plan
    if found.failed:
        why = next((r for r in found.reasons if not r.startswith("golden")), found.reasons[0])
        for nodes, named in _steps(plan, bundle, arrays):
            tried = plan.leaving((*plan.in_float, *nodes), named, why)
            made, judged = judge(tried, _exported(tried, bundle.path))
            if not judged.failed:
                return tried, made, judged
    if tried is not plan:  # the files that the numbers told are about
        _exported(plan, bundle.path)
    return plan, bundle, found


def _exported(plan: Plan, folder: Path) -> Artefact:
    return plan.exporter.export(plan.job(folder))


def _steps(plan: Plan, bundle: Bundle, arrays: Arrays) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what to leave in float, more each time, and its name."""
    first = (REST,) if plan.leaves in (REST, BOTH) else ()
    if first and REST not in plan.in_float:
        yield first, ALL_BUT
    layers: tuple[Layer, ...] = ()
    for worst in _worst(bundle, plan.source, arrays) if plan.leaves in (LAYERS, BOTH) else ():
        layers = (*layers, *worst)
        # Who makes a value also codes it; only where both stay out is it read as it was.
        nodes = tuple(name for layer in layers for name in (layer.node, *layer.makers))
        titles = ", ".join([*[ALL_BUT][: len(first)], *(layer.title for layer in layers)])
        yield (*first, *nodes), f"{titles}, with what makes its inputs,"


def _worst(bundle: Bundle, source: Source, arrays: Arrays) -> Iterator[Sequence[Layer]]:
    """Yield the products that lose most, a few more each round."""
    try:
        layers = layers_of(bundle, source, arrays)
    except EdgeSdkError:
        return
    products = [layer for layer in layers if layer.in_int8]
    products.sort(key=lambda layer: -layer.lost_db(bundle.precision))
    order = products[: (len(products) + 1) // 2]
    for count in ROUNDS:
        if not order:
            return
        yield order[:count]
        order = order[count:]
