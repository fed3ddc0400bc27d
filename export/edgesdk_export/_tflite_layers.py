"""Layer by layer: where the values of a TensorFlow Lite file leave those of its fp32 source.

The converter keeps no name of a tensor, so each product of the file is compared with every
tensor of the source that has as many values, and the nearest one is taken as its own.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.compare import EQUAL_DB
from edgesdk.core.hush import hush
from edgesdk.core.tensors import Array, Arrays
from edgesdk_export._layers import Layer, snr_db, tensor_values

PRODUCTS = (
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "TRANSPOSE_CONV",
    "FULLY_CONNECTED",
    "BATCH_MATMUL",
)


def compare_tflite(exact: Path, other: Path, arrays: Arrays, batch: int | None) -> list[Layer]:
    """Return the products of a TensorFlow Lite file in their order, beside the source.

    Args:
        exact: The source as an fp32 ONNX file.
        other: The .tflite file.
        arrays: Input name -> [N, ...]; as many items as the file is stored for are taken.
        batch: Fixed batch, None for a file that is stored for one item.
    """
    items = {name: array[: batch or 1] for name, array in arrays.items()}
    known: dict[int, list[Array]] = {}
    for array in tensor_values(exact, items).values():
        known.setdefault(array.size, []).append(array)
    layers, before = [], EQUAL_DB
    for title, values in _products(other, list(items.values())):
        near = max((_near(values, want) for want in known.get(values.size, [])), default=None)
        if near is not None:
            layers.append(Layer(title, title, False, (), near, before, near))
            before = near
    return layers


def _near(found: Array, want: Array) -> float:
    """Return how near two arrays are, channels last or first."""
    orders = [found.ravel()]
    if found.ndim == 4:
        orders.append(found.transpose(0, 3, 1, 2).ravel())
    return max(snr_db(want.ravel(), order) for order in orders)


def _products(file: Path, inputs: list[Array]) -> Iterator[tuple[str, Array]]:
    """Run a file without a delegate, which would hide its tensors; yield title and values."""
    from ai_edge_litert import interpreter as litert

    with hush():
        model: Any = litert.Interpreter(
            str(file),
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=(litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES),
        )
        model.allocate_tensors()
        for detail, array in zip(model.get_input_details(), inputs, strict=True):
            model.set_tensor(detail["index"], _coded(array, detail))
        model.invoke()
        details = {d["index"]: d for d in model.get_tensor_details()}
        steps = [op for op in model._get_ops_details() if op["op_name"] in PRODUCTS]
        found = [(op["op_name"], int(op["outputs"][0])) for op in steps]
        values = [_decoded(model.get_tensor(index), details[index]) for _, index in found]
    for number, ((name, _), array) in enumerate(zip(found, values, strict=True), 1):
        yield f"{name} {number} of {len(found)}", array


def _coded(array: Array, detail: Mapping[str, Any]) -> Array:
    scale, zero = detail["quantization"]
    kind = np.dtype(detail["dtype"])
    if kind.kind == "f" or not scale:
        return array.astype(kind)
    limits = np.iinfo(kind)
    code: Array = np.rint(array / scale + zero)
    return code.clip(limits.min, limits.max).astype(kind)


def _decoded(array: Array, detail: Mapping[str, Any]) -> Array:
    scale, zero = detail["quantization"]
    if array.dtype.kind == "f" or not scale:
        return array
    return np.asarray((array.astype(np.float32) - zero) * np.float32(scale))
