"""An ONNX network as a torch module, by the package onnx2pytorch: for targets made from torch.

It is right on what it knows, and the proof decides: the artefact is compared with the ONNX file
itself, which ONNX Runtime runs.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from edgesdk_export._graph import constants
from edgesdk_export._quiet import converting
from edgesdk_export._source import Needs
from edgesdk_export.sources._torch import positional

NEEDS = Needs(("torch", "torchvision", "onnx2pytorch"), "onnx-torch")


def torch_of(model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    """Return the torch module of an ONNX model, which takes tensors by position.

    Raises:
        EdgeSdkError: an operator is unknown to the package.
    """
    import onnx

    own = onnx.ModelProto()
    own.CopyFrom(model)
    _share_constants(own.graph)
    _settle_shapes(own)
    _write_out_constants(own.graph)
    _rename(own.graph)
    with converting("onnx2pytorch"):
        from onnx2pytorch import ConvertModel

        net = ConvertModel(own, experimental=True).eval()
        names = [f"input_{number}" for number in range(len(inputs))]
        return positional(net, names, partial(_run, len(outputs)))


def _run(count: int, net: Any, tensors: Sequence[Any]) -> Any:
    found = net(*tensors)
    return tuple(found) if count > 1 else found


def _share_constants(graph: Any) -> None:
    """Read stored values directly: old exporters hand equal ones on by an Identity."""
    stored = {tensor.name: tensor.name for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in stored:
            stored[node.output[0]] = stored[node.input[0]]
        else:
            kept.append(node)
    for node in kept:
        for place, name in enumerate(node.input):
            node.input[place] = stored.get(name, name)
    del graph.node[:]
    graph.node.extend(kept)


def _write_out_constants(graph: Any) -> None:
    """Write means over the places and flattened shapes as nodes that need no second input.

    torch.export does not know the values of a tensor, be it a stored one.
    """
    from onnx import helper

    stored = constants(graph)
    for node in graph.node:
        values = stored.get(node.input[1]) if len(node.input) == 2 else None
        if values is None:
            continue
        keeps = all(a.i for a in node.attribute if a.name == "keepdims")
        if node.op_type == "ReduceMean" and keeps and sorted(values % 4) == [2, 3]:
            node.op_type = "GlobalAveragePool"
            del node.input[1], node.attribute[:]
        elif node.op_type == "Reshape" and len(values) == 2 and values[0] in (0, -1):
            node.op_type = "Flatten"
            del node.input[1], node.attribute[:]
            node.attribute.append(helper.make_attribute("axis", 1))


def _rename(graph: Any) -> None:
    """Give values names without dots, which part the names of modules; those of callers stay."""
    if _has_graphs(graph):
        return
    outside = {value.name for value in (*graph.input, *graph.output)}
    for node in graph.node:
        for side in (node.input, node.output):
            for place, name in enumerate(side):
                if name not in outside:
                    side[place] = name.replace(".", "_dot_")
    for tensor in graph.initializer:
        tensor.name = tensor.name.replace(".", "_dot_")


def _settle_shapes(model: Any) -> None:
    """Write constant shapes where a Reshape computes one of which only the batch is free.

    A shape that is read out of values cannot be traced by torch.export.
    """
    import onnx

    graph = model.graph
    known = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    sizes = {
        value.name: [dim.dim_value or -1 for dim in value.type.tensor_type.shape.dim]
        for value in (*known.value_info, *known.output)
    }
    stored = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        shape = sizes.get(node.output[0], [])
        computed = node.op_type == "Reshape" and node.input[1] not in stored
        if computed and shape[:1] and all(size > 0 for size in shape[1:]):
            node.input[1] = f"{node.output[0]}_shape"
            array = np.array([-1, *shape[1:]], np.int64)
            graph.initializer.append(onnx.numpy_helper.from_array(array, node.input[1]))
    _drop_unused(graph)


def _drop_unused(graph: Any) -> None:
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    if not _has_graphs(graph):
        del graph.node[:]
        graph.node.extend(reversed(kept))


def _has_graphs(graph: Any) -> bool:
    """Tell whether a node holds a graph, which may read any value of this one."""
    return any(a.g.node or a.graphs for node in graph.node for a in node.attribute)
