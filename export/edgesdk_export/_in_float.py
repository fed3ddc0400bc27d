"""Leave in float what int8 spoils: the layers that lose most, until the proof passes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import EdgeSdkError
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


def relax(
    plan: Plan, artefact: Artefact, arrays: Arrays, judge: Judge
) -> tuple[Plan, Bundle, Verification]:
    """Judge an artefact, and while int8 fails, export it again with more layers in float.

    Args:
        plan: What was followed.
        artefact: What the exporter answered.
        arrays: Items to compare layers on.
        judge: Says whether the numbers survived and, with data, whether the loss is allowed.

    Returns:
        The first that passes: the plan with what was left, the bundle and its verdict. Where
        none does, those of the artefact with all layers in int8.
    """
    bundle, found = judge(plan, artefact)
    if not (found.failed and plan.precision == "int8" and hasattr(plan.exporter, "leaves_float")):
        return plan, bundle, found
    layers: tuple[Layer, ...] = ()
    for worst in _worst(bundle, plan.source, arrays):
        layers = (*layers, *worst)
        tried = _with_float(plan, layers, found.reasons)
        made, judged = judge(tried, _exported(tried, bundle.path))
        if not judged.failed:
            return tried, made, judged
    if layers:  # the files that the numbers told are about
        _exported(plan, bundle.path)
    return plan, bundle, found


def _exported(plan: Plan, folder: Path) -> Artefact:
    return plan.exporter.export(plan.job(folder))


def _with_float(plan: Plan, layers: Sequence[Layer], reasons: Sequence[str]) -> Plan:
    why = next((r for r in reasons if not r.startswith("golden")), reasons[0])
    named = ", ".join(layer.title for layer in layers)
    said = f"int8 leaves {named} in float, with what makes its inputs: {why}"
    # Who makes a value also codes it; only where both stay out is it read as it was.
    nodes = tuple(name for layer in layers for name in (layer.node, *layer.makers))
    return replace(plan, in_float=nodes, decisions=(*plan.decisions, said))


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
