"""Lower precisions of an ONNX file: fp16 by conversion, int8 by calibrated Q/DQ pairs."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from edgesdk.core.jobs import REST
from edgesdk.core.tensors import Array, Arrays
from edgesdk_export._float_layers import nodes_in_float, text_of
from edgesdk_export._graph import FIXED_BATCH, FROM_TORCH, constants, nodes_of, set_batch, stamp
from edgesdk_export._half import FLOAT, HALF
from edgesdk_export._quiet import converting
from edgesdk_export._simplify import merge_branches
from edgesdk_export._source import Needs, need

FP16 = Needs(("onnx", "onnxconverter_common"), "onnx")
INT8 = Needs(("onnx", "sympy"), "onnx")
# What exporters that start from an ONNX file declare as their `needs`.
OF_ONNX = {"fp16": FP16, "int8": INT8, "fixed batch": FIXED_BATCH, "from torch": FROM_TORCH}

# The products do the work. In a convolutional net the operators between them follow, for
# otherwise each boundary is rounded twice; in a transformer they must stay in float.
PRODUCTS = ["Conv", "MatMul", "Gemm"]
BETWEEN = ["MaxPool", "Relu", "Add"]
PICTURE = 4  # axes of an input that shows pictures
LAST_IN_FLOAT = {"OpTypesToExcludeOutputQuantization": ["Gemm"]}
SYMMETRIC = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}


def to_fp16(source: Path, path: Path, texts: Mapping[str, str]) -> list[str]:
    """Write `source` with float16 weights and arithmetic; inputs and outputs stay float32.

    Returns:
        Distributions that touched the file.
    """
    need("precision 'fp16'", FP16)
    import onnx
    from onnxconverter_common import float16

    with converting("onnxconverter_common"):
        exact = onnx.load(source)
        merge_branches(exact.graph)
        _part_outputs(exact.graph)
        # Its casts are named after the nodes they feed: two without a name would be one.
        _named(exact.graph)
        given = _makers(exact.graph)
        # A network of float32 may take and give float16; that alone does not make it one.
        model = float16.convert_float_to_float16(exact, keep_io_types=True, check_fp16_ready=False)
        _halve(model.graph, given)
    _restore_factors(model.graph, onnx.load(source).graph)
    stamp(model, texts)
    onnx.save(model, path)
    return ["onnx", "onnxconverter-common"]


def _part_outputs(graph: Any) -> None:
    """Give outputs that nodes read as well a node of their own: the tool casts them for both."""
    from onnx import helper

    every = [*nodes_of(graph)]
    for output in graph.output:
        if not any(output.name in node.input for node in every):
            continue
        inside = f"{output.name}_inside"
        for node in every:
            for names in (node.input, node.output):
                names[:] = [inside if name == output.name else name for name in names]
        graph.node.append(helper.make_node("Identity", [inside], [output.name], name=inside))


def _makers(graph: Any) -> set[str]:
    """Return the names of the nodes whose attribute says that they give float32."""
    return {node.name for node in nodes_of(graph) if _told_float(node)}


def _told_float(node: Any) -> list[Any]:
    return [a for a in node.attribute if a.name in ("to", "dtype") and a.i == FLOAT]


def _halve(graph: Any, names: set[str]) -> None:
    """Let the nodes of these names give float16: the tool changes all around them, not these."""
    for node in nodes_of(graph):
        if node.name in names:
            for attribute in _told_float(node):
                attribute.i = HALF


def _restore_factors(graph: Any, source: Any) -> None:
    """Give every Resize its constant factors in float32 again: 4/3 in float16 makes 31 of 24.

    Computed factors stay as they are; the proof tells where that is too little.
    """
    from onnx import numpy_helper

    stored = constants(source)
    for node, before in zip(_resizes(graph), _resizes(source), strict=True):
        # Inputs are x, roi, factors and sizes, up to opset 10 x and factors.
        place = 1 if len(before.input) == 2 else 2
        name = next(iter(before.input[place:]), "")
        if name in stored and node.input[place] != name:
            node.input[place] = f"{before.output[0]}_factors"
            graph.initializer.append(numpy_helper.from_array(stored[name], node.input[place]))


def _resizes(graph: Any) -> list[Any]:
    return [node for node in graph.node if node.op_type == "Resize"]


def to_int8(
    source: Path,
    path: Path,
    calibration: Arrays,
    texts: Mapping[str, str],
    batch: int | None = None,
    for_gpu: bool = False,
    in_float: Sequence[str] = (),
    seven_bits: bool = False,
) -> list[str]:
    """Write `source` with static int8 Q/DQ pairs; inputs and outputs stay float32.

    Args:
        source: fp32 ONNX file.
        path: File to write.
        calibration: Input name -> [N, ...].
        texts: Metadata of the file.
        batch: Fixed batch of `source`, None for a free one.
        for_gpu: Signed symmetric activations and float biases, which TensorRT asks for,
            instead of unsigned ones, which are faster and closer on CPUs.
        in_float: Names of nodes to leave in float, and REST.
        seven_bits: Code weights in 7 bits: processors without VNNI add pairs of products in 16
            bits, which two large ones of 8 bits do not fit into.

    Returns:
        Distributions that touched the file.
    """
    need("precision 'int8'", INT8)
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_suffix(".prepared.onnx")
    path.unlink(missing_ok=True)
    try:
        with converting("onnxruntime.quantization"):
            # Its symbolic shapes know ReduceL1, ReduceL2 ... only up to opset 17, where their axes
            # were an attribute (microsoft/onnxruntime#22662); the shapes of onnx itself suffice.
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            network = onnx.load(prepared)
            graph, asked = _named(network.graph), nodes_in_float(onnx.load(source))
            onnx.save(network, prepared)
            quantize_static(
                str(prepared),
                str(path),
                _Reader(calibration, batch),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QInt8 if for_gpu else QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=seven_bits,
                op_types_to_quantize=PRODUCTS if REST in in_float else _operators(graph),
                nodes_to_exclude=[*_first(graph), *in_float, *chain(*asked.values())],
                extra_options=LAST_IN_FLOAT | (SYMMETRIC if for_gpu else {}),
            )
    finally:
        prepared.unlink(missing_ok=True)
    model = onnx.load(path)
    if batch is not None:
        set_batch(model, batch)
    stamp(model, {**texts, **text_of(asked)})
    onnx.save(model, path)
    return ["onnx", "onnxruntime"]


def _named(graph: Any) -> Any:
    """Return the graph with a name of its own for every node: they are chosen by name."""
    seen: set[str] = set()
    for number, node in enumerate(nodes_of(graph)):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{number}_of_graph"
        seen.add(node.name)
    return graph


def _operators(graph: Any) -> list[str]:
    """Return the operator types to quantize in the network."""
    found = {node.op_type for node in graph.node}
    return PRODUCTS if "Softmax" in found else PRODUCTS + BETWEEN


def _first(graph: Any) -> list[str]:
    """Return the names of the first convolutions and of what leads to them; they stay in float.

    They are little of the work and much of the error: what they round, all others read. A
    filter before them, such as one of the spectrum, weighs what is far below one step of int8.
    """
    reached = {v.name for v in graph.input if len(v.type.tensor_type.shape.dim) == PICTURE}
    passed, names = [], []
    # Nodes stand in the order of the data, so every maker of an input has been seen.
    for node in graph.node:
        if not any(name in reached for name in node.input):
            continue
        if node.op_type == "Conv":
            names.append(node.name)
        else:
            reached |= set(node.output)
            passed.append(node)
    return names + _leading(
        passed, {n for node in graph.node if node.name in names for n in node.input}
    )


def _leading(nodes: Sequence[Any], wanted: set[str]) -> list[str]:
    """Return the names of those of `nodes` that the tensors `wanted` are made by."""
    names = []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            names.append(node.name)
    return names


class _Reader:
    """Feeds calibration items to ONNX Runtime, a batch at a time."""

    def __init__(self, calibration: Arrays, batch: int | None) -> None:
        self._batches = _cut(calibration, batch or 1)

    def get_next(self) -> dict[str, Array] | None:
        return next(self._batches, None)

    # quantize_static calls it when the reader is shared between collectors.
    def set_range(self, start_index: int, end_index: int) -> None:
        raise NotImplementedError


def _cut(calibration: Arrays, size: int) -> Iterator[dict[str, Any]]:
    count = min(len(array) for array in calibration.values())
    for start in range(0, count - size + 1, size):
        yield {name: array[start : start + size] for name, array in calibration.items()}
