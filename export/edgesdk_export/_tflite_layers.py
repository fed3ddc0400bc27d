"""Layer by layer: where the values of a TensorFlow Lite file leave those of its fp32 source.

The converter keeps no name of a tensor, so each product of the file is compared with every
tensor of the source that has as many values, and the nearest one is taken as its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Product:
    """One product of a file: its title, what it gives, and the products that it reads from."""

    title: str
    name: str
    makers: tuple[str, ...]
    coded: bool
    values: Array


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
    layers: list[Layer] = []
    found: dict[str, float] = {}
    for made in _products(other, list(items.values())):
        wanted = known.get(made.values.size, [])
        near = max((_near(made.values, want) for want in wanted), default=None)
        if near is not None:
            read = min((found[name] for name in made.makers if name in found), default=EQUAL_DB)
            layers.append(Layer(made.title, made.name, made.coded, made.makers, near, read, near))
            found[made.name] = near
    return layers


def _near(found: Array, want: Array) -> float:
    """Return how near two arrays are, channels last or first."""
    orders = [found.ravel()]
    if found.ndim == 4:
        orders.append(found.transpose(0, 3, 1, 2).ravel())
    return max(snr_db(want.ravel(), order) for order in orders)


def _products(file: Path, inputs: list[Array]) -> Iterator[Product]:
    """Run a file without a delegate, which would hide its tensors; yield its products."""
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
        steps = model._get_ops_details()
        found = [op for op in steps if op["op_name"] in PRODUCTS]
        values = [model.get_tensor(op["outputs"][0]) for op in found]
    makers = makers_of(steps)
    for number, (op, array) in enumerate(zip(found, values, strict=True), 1):
        index = int(op["outputs"][0])
        yield Product(
            title=f"{op['op_name']} {number} of {len(found)}",
            name=details[index]["name"],
            makers=tuple(details[maker]["name"] for maker in makers[index]),
            coded=array.dtype.kind != "f",
            values=_decoded(array, details[index]),
        )


def makers_of(steps: Sequence[Mapping[str, Any]]) -> dict[int, list[int]]:
    """Return what each product gives -> what the products give that it reads, by tensor.

    Args:
        steps: Operators in the order of the data, as LiteRT's interpreter lists them.
    """
    found: dict[int, list[int]] = {}
    behind: dict[int, set[int]] = {}  # tensor -> the products that it comes from
    for op in steps:
        read = {p for place in op["inputs"] for p in behind.get(int(place), ())}
        for place in map(int, op["outputs"]):
            product = op["op_name"] in PRODUCTS
            behind[place] = {place} if product else read
            if product:
                found[place] = sorted(read)
    return found


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
