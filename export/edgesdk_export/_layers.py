"""Layer by layer: where the values of an ONNX file leave those of its fp32 source."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.compare import EQUAL_DB
from edgesdk.core.hush import hush
from edgesdk.core.tensors import Array, Arrays
from edgesdk_export._half import HALF, rounded

ITEMS = 8
# What only codes or decodes values, and so is no layer.
DECODES = "DequantizeLinear"
CODING = ("QuantizeLinear", DECODES, "Cast", "Identity", "Abs", "ReduceMax")
PRODUCTS = ("Conv", "MatMul", "Gemm", "ConvTranspose")
# Below it a layer has left its source: decibels of signal over difference.
LEAVES = {"fp32": 60.0, "fp16": 35.0, "int8": 15.0}
HEALTHY = 25.0


@dataclass(frozen=True, slots=True)
class Layer:
    """How far the values of one layer lie from those of the source.

    Attributes:
        title: Operator and tensor, such as "Conv 'conv2d_3'".
        node: Name of the node in the file.
        in_int8: Whether it is a convolution or a product of matrices that reads int8 values.
        snr_db: Energy of the source's values over that of the difference, in dB.
        makers: Names of the nodes that make what it reads.
        read_db: The lowest of its inputs, before they are coded.
        made_db: Of its output, before it is coded.
    """

    title: str
    node: str
    in_int8: bool
    makers: tuple[str, ...]
    snr_db: float
    read_db: float
    made_db: float

    def lost_db(self, precision: str) -> float:
        """Return what it loses itself; what is exact counts as a healthy layer of `precision`."""
        return min(self.read_db, LEAVES[precision] + HEALTHY) - self.made_db


def compare_layers(exact: Path, other: Path, arrays: Arrays, batch: int | None) -> list[Layer]:
    """Return every layer that both files have, in the order of `other`.

    A float16 file is run in real half precision, one with Q/DQ pairs as they are written.

    Args:
        exact: The source as an fp32 ONNX file.
        other: The artefact, or the ONNX file behind it.
        arrays: Input name -> [N, ...]; the first 8 items are taken.
        batch: Fixed batch of the files, None for a free one.
    """
    import onnx

    first, second = onnx.load(exact), onnx.load(other)
    if any(t.data_type == HALF for t in second.graph.initializer):
        second, _ = rounded(second)
    shared = _tensors(first.graph) & _tensors(second.graph)
    nodes = [n for n in second.graph.node if n.op_type not in CODING and shared & {*_made(n)}]
    names = [name for node in nodes for name in _made(node) if name in shared]
    after = _decoded(second.graph)
    items = {name: array[: batch or ITEMS] for name, array in arrays.items()}
    want = _values(first, names, items)
    found = _values(second, list(dict.fromkeys([*names, *after.values()])), items)
    plain = {name: snr_db(array, found.get(name)) for name, array in want.items()}
    coded = {n: snr_db(a, found.get(after[n])) if n in after else plain[n] for n, a in want.items()}
    return list(_judged(nodes, second.graph, plain, coded))


def _made(node: Any) -> list[str]:
    """Return what a node makes, by the names that the values have once they are rounded."""
    return [name.removesuffix("__wide") for name in node.output if name]


def _decoded(graph: Any) -> dict[str, str]:
    """Return tensor -> the same, coded and decoded: there stands what the next layers read."""
    coded = {n.input[0]: n.output[0] for n in graph.node if n.op_type == "QuantizeLinear"}
    plain = {n.input[0]: n.output[0] for n in graph.node if n.op_type == DECODES}
    return {name: plain[code] for name, code in coded.items() if code in plain}


def _tensors(graph: Any) -> set[str]:
    return {name for node in graph.node for name in node.output if name}


def _values(model: Any, names: Sequence[str], items: Arrays) -> dict[str, Array]:
    """Return the float tensors of `names`; an empty list of outputs would mean all."""
    if not names:
        return {}
    import onnx
    import onnxruntime as ort

    have = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in have)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    with hush():
        session = ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        found = session.run(list(names), dict(items))
    floats = (np.asarray(a) for a in found)
    return {n: a for n, a in zip(names, floats, strict=True) if a.dtype.kind == "f" and a.size}


def tensor_values(file: Path, items: Arrays) -> dict[str, Array]:
    """Return every float tensor of an ONNX file by name."""
    import onnx

    model = onnx.load(file)
    names = [name for node in model.graph.node for name in node.output if name]
    return _values(model, names, items)


def snr_db(want: Array, found: Array | None) -> float:
    """Return the energy of `want` over that of the difference, in dB; 0 for no number."""
    if found is None or want.shape != found.shape or not np.isfinite(found).all():
        return 0.0
    exact = want.astype(np.float64)
    noise = float(((found - exact) ** 2).sum())
    if noise == 0:
        return EQUAL_DB
    return float(10 * np.log10(max(float((exact**2).sum()), 1e-300) / noise))


def _judged(
    nodes: Sequence[Any], graph: Any, plain: dict[str, float], coded: dict[str, float]
) -> Iterator[Layer]:
    behind = {n.output[0]: n for n in graph.node if n.op_type in CODING}
    maker = {name: node.name for node in nodes for name in _made(node)}
    # Where int8 takes the place of a Relu, only the coded values are those of the source.
    best = {name: max(value, coded[name]) for name, value in plain.items()}
    for node in nodes:
        made = [name for name in _made(node) if name in coded]
        if not made:
            continue
        inputs = [_origin(name, behind) for name in node.input]
        read = [best[name] for name in inputs if name in best]
        decoded = any(n in behind and behind[n].op_type == DECODES for n in node.input)
        yield Layer(
            title=f"{node.op_type} {made[0]!r}",
            node=node.name,
            in_int8=node.op_type in PRODUCTS and decoded,
            makers=tuple(maker[name] for name in inputs if name in maker),
            snr_db=min(coded[name] for name in made),
            read_db=min(read, default=EQUAL_DB),
            made_db=min(best[name] for name in made),
        )


def _origin(name: str, behind: dict[str, Any]) -> str:
    """Return the tensor that was coded and decoded to make `name`."""
    while name in behind:
        name = behind[name].input[0]
    return name.removesuffix("__wide")


def first_leaving(layers: Sequence[Layer], precision: str) -> Layer | None:
    """Return the first layer that has left the source, None where none has."""
    return next((layer for layer in layers if layer.snr_db < LEAVES[precision]), None)


def sentence(layers: Sequence[Layer], precision: str) -> str:
    """Say where the values leave the source, or how far the farthest layer lies."""
    if not layers:
        return "no layer has the name of one of the source, so none can be compared"
    first = first_leaving(layers, precision)
    if first is None:
        far = min(layers, key=lambda layer: layer.snr_db)
        return (
            f"no layer leaves its source: {len(layers)} compared, the farthest is {far.title} "
            f"with {far.snr_db:.1f} dB, {LEAVES[precision]:g} dB wanted"
        )
    most = max(layers, key=lambda layer: layer.lost_db(precision))
    text = (
        f"the first layer that leaves its source is {first.title}: {first.snr_db:.1f} dB, at "
        f"least {LEAVES[precision]:g} dB wanted"
    )
    return (
        text
        if most is first
        else f"{text}; {most.title} loses most, {most.lost_db(precision):.1f} dB"
    )
