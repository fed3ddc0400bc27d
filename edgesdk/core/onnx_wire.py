"""Mend ONNX files with numpy alone, so that ONNX Runtime takes them.

Some published files cannot be run as they are: weights declared as inputs that must be
fed, a picture size that is written down though the graph does not depend on it, or
quantised weights in a form that ONNX Runtime refuses. Protocol Buffers need no schema to
be copied field by field.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.tensors import Array

Shape = tuple[int | str, ...]
Field = tuple[int, int | bytes, bytes]  # number, value or body, the whole field as stored

# Field numbers of onnx.proto.
_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_GRAPH_NODE, _GRAPH_NAME, _GRAPH_INITIALIZER = 1, 2, 5
_GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE_INFO = 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_OP, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 3, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_TYPE, _INT = 1, 3, 20, 2
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW, _TENSOR_EXTERNAL = 1, 2, 8, 9, 13
_MODEL_IR, _MODEL_OPSET, _OPSET_DOMAIN, _OPSET_VERSION = 1, 8, 1, 2
_DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 2: np.dtype("u1"), 3: np.dtype("i1")}
_FLOAT, _UINT8 = 1, 2
_MICROSOFT = "com.microsoft"


def mended(model: bytes, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]) -> bytes:
    """Return an ONNX model with other inputs and outputs, its weights as plain floats.

    Args:
        model: Content of an ONNX file.
        inputs: Name -> shape of the float32 inputs to keep; a string names a free size.
            All others are dropped, as are the stored shapes in between.
        outputs: Name -> shape of the float32 outputs to keep, in this order.

    Raises:
        UsageError: `model` is no ONNX file.
    """
    changed, graphs = bytearray(), 0
    for number, body, whole in _fields(model):
        if number == _MODEL_GRAPH and isinstance(body, bytes):
            whole, graphs = _field(_MODEL_GRAPH, _graph(body, inputs, outputs)), graphs + 1
        changed += whole
    if graphs != 1:
        raise UsageError("the file holds no ONNX graph; get it again")
    return bytes(changed)


def product_of_4_bits(codes: Array, scales: Array, depth: int, block: int) -> bytes:
    """Return a model that multiplies a row with many stored rows of 4 bits a value.

    It takes "row" [1, D] and gives "products" [1, N], both float32, by ONNX Runtime's
    MatMulNBits.

    Args:
        codes: uint8 [N, blocks, block / 2]: values + 8, the first of two in the lower half.
        scales: float32 [N * blocks], of each block.
        depth: D, `blocks` times `block` at most.
        block: Values of one scale; a power of two from 16 on.
    """
    count = len(codes)
    told = {"K": depth, "N": count, "bits": 4, "block_size": block, "accuracy_level": 4}
    node = b"".join(_field(_NODE_INPUT, name) for name in (b"row", b"codes", b"scales"))
    node += _field(_NODE_OUTPUT, b"products") + _field(_NODE_OP, b"MatMulNBits")
    node += b"".join(_field(_NODE_ATTRIBUTE, _int_attribute(*item)) for item in told.items())
    node += _field(_NODE_DOMAIN, _MICROSOFT.encode())
    graph = _field(_GRAPH_NODE, node) + _field(_GRAPH_NAME, b"product")
    graph += _field(_GRAPH_INITIALIZER, _stored("codes", codes, _UINT8))
    graph += _field(_GRAPH_INITIALIZER, _stored("scales", scales.astype("<f4"), _FLOAT))
    graph += _field(_GRAPH_INPUT, _value_info("row", (1, depth)))
    graph += _field(_GRAPH_OUTPUT, _value_info("products", (1, count)))
    opsets = [_field(_MODEL_OPSET, _number(_OPSET_VERSION, 17))]
    named = _field(_OPSET_DOMAIN, _MICROSOFT.encode()) + _number(_OPSET_VERSION, 1)
    opsets.append(_field(_MODEL_OPSET, named))
    return b"".join([_number(_MODEL_IR, 8), _field(_MODEL_GRAPH, graph), *opsets])


@dataclass(frozen=True, slots=True)
class Outline:
    """What a look at an ONNX file tells without any other package.

    Attributes:
        opset: Version of the plain operators, 0 where none is named.
        beside: Names of the files that hold its weights.
        fed: Names of the inputs that have a stored value as well.
    """

    opset: int
    beside: tuple[str, ...]
    fed: tuple[str, ...]


def outline(model: bytes) -> Outline:
    """Return how the ONNX file `model` lies.

    Raises:
        UsageError: `model` is no ONNX file.
    """
    opset, beside, stored, inputs = 0, {}, set(), []
    for number, body, _ in _fields(model):
        if number == _MODEL_OPSET:
            told = {n: value for n, value, _ in _fields(body)}
            version = told.get(_OPSET_VERSION, 0)
            plain = _text(told.get(_OPSET_DOMAIN, b"")) in ("", "ai.onnx")
            opset = version if plain and isinstance(version, int) else opset
        elif number == _MODEL_GRAPH:
            parts = list(_fields(body))
            for tensor in (value for n, value, _ in parts if n == _GRAPH_INITIALIZER):
                stored.add(_first_text(tensor, _TENSOR_NAME))
                beside.update(dict.fromkeys(_locations(tensor)))
            inputs = [_first_text(value, 1) for n, value, _ in parts if n == _GRAPH_INPUT]
    return Outline(opset, tuple(beside), tuple(name for name in inputs if name in stored))


def metadata(model: bytes) -> dict[str, str]:
    """Return what an ONNX file says of itself: text by key.

    Raises:
        UsageError: `model` is no ONNX file.
    """
    entries = (body for number, body, _ in _fields(model) if number == _MODEL_METADATA)
    return {_first_text(body, 1): _first_text(body, 2) for body in entries}


def beginning(model: bytes, last: str) -> bytes:
    """Return an ONNX model that ends with the node called `last`, whose answer it gives.

    Raises:
        UsageError: `model` is no ONNX file, or no node of its graph is called so.
    """
    changed = bytearray()
    for number, body, whole in _fields(model):
        changed += _field(number, _begun(body, last)) if number == _MODEL_GRAPH else whole
    return bytes(changed)


def _begun(graph: int | bytes, last: str) -> bytes:
    """Return a graph's fields without the nodes behind `last` and without its old outputs."""
    kept, ended = bytearray(), b""
    for number, body, whole in _fields(graph):
        if number != _GRAPH_OUTPUT and not (number == _GRAPH_NODE and ended):
            kept += whole
        if number == _GRAPH_NODE and _first_text(body, _NODE_NAME) == last:
            ended = _field(_GRAPH_OUTPUT, _field(1, _first_text(body, _NODE_OUTPUT).encode()))
    if not ended:
        raise UsageError(f"the ONNX file has no node {last!r}")
    return bytes(kept) + ended


