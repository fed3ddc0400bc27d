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

    branch = _branches(node)[0 if condition else 1]
    handed_on = [
        helper.make_node("Identity", [inner.name], [outer])
        for inner, outer in zip(branch.output, node.output, strict=True)
    ]
    _replace(graph, node, [branch], handed_on)


def merge_branches(graph: Any) -> None:
    """Let each If compute both its branches and choose afterwards, for tools that know no If."""
    from onnx import helper

    while node := next((n for n in graph.node if n.op_type == "If"), None):
        branches = _branches(node)
        for name, branch in zip(("then", "else"), branches, strict=True):
            _rename(branch, f"{node.output[0]}_{name}_")
        chosen = [
            helper.make_node("Where", [node.input[0], yes.name, no.name], [out])
            for yes, no, out in zip(*(b.output for b in branches), node.output, strict=True)
        ]
        _replace(graph, node, branches, chosen)


def _branches(node: Any) -> list[Any]:
    """Return what an If runs when its condition holds, and when it does not."""
    found = {a.name: a.g for a in node.attribute}
    return [found["then_branch"], found["else_branch"]]


def _rename(branch: Any, mark: str) -> None:
    """Mark all that a branch makes, for two branches may use the same names."""
    nodes = list(nodes_of(branch))
    stored = [*branch.initializer, *(t.values for t in branch.sparse_initializer)]
    made = {t.name for t in stored} | {name for n in branch.node for name in n.output if name}
    within = [a.g for node in nodes for a in node.attribute if a.HasField("g")]
    for graph in (branch, *within):
        stored = [*graph.initializer, *(t.values for t in graph.sparse_initializer)]
        for value in (*stored, *graph.output):
            value.name = mark + value.name if value.name in made else value.name
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [mark + n if n in made else n for n in names]


def _replace(graph: Any, node: Any, branches: list[Any], after: list[Any]) -> None:
    """Put the nodes of the branches, and others after them, in the place of a node."""
    place = list(graph.node).index(node)
    inner = [n for branch in branches for n in branch.node]
    nodes = [*graph.node[:place], *inner, *after, *graph.node[place + 1 :]]
    kept = [type(n).FromString(n.SerializeToString()) for n in nodes]
    for branch in branches:
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
