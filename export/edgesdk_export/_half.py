"""Real half precision: every value that a network computes, rounded to float16.

CPUs compute float16 files in float32 and so hide what a GPU or an NPU would do. Here a
float16 graph is written again in float32 with a pair of casts behind each operator; squares
under a root are taken apart, for they leave float16's range first (NVIDIA/TensorRT#1954).
Sums inside one operator stay in float32, as in the hardware that this stands for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.hush import hush
from edgesdk.core.tensors import Array, Arrays

FLOAT, HALF = 1, 10  # onnx.TensorProto
LARGEST = float(np.finfo(np.float16).max)
# Above it the nearest float16 is infinity.
BEYOND = 65520.0
SQUARES = ("ReduceL2", "ReduceSumSquare", "LpNormalization")


@dataclass(frozen=True, slots=True)
class HalfRun:
    """What a network gives in real half precision.

    Attributes:
        outputs: Name -> [N, ...] float32, each value one of float16.
        peaks: Layer -> largest absolute value before it was rounded, in order of the graph.
    """

    outputs: dict[str, Array]
    peaks: dict[str, float]

    def beyond(self) -> tuple[str, float] | None:
        """Return the first layer whose values leave float16's range, and its peak."""
        over = ((name, peak) for name, peak in self.peaks.items() if not peak < BEYOND)
        return next(over, None)


def run_half(path: Path, arrays: Arrays, batch: int | None = None) -> HalfRun:
    """Run a float16 ONNX file as hardware with true half precision does.

    Args:
        path: The file; its inputs and outputs may be float32.
        arrays: Input name -> [N, ...].
        batch: Fixed batch of the file, None for a free one.
    """
    import onnx
    import onnxruntime as ort

    model, layers = rounded(onnx.load(path))
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with hush():
        session = ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    names = [value.name for value in model.graph.output]
    count, size = len(next(iter(arrays.values()))), batch or 8
    found = [
        dict(zip(names, session.run(None, part), strict=True))
        for part in _parts(arrays, count, size, filled=batch is not None)
    ]
    outputs = {
        name: np.concatenate([part[name] for part in found])[:count]
        for name in names
        if name not in layers
    }
    peaks = {title: float(np.max([part[name] for part in found])) for name, title in layers.items()}
    return HalfRun(outputs, peaks)


def _parts(arrays: Arrays, count: int, size: int, filled: bool) -> Iterator[dict[str, Array]]:
    for start in range(0, count, size):
        stop = start + size if filled else min(start + size, count)
        places = np.arange(start, stop) % count
        yield {name: array[places] for name, array in arrays.items()}


def rounded(model: Any) -> tuple[Any, dict[str, str]]:
    """Return a float16 model in float32 that rounds each value, with its peaks as outputs.

    Returns:
        The model, and output -> layer of the peaks it gives besides its own outputs.
    """
    from onnx import helper, shape_inference

    model = shape_inference.infer_shapes(model)
    kinds = _kinds(model.graph)
    layers: dict[str, str] = {}
    nodes = []
    for tensor in model.graph.initializer:
        tensor.CopyFrom(_widened(tensor))
    for number, node in enumerate(_taken_apart(model.graph, kinds)):
        halves = [name for name in node.output if kinds.get(name) == HALF]
        _widen_attributes(node)
        nodes.append(node)
        if node.op_type == "Constant":
            continue
        for name in halves:
            wide = f"{name}__wide"
            node.output[list(node.output).index(name)] = wide
            nodes += _rounding(wide, name)
            peak = f"peak{number}_{name}"
            nodes += [
                helper.make_node("Abs", [wide], [f"{wide}_size"]),
                helper.make_node("ReduceMax", [f"{wide}_size"], [peak], keepdims=0),
            ]
            layers[peak] = f"{node.op_type} {name!r}"
    _replace(model.graph, nodes)
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type == HALF:
            value.type.tensor_type.elem_type = FLOAT
    model.graph.output.extend(helper.make_tensor_value_info(p, FLOAT, []) for p in layers)
    return model, layers


def _replace(graph: Any, nodes: list[Any]) -> None:
    kept = [type(node)() for node in nodes]
    for copy, node in zip(kept, nodes, strict=True):
        copy.CopyFrom(node)
    del graph.node[:]
    del graph.value_info[:]
    graph.node.extend(kept)


def _rounding(wide: str, name: str) -> list[Any]:
    from onnx import helper

    return [
        helper.make_node("Cast", [wide], [f"{name}__half"], to=HALF),
        helper.make_node("Cast", [f"{name}__half"], [name], to=FLOAT),
    ]


def _kinds(graph: Any) -> dict[str, int]:
    """Return name -> element type of all values; half where only an input tells."""
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kinds[value.name] = value.type.tensor_type.elem_type
    for node in graph.node:
        if any(kinds.get(name) == HALF for name in node.input):
            for name in node.output:
                kinds.setdefault(name, HALF)
    return kinds


def _widened(tensor: Any) -> Any:
    from onnx import numpy_helper

    if tensor.data_type != HALF:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)


def _widen_attributes(node: Any) -> None:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            attribute.t.CopyFrom(_widened(attribute.t))
        elif attribute.name in ("to", "dtype") and attribute.i == HALF:
            attribute.i = FLOAT


def _taken_apart(graph: Any, kinds: dict[str, int]) -> Iterator[Any]:
    """Yield the nodes, lengths and sums of squares in float16 as plain operators."""
    for node in graph.node:
        if node.op_type in SQUARES and kinds.get(node.input[0]) == HALF and _by_two(node):
            for part in _squares(node, graph):
                for name in part.output:
                    kinds[name] = HALF
                yield part
        else:
            yield node


def _by_two(node: Any) -> bool:
    return all(a.i == 2 for a in node.attribute if a.name == "p")


def _squares(node: Any, graph: Any) -> list[Any]:
    from onnx import helper, numpy_helper

    x, out = node.input[0], node.output[0]
    more = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    more.pop("p", None)
    axes = list(node.input[1:])
    if node.op_type == "LpNormalization":
        axes = [f"{out}_axis"]
        where = np.array([more.pop("axis", -1)], np.int64)
        graph.initializer.append(numpy_helper.from_array(where, axes[0]))
        more = {"keepdims": 1}
    elif "axes" in more:  # up to opset 17; ReduceSum takes an input from 13 on
        axes = [f"{out}_axes"]
        where = np.array(more.pop("axes"), np.int64)
        graph.initializer.append(numpy_helper.from_array(where, axes[0]))
    plain = node.op_type == "ReduceSumSquare"
    total = out if plain else f"{out}_squares"
    parts = [
        helper.make_node("Mul", [x, x], [f"{out}_square"]),
        helper.make_node("ReduceSum", [f"{out}_square", *axes], [total], **more),
    ]
    if node.op_type == "ReduceL2":
        parts.append(helper.make_node("Sqrt", [total], [out]))
    elif node.op_type == "LpNormalization":
        parts.append(helper.make_node("Sqrt", [total], [f"{out}_length"]))
        parts.append(helper.make_node("Div", [x, f"{out}_length"], [out]))
    return parts