def _locations(tensor: int | bytes) -> Iterator[str]:
    """Yield the names of the files that hold a stored tensor."""
    for number, entry, _ in _fields(tensor):
        if number == _TENSOR_EXTERNAL and _first_text(entry, 1) == "location":
            yield _first_text(entry, 2)


def _first_text(message: int | bytes, wanted: int) -> str:
    return next((_text(body) for number, body, _ in _fields(message) if number == wanted), "")


def _graph(graph: bytes, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]) -> bytes:
    fields = list(_fields(graph))
    tensors = dict(_tensor(body) for n, body, _ in fields if n == _GRAPH_INITIALIZER)
    dropped = (_GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE_INFO)
    changed = bytearray()
    for number, body, whole in fields:
        folded = _dequantized(body, tensors) if number == _GRAPH_NODE else None
        if number not in dropped:
            changed += whole if folded is None else _field(_GRAPH_INITIALIZER, folded)
    for number, values in ((_GRAPH_INPUT, inputs), (_GRAPH_OUTPUT, outputs)):
        for item in values.items():
            changed += _field(number, _value_info(*item))
    return bytes(changed)


def _dequantized(node: int | bytes, tensors: Mapping[str, Array | None]) -> bytes | None:
    """Return the float tensor that a DequantizeLinear of stored weights gives, else None.

    (weight - zero point) * scale, where one scale serves a block of the last axis.
    """
    parts = list(_fields(node))
    if [_text(body) for number, body, _ in parts if number == _NODE_OP] != ["DequantizeLinear"]:
        return None
    names = [_text(body) for number, body, _ in parts if number == _NODE_INPUT]
    found = [tensors.get(name) for name in names]
    if len(found) != 3 or any(tensor is None for tensor in found):
        return None
    weight, scale, zero = (np.asarray(t, np.float32) for t in found)
    fits = weight.ndim == scale.ndim > 0 and weight.shape[:-1] == scale.shape[:-1]
    if not fits or scale.size == 0 or scale.shape != zero.shape:
        return None
    block = -(-weight.shape[-1] // scale.shape[-1])
    scale, zero = (np.repeat(t, block, -1)[..., : weight.shape[-1]] for t in (scale, zero))
    output = "".join(_text(body) for number, body, _ in parts if number == _NODE_OUTPUT)
    with np.errstate(all="ignore"):  # a damaged file may hold any float
        return _float_tensor(output, (weight - zero) * scale)


def _tensor(body: int | bytes) -> tuple[str, Array | None]:
    """Return a stored tensor's name and value; None for types and forms not needed here."""
    dims: list[int] = []
    kind, name, raw = 0, "", None
    for number, value, _ in _fields(body):
        if number == _TENSOR_DIMS:
            dims += [value] if isinstance(value, int) else _packed(value)
        elif number == _TENSOR_TYPE and isinstance(value, int):
            kind = value
        elif number == _TENSOR_NAME:
            name = _text(value)
        elif number == _TENSOR_RAW and isinstance(value, bytes):
            raw = value
    if raw is None or kind not in _DTYPES or len(raw) != math.prod(dims) * _DTYPES[kind].itemsize:
        return name, None
    return name, np.frombuffer(raw, _DTYPES[kind]).reshape(dims)


def _float_tensor(name: str, value: Array) -> bytes:
    return _stored(name, value.astype("<f4"), _FLOAT)


def _stored(name: str, value: Array, kind: int) -> bytes:
    sizes = b"".join(_number(_TENSOR_DIMS, size) for size in value.shape)
    raw = _field(_TENSOR_RAW, value.tobytes())
    return sizes + _number(_TENSOR_TYPE, kind) + _field(_TENSOR_NAME, name.encode()) + raw


def _int_attribute(name: str, value: int) -> bytes:
    kind = _number(_ATTRIBUTE_TYPE, _INT)
    return _field(_ATTRIBUTE_NAME, name.encode()) + _number(_ATTRIBUTE_INT, value) + kind


def _value_info(name: str, shape: Shape) -> bytes:
    dims = (_number(1, s) if isinstance(s, int) else _field(2, s.encode()) for s in shape)
    tensor = _number(1, _FLOAT) + _field(2, b"".join(_field(1, dim) for dim in dims))
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _text(body: int | bytes) -> str:
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else ""


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _field(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _fields(data: int | bytes) -> Iterator[Field]:
    """Yield the fields of a message."""
    if isinstance(data, int):
        raise _damaged()
    at = 0
    while at < len(data):
        start = at
        key, at = _read_varint(data, at)
        wire = key & 7
        if wire == 0:
            body: int | bytes
            body, at = _read_varint(data, at)
        elif wire in (1, 2, 5):
            size, at = _read_varint(data, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
            body, at = data[at : at + size], at + size
        if wire not in (0, 1, 2, 5) or at > len(data):
            raise _damaged()
        yield key >> 3, body, data[start:at]


def _packed(data: bytes) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _read_varint(data, at)
        values.append(value)
    return values


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
    raise _damaged()


def _damaged() -> UsageError:
    return UsageError("the file is no ONNX model, or is damaged; get it again")
