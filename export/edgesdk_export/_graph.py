"""The fp32 ONNX file that the ONNX-based targets start from."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.source import Source
from edgesdk.core.tensors import Array
from edgesdk_export._float_layers import classes_in_float, nodes_by_class, text_of
from edgesdk_export._quiet import converting
from edgesdk_export._source import Needs, facts, need

LARGEST_BATCH = 4096
FIXED_BATCH = Needs(("onnx",), "onnx")
FROM_TORCH = Needs(("torch", "onnx", "onnxscript"), "export")


def copy_onnx(file: Path, path: Path, batch: int | None) -> list[str]:
    """Copy an ONNX file and fix its batch; None keeps it.

    Returns:
        Distributions that touched the file.
    """
    if file != path:
        shutil.copyfile(file, path)
    if batch is None:
        return []
    need("a fixed batch", FIXED_BATCH)
    import onnx

    model = onnx.load(path)
    set_batch(model, batch)
    onnx.save(model, path)
    return ["onnx"]


def set_batch(model: Any, batch: int) -> None:
    """Give the first axis of every input and output of an ONNX model the size `batch`."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    del model.graph.value_info[:]


def convert_torch(source: Source, path: Path, batch: int | None) -> list[str]:
    """Write the ONNX file of a source that has a torch module; a batch of None is free.

    Returns:
        Distributions that touched the file.
    """
    need("an ONNX file made from torch", FROM_TORCH)
    import onnx
    import torch

    module = source.torch_module()
    inputs, outputs = source.specs()
    examples = tuple(
        torch.zeros((batch or 2, *spec.shape[1:]), dtype=getattr(torch, spec.dtype))
        for spec in inputs
    )
    free = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    with converting("torch.onnx"):
        torch.onnx.export(
            module,
            examples,
            str(path),
            dynamo=True,
            dynamic_shapes=tuple({0: free} for _ in inputs) if batch is None else None,
            input_names=[spec.name for spec in inputs],
            output_names=[spec.name for spec in outputs],
            external_data=False,
            verbose=False,
        )
    model = onnx.load(path)
    fixed = [v.type.tensor_type.shape.dim[0].dim_value for v in model.graph.input]
    if batch is None and any(fixed):
        raise EdgeSdkError(
            f"{source.name} counts the items of its batch: its ONNX file takes {max(fixed)} alone; "
            "name the batch with --batch"
        )
    apart = text_of(nodes_by_class(model.graph, classes_in_float(module)))
    _forget_origin(model)
    stamp(model, facts(source) | apart)
    onnx.save(model, path)
    return ["torch", "onnx", "onnxscript"]


def _forget_origin(model: Any) -> None:
    """Remove stack traces and file names of the machine that converted."""
    for part in (model.graph, *model.graph.node, *model.graph.value_info):
        del part.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output):
        del value.metadata_props[:]


def nodes_of(graph: Any) -> Iterator[Any]:
    """Yield the nodes of a graph and of the graphs inside them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from nodes_of(inner)


def constants(graph: Any) -> dict[str, Array]:
    """Return what a graph holds, by name: its initializers and `Constant` nodes."""
    from onnx import helper, numpy_helper

    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            value = helper.get_attribute_value(node.attribute[0])
            tensor = hasattr(value, "data_type")
            found[node.output[0]] = numpy_helper.to_array(value) if tensor else np.asarray(value)
    return found


def stamp(model: Any, texts: Mapping[str, str]) -> None:
    """Write `texts` into the model's metadata, replacing equal keys."""
    kept = [(p.key, p.value) for p in model.metadata_props if p.key not in texts]
    del model.metadata_props[:]
    for key, value in (*kept, *texts.items()):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
