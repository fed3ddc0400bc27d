"""Look into an ExecuTorch program: which operators run where, and in which precision.

The package's own readers do the work: of the program, and `flatc` of the graphs that it handed
to XNNPACK (their format is executorch/backends/xnnpack/serialization/schema.fbs).
"""

from __future__ import annotations

import json
import re
import struct
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from edgesdk.core.hush import hush

METHOD = "forward"
XNNPACK, PORTABLE = "xnnpack", "portable"
# Where the flatbuffer of a delegated graph begins and ends stands behind its magic and length.
MAGIC, PLACE = b"XH00", struct.Struct("<II")
# Only move or convert values.
NO_WORK = ("dim_order_ops::", "executorch_prim::", "aten::sym_size", "aten::view_copy")
PRODUCTS = (
    "XNNConv2d", "XNNDepthwiseConv2d", "XNNConvTranspose2d", "XNNFullyConnected",
    "XNNBatchMatrixMultiply", "XNNScaledDotProductAttention", "aten::convolution.out",
    "aten::addmm.out", "aten::mm.out", "aten::bmm.out", "aten::linear.out",
)  # fmt: skip
TYPES = {
    "fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "qint8": "int8", "qcint8": "int8",
    "quint8": "uint8", "qdint8": "int8", "qpint8": "int8", "qcint4": "int4", "qbint4": "int4",
    "qint32": "int32", "qcint32": "int32", "int32": "int32",
    "FLOAT": "float32", "HALF": "float16", "BFLOAT16": "bfloat16", "DOUBLE": "float64",
    "CHAR": "int8", "BYTE": "uint8", "INT": "int32", "LONG": "int64", "BOOL": "bool",
}  # fmt: skip


@dataclass(slots=True)
class Pte:
    """What a program holds.

    Attributes:
        inputs: Pairs of shape and type; the first size is the largest one where it is free.
        outputs: Likewise.
        xnnpack: Operator -> how many, of those that XNNPACK takes.
        portable: The same of those that stay with portable kernels.
        weights: Pairs of type and number of values.
        products: The type that each product computes in.
        texts: What the file says of itself.
    """

    inputs: list[tuple[list[int], str]] = field(default_factory=list)
    outputs: list[tuple[list[int], str]] = field(default_factory=list)
    xnnpack: Counter[str] = field(default_factory=Counter)
    portable: Counter[str] = field(default_factory=Counter)
    weights: list[tuple[str, int]] = field(default_factory=list)
    products: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def placement(self) -> dict[str, int]:
        """Return the number of operators that work, by who does them."""
        work = (n for name, n in self.portable.items() if not name.startswith(NO_WORK))
        found = {XNNPACK: sum(self.xnnpack.values()), PORTABLE: sum(work)}
        return {unit: count for unit, count in found.items() if count}


def read_pte(content: bytes) -> Pte:
    """Return what the bytes of a .pte file hold; needs the package `executorch`.

    Raises:
        ValueError: it is no program, or none with a method `forward`.
    """
    with hush():
        from executorch.exir._serialize._program import deserialize_pte_binary

        program = deserialize_pte_binary(content).program
    plans = {plan.name: plan for plan in program.execution_plan}
    if METHOD not in plans:
        raise ValueError(f"no method {METHOD!r} in it")
    plan, found = plans.pop(METHOD), Pte()
    found.inputs, found.outputs = (
        [_tensor(plan, i) for i in s] for s in (plan.inputs, plan.outputs)
    )
    found.texts = dict(_texts(plans))
    _add_kernels(found, plan)
    for delegate in plan.delegates:
        data = bytes(program.backend_delegate_data[delegate.processed.index].data)
        if data[4:8] == MAGIC:
            _add_graph(found, _graph(data))
    return found


def _texts(plans: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the constant methods that give a text."""
    for name, plan in plans.items():
        values = [plan.values[i].val for i in plan.outputs]
        if len(values) == 1 and hasattr(values[0], "string_val"):
            yield name, str(values[0].string_val)


def _tensor(plan: Any, index: int) -> tuple[list[int], str]:
    value = plan.values[index].val
    return list(value.sizes), TYPES.get(value.scalar_type.name, "?")


def _add_kernels(found: Pte, plan: Any) -> None:
    """Add what portable kernels do, and the constants they take."""
    for chain in plan.chains:
        calls = [step.instr_args for step in chain.instructions]
        for call in (c for c in calls if hasattr(c, "op_index")):
            operator = plan.operators[call.op_index]
            name = f"{operator.name}.{operator.overload}".replace(".out.out", ".out")
            found.portable[name] += 1
            if name in PRODUCTS:
                found.products.append(_tensor(plan, call.args[-1])[1])
    for value in (value.val for value in plan.values):
        stored = getattr(value, "data_buffer_idx", 0) > 0 and value.allocation_info is None
        if stored and (size := prod(value.sizes)) > 1:
            found.weights.append((TYPES.get(value.scalar_type.name, "?"), size))


def _graph(data: bytes) -> Mapping[str, Any]:
    """Return the graph that a delegate was given, as `flatc` tells it."""
    from executorch.backends.xnnpack import serialization
    from executorch.exir._serialize._flatbuffer import _flatc_decompile

    start, size = PLACE.unpack_from(data, 10)
    schema = Path(next(iter(serialization.__path__))) / "schema.fbs"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.bin"
        path.write_bytes(data[start : start + size])
        _flatc_decompile(folder, str(schema), str(path), ["--raw-binary"])
        text = path.with_suffix(".json").read_text("utf-8")
    # An open end of a clamp comes as a bare inf, which JSON does not know.
    graph: Mapping[str, Any] = json.loads(re.sub(r"(?<=: )(-?)inf\b", r"\1Infinity", text))
    return graph


def _add_graph(found: Pte, graph: Mapping[str, Any]) -> None:
    types: dict[int, str] = {}
    for entry in graph["xvalues"]:
        value = entry["xvalue_union"]
        value = value.get("tensor_value", value)
        kind = TYPES.get(value["datatype"].removeprefix("xnn_datatype_"), "?")
        types[value["id_out"]] = kind
        if value["constant_buffer_idx"] and (size := prod(value["dims"])) > 1:
            found.weights.append((kind, size))
    for node in graph["xnodes"]:
        name = node["xnode_union_type"]
        found.xnnpack[name] += 1
        if name in PRODUCTS:
            found.products.append(types[node["xnode_union"]["output_id"]])
