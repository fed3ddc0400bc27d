"""Look into a finished model file: tensors, operators, and the precision that is really in it."""

import xml.etree.ElementTree as Xml
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.hush import hush
from edgesdk_export._source import Needs, need

# Operators that multiply weights and data, in lower case: they are what a precision is about.
PRODUCTS = frozenset(
    (
        "conv", "convtranspose", "matmul", "gemm", "convinteger", "matmulinteger", "qlinearconv",
        "qlinearmatmul", "conv_2d", "depthwise_conv_2d", "conv_2d_transpose", "transpose_conv",
        "fully_connected", "batch_matmul", "conv_transpose", "linear", "convolution",
        "groupconvolution", "convolutionbackpropdata",
    )
)  # fmt: skip
SHORT = {
    "float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float64": "fp64",
    "f32": "fp32", "f16": "fp16", "i8": "int8", "u8": "int8", "int8": "int8", "uint8": "int8",
    "int4": "int4", "uint4": "int4",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a model file holds.

    Attributes:
        kind: Its format, such as "tflite".
        inputs: Rows of name, shape and type.
        outputs: Likewise.
        operators: Operator -> how many.
        weights: Precision -> number of stored values.
        arithmetic: Precision -> how many products compute in it.
        metadata: What the file says of itself.
    """

    kind: str
    inputs: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    operators: Mapping[str, int] = field(default_factory=dict)
    weights: Mapping[str, int] = field(default_factory=dict)
    arithmetic: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def effective(self) -> dict[str, dict[str, int]]:
        """Return what `bundle.json` keeps of it, {} where nothing is known."""
        found = {"weights": dict(self.weights), "arithmetic": dict(self.arithmetic)}
        return found if any(found.values()) else {}


def contents_of(path: Path) -> Contents | None:
    """Return what a model file holds, None for a format that cannot be looked into.

    Raises:
        UsageError: it is damaged.
        MissingDependencyError: what reads the format is not installed.
    """
    inner = path / "model.xml"  # what a bundle for OpenVINO has as its entry
    path = inner if inner.is_file() else path
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        return None
    try:
        with hush():
            return reader(path)
    except EdgeSdkError:
        raise
    except Exception as error:  # noqa: BLE001 - each format's package raises classes of its own
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise UsageError(
            f"{path} cannot be read as {path.suffix[1:]} ({text}); get it again"
        ) from None


def _counted(found: Iterable[str]) -> dict[str, int]:
    return dict(Counter(found).most_common())


def _row(name: str, shape: Iterable[Any], dtype: str) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "type": dtype}


def _onnx(path: Path) -> Contents:
    from edgesdk_export._foreign import read_model
    from edgesdk_export._graph import constants

    graph = (model := read_model(path)).graph
    stored = {t.name for t in graph.initializer}
    values = constants(graph)
    return Contents(
        kind="onnx",
        inputs=[_onnx_row(v) for v in graph.input if v.name not in stored],
        outputs=[_onnx_row(v) for v in graph.output],
        operators=_counted(n.op_type for n in graph.node),
        weights=_sizes((a.dtype.name, a.size) for a in values.values() if a.size > 1),
        arithmetic=_counted(_onnx_arithmetic(graph, values)),
        metadata={p.key: p.value for p in model.metadata_props},
    )


def _onnx_row(value: Any) -> dict[str, Any]:
    from onnx import helper

    tensor = value.type.tensor_type
    sizes = [d.dim_value if d.dim_value > 0 else d.dim_param or "?" for d in tensor.shape.dim]
    return _row(value.name, sizes, helper.tensor_dtype_to_np_dtype(tensor.elem_type).name)


def _onnx_arithmetic(graph: Any, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the precision of each product: that of its stored operand."""
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type.lower() in PRODUCTS:
            coded = all(made_by.get(n) == "DequantizeLinear" for n in node.input[:2])
            kinds = [values[n].dtype.name for n in node.input if n in values]
            yield "int8" if coded or "Q" in node.op_type else SHORT.get(next(iter(kinds), ""), "?")


def _sizes(found: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return precision -> number of values; what counts or addresses is none."""
    sizes: Counter[str] = Counter()
    for dtype, size in found:
        if dtype in SHORT:
            sizes[SHORT[dtype]] += size
    return dict(sizes)


def _tflite(path: Path) -> Contents:
    need("a look into a .tflite file", Needs(("ai_edge_litert",), "litert"))
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    names = _names(schema.TensorType)
    tensors = [(names[t.type].lower(), t) for t in graph.tensors]
    operators = [_tflite_operator(schema, model, o) for o in graph.operators]
    stored = [
        (dtype, int(np.prod(t.shape))) for dtype, t in tensors
        if model.buffers[t.buffer].data is not None or model.buffers[t.buffer].offset > 1
    ]  # fmt: skip
    return Contents(
        kind="tflite",
        inputs=[_tflite_row(tensors[i]) for i in graph.inputs],
        outputs=[_tflite_row(tensors[i]) for i in graph.outputs],
        operators=_counted(operators),
        weights=_sizes((d, n) for d, n in stored if n > 1),
        arithmetic=_counted(
            SHORT.get(tensors[o.outputs[0]][0], "?")
            for name, o in zip(operators, graph.operators, strict=True)
            if name.lower() in PRODUCTS
        ),
        metadata=_tflite_metadata(model),
    )


def _names(enum: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


def _tflite_operator(schema: Any, model: Any, operator: Any) -> str:
    code = model.operatorCodes[operator.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return _names(schema.BuiltinOperator).get(number, str(number))


def _tflite_row(tensor: tuple[str, Any]) -> dict[str, Any]:
    return _row(tensor[1].name.decode(), map(int, tensor[1].shape), tensor[0])


def _tflite_metadata(model: Any) -> dict[str, str]:
    found = {}
    for entry in model.metadata or []:
        data = model.buffers[entry.buffer].data
        text = b"" if data is None else bytes(data)
        found[entry.name.decode()] = text.decode("utf-8", "replace")
    return {name: text for name, text in found.items() if name.startswith("edgesdk.")}


def _mlpackage(path: Path) -> Contents:
    need("a look into a Core ML package", Needs(("coremltools",), "coreml"))
    import coremltools as ct
    from coremltools.proto import MIL_pb2

    spec = ct.utils.load_spec(str(path))
    main = spec.mlProgram.functions["main"]
    operations = main.block_specializations[main.opset].operations
    names = {v: k.lower() for k, v in MIL_pb2.DataType.items()}
    typed = [(o.type, names[o.outputs[0].type.tensorType.dataType], o) for o in operations]
    return Contents(
        kind="mlpackage",
        inputs=[_ml_row(v) for v in spec.description.input],
        outputs=[_ml_row(v) for v in spec.description.output],
        operators=_counted(kind for kind, _, _ in typed if kind != "const"),
        weights=_sizes(
            ("int8" if kind.startswith("constexpr") else dtype, size)
            for kind, dtype, o in typed
            if kind == "const" or kind.startswith("constexpr")
            if (size := _ml_size(o)) > 1
        ),
        arithmetic=_counted(SHORT.get(dtype, "?") for kind, dtype, _ in typed if kind in PRODUCTS),
        metadata=dict(spec.description.metadata.userDefined),
    )


def _ml_size(operation: Any) -> int:
    dims = operation.outputs[0].type.tensorType.dimensions
    return int(np.prod([d.constant.size for d in dims])) if dims else 1


def _ml_row(value: Any) -> dict[str, Any]:
    array = value.type.multiArrayType
    dtype = type(array).ArrayDataType.Name(array.dataType).lower()
    return _row(value.name, array.shape, dtype)


def _openvino(path: Path) -> Contents:
    root = Xml.parse(path).getroot()
    if root.tag != "net":
        raise UsageError(f"{path} is no OpenVINO network; an .xml of another kind cannot be read")
    layers = list(root.iter("layer"))
    kinds = {layer.get("id"): layer.get("type", "") for layer in layers}
    sources = {(e.get("to-layer"), e.get("to-port")): kinds.get(e.get("from-layer"))
               for e in root.iter("edge")}  # fmt: skip
    return Contents(
        kind="openvino",
        inputs=[_ov_row(x) for x in layers if x.get("type") == "Parameter"],
        outputs=[_ov_row(x) for x in layers if x.get("type") == "Result"],
        operators=_counted(k for k in kinds.values() if k not in ("Const", "Parameter", "Result")),
        weights=_sizes(_ov_constants(layers)),
        arithmetic=_counted(
            _ov_arithmetic(layer, sources)
            for layer in layers
            if layer.get("type", "").lower() in PRODUCTS
        ),
        metadata={e.tag: e.get("value", "") for e in root.iterfind("rt_info/framework/*")},
    )


def _ov_constants(layers: Iterable[Any]) -> Iterator[tuple[str, int]]:
    for layer in layers:
        data = layer.find("data")
        if layer.get("type") == "Const" and data is not None:
            sizes = [int(s) for s in data.get("shape", "").split(",") if s.strip()]
            if (size := int(np.prod(sizes))) > 1:
                yield data.get("element_type", ""), size


def _ov_arithmetic(layer: Any, sources: Mapping[Any, str | None]) -> str:
    """Return int8 where a FakeQuantize feeds the product: its runtime computes in codes there."""
    ports = [(layer.get("id"), port.get("id")) for port in layer.findall("input/port")]
    if ports and sources.get(ports[0]) == "FakeQuantize":
        return "int8"
    port = layer.find("output/port")
    return str(SHORT.get("" if port is None else port.get("precision", "").lower().replace(
        "fp", "f"), "?"))  # fmt: skip


def _ov_row(layer: Any) -> dict[str, Any]:
    port = next(layer.iter("port"))
    return _row(layer.get("name"), [d.text for d in port.iter("dim")], port.get("precision", ""))


def _engine(path: Path) -> Contents:
    with path.open("rb") as stream:
        if stream.read(4)[1:] != b"trt":  # ftrt of TensorRT, vtrt of TensorRT-RTX
            raise UsageError(f"{path} is no TensorRT engine; get it again")
    return Contents(kind="tensorrt-engine", metadata={
        "about": "a TensorRT engine; it opens on the GPU and with the version it was built for",
    })  # fmt: skip


def _executorch(path: Path) -> Contents:
    content = path.read_bytes()
    if content[4:6] != b"ET":
        raise UsageError(f"{path} is no ExecuTorch program; get it again")
    need("a look into a .pte file", Needs(("executorch",), "executorch"))
    from edgesdk_runtimes._pte import read_pte

    found = read_pte(content)
    return Contents(
        kind="executorch",
        inputs=[_row(f"input {i}", *tensor) for i, tensor in enumerate(found.inputs)],
        outputs=[_row(f"output {i}", *tensor) for i, tensor in enumerate(found.outputs)],
        operators={**found.xnnpack, **found.portable},
        weights=_sizes(found.weights),
        arithmetic=_counted(SHORT.get(kind, "?") for kind in found.products),
        metadata=found.texts,
    )


READERS: dict[str, Callable[[Path], Contents]] = {
    ".onnx": _onnx,
    ".tflite": _tflite,
    ".mlpackage": _mlpackage,
    ".xml": _openvino,
    ".engine": _engine,
    ".plan": _engine,
    ".pte": _executorch,
}
