"""Forms of an ONNX graph that converters do not know, written in those that they do."""

from typing import Any

import numpy as np

from edgesdk_export._graph import constants, nodes_of

FLOAT, NARROW = 1, (10, 16)  # float32; float16 and bfloat16 of onnx.TensorProto


def simplify(graph: Any) -> list[str]:
    """Change a graph in place and return sentences about what was changed; no value changes."""
    changes = {
        "weights were stored as sparse ones": _fill(graph),
        "branches were chosen by constants, and the other ones dropped": _settle_branches(graph),
        "weights are stored in 16 bits and are taken as float32": _widen(graph),
    }
    return [f"{count} {what}" for what, count in changes.items() if count]


def _fill(graph: Any) -> int:
    """Store sparse weights with their zeros."""
    from onnx import numpy_helper

    sparse = list(graph.sparse_initializer)
    for tensor in sparse:
        values = numpy_helper.to_array(tensor.values)
        places = numpy_helper.to_array(tensor.indices)
        full = np.zeros(tuple(tensor.dims), values.dtype)
        if places.ndim == 1:
            full.flat[places] = values
        else:
            full[tuple(places.T)] = values
        graph.initializer.append(numpy_helper.from_array(full, tensor.values.name))
    del graph.sparse_initializer[:]
    return len(sparse)


def _settle_branches(graph: Any) -> int:
    """Put what a constant chooses in the place of each If."""
    count = 0
    while True:
        stored = constants(graph)
        node = next((n for n in graph.node if n.op_type == "If" and n.input[0] in stored), None)
        if node is None:
            return count
        _settle(graph, node, bool(stored[node.input[0]].all()))
        count += 1


def _settle(graph: Any, node: Any, condition: bool) -> None:
    from onnx import helper

    wanted = "then_branch" if condition else "else_branch"
    branch = next(a.g for a in node.attribute if a.name == wanted)
    handed_on = [
        helper.make_node("Identity", [inner.name], [outer])
        for inner, outer in zip(branch.output, node.output, strict=True)
    ]
    place = list(graph.node).index(node)
    nodes = [*graph.node[:place], *branch.node, *handed_on, *graph.node[place + 1 :]]
    kept = [type(n).FromString(n.SerializeToString()) for n in nodes]
    graph.initializer.extend(branch.initializer)
    graph.sparse_initializer.extend(branch.sparse_initializer)
    del graph.node[:]
    graph.node.extend(kept)


def _widen(graph: Any) -> int:
    """Store as float32 the weights that are read through a cast to it."""
    from onnx import numpy_helper

    stored = {t.name: t for t in graph.initializer if t.data_type in NARROW}
    casts = [node for node in graph.node if _widens(node) and node.input[0] in stored]
    for node in casts:
        array = numpy_helper.to_array(stored[node.input[0]]).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
        graph.node.remove(node)
    read = {name for node in nodes_of(graph) for name in node.input}
    read |= {value.name for value in graph.output}
    for name in {node.input[0] for node in casts} - read:
        graph.initializer.remove(stored[name])
    return len(casts)


def _widens(node: Any) -> bool:
    return node.op_type == "Cast" and any(a.name == "to" and a.i == FLOAT for a in node.attribute)
