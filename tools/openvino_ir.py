"""Run a network in OpenVINO's IR format in torch, on any device, without OpenVINO.

Only the operators of MobileStyleGAN are here, in the forms that it uses; what is not known is
refused by its name. The format: https://docs.openvino.ai, "OpenVINO IR format".
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Port = tuple[int, int]
TYPES = {"f32": np.float32, "i64": np.int64, "i32": np.int32}
# Settings that no operator here reads, with the one value that is meant.
PLAIN = {"dilations": "1, 1", "auto_pad": "explicit", "batch_dims": "0"}


@dataclass(frozen=True, slots=True)
class Layer:
    """One operator: what it reads and what it gives."""

    kind: str
    name: str
    data: dict[str, str]
    reads: list[Port]
    gives: list[Port]


class Graph:
    """A network of one input.

    Args:
        path: The .xml file; its weights lie beside it in a .bin file.
        device: Of torch.
        until: Name of the layer whose answer is wanted; "" for the network's own.

    Raises:
        ValueError: an operator that is not known here, or no layer of that name.
    """

    def __init__(self, path: Path, device: str = "cpu", until: str = "") -> None:
        root, self._device = ElementTree.parse(path).getroot(), device
        layers = {int(e.get("id", "")): e for e in root.iter("layer")}
        edges = {
            (int(e.get("to-layer", "")), int(e.get("to-port", ""))): (
                int(e.get("from-layer", "")),
                int(e.get("from-port", "")),
            )
            for e in root.iter("edge")
        }
        read = {number: _layer(number, e, edges) for number, e in layers.items()}
        ends = [n for n, la in read.items() if (la.name == until if until else la.kind == "Result")]
        if len(ends) != 1:
            raise ValueError(f"{path}: found {len(ends)} layers called {until or 'Result'!r}")
        order = [read[number] for number in _sorted(ends[0], read)]
        unknown = sorted({form for layer in order for form in _unknown(layer)})
        if unknown:
            raise ValueError(f"{path}: {', '.join(unknown)} not known here")
        weights = path.with_suffix(".bin").read_bytes()
        consts = (layer for layer in order if layer.kind == "Const")
        self._consts = {la.gives[0]: _const(la.data, weights, device) for la in consts}
        self._order = [layer for layer in order if layer.kind != "Const"]
        self._last = {port: layer for layer in self._order for port in layer.reads}

    def __call__(self, x: Tensor) -> Tensor:
        """Return the answer to one batch."""
        known: dict[Port, Any] = dict(self._consts)
        answer: Any = x
        for layer in self._order:
            if layer.kind == "Parameter":
                answer = x.to(self._device)
            else:
                answer = OPERATORS[layer.kind](layer.data, *(known[p] for p in layer.reads))
            several = answer if isinstance(answer, tuple) else (answer,)
            known.update(zip(layer.gives, several, strict=False))
            for port in layer.reads:
                if self._last[port] is layer:
                    known.pop(port, None)  # Large pictures are given up when they were read last.
        result: Tensor = answer
        return result


def _layer(number: int, element: ElementTree.Element, edges: dict[Port, Port]) -> Layer:
    data = element.find("data")
    ports = lambda end: [(number, int(p.get("id", ""))) for p in element.iterfind(f"{end}/port")]  # noqa: E731
    return Layer(
        kind=element.get("type", ""),
        name=element.get("name", ""),
        data={} if data is None else dict(data.attrib),
        reads=[edges[port] for port in ports("input")],
        gives=ports("output"),
    )


def _unknown(layer: Layer) -> Iterator[str]:
    """Yield what of a layer would be answered wrongly."""
    if layer.kind not in OPERATORS.keys() | {"Const", "Parameter"}:
        yield layer.kind
    data = layer.data
    if layer.kind == "Const" and data["element_type"] not in TYPES:
        yield f"Const of {data['element_type']}"
    for name, plain in PLAIN.items():
        if data.get(name, plain) != plain:
            yield f"{layer.kind} with {name}={data[name]}"
    if data.get("pads_end", data.get("pads_begin")) != data.get("pads_begin"):
        yield f"{layer.kind} with unlike pads"


def _sorted(end: int, layers: dict[int, Layer]) -> Iterator[int]:
    """Yield the layers that `end` depends on, each behind all that it reads, `end` last."""
    seen: set[int] = set()
    stack = [(end, False)]
    while stack:
        number, ready = stack.pop()
        if ready:
            yield number
        elif number not in seen:
            seen.add(number)
            stack.append((number, True))
            stack.extend((source, False) for source, _ in layers[number].reads)


def _const(data: dict[str, str], weights: bytes, device: str) -> Tensor:
    shape = _whole(data["shape"])
    kind = TYPES[data["element_type"]]
    count = int(np.prod(shape))  # 1 for a number without axes
    values = np.frombuffer(weights, kind, count, int(data["offset"])).reshape(shape).copy()
    # Whole numbers are shapes and axes, which the operators read on the host.
    return torch.from_numpy(values).to(device if kind is np.float32 else "cpu")


def _whole(text: str) -> list[int]:
    return [int(word) for word in text.split(",") if word.strip()]


def _numbers(values: Tensor) -> list[int]:
    return [int(v) for v in values.reshape(-1)]


def _convolution(data: dict[str, str], x: Tensor, kernel: Tensor) -> Tensor:
    grouped = kernel.dim() == 5
    return functional.conv2d(
        x,
        kernel.flatten(0, 1) if grouped else kernel,
        stride=_whole(data["strides"]),
        padding=_whole(data["pads_begin"]),
        groups=len(kernel) if grouped else 1,
    )


def _transposed(data: dict[str, str], x: Tensor, kernel: Tensor) -> Tensor:
    return functional.conv_transpose2d(
        x,
        kernel.flatten(0, 1),
        stride=_whole(data["strides"]),
        padding=_whole(data["pads_begin"]),
        output_padding=_whole(data["output_padding"]),
        groups=len(kernel),
    )


def _product(data: dict[str, str], a: Tensor, b: Tensor) -> Tensor:
    turned = [data.get(f"transpose_{name}") == "true" for name in "ab"]
    return (a.mT if turned[0] else a) @ (b.mT if turned[1] else b)


def _prelu(data: dict[str, str], x: Tensor, slope: Tensor) -> Tensor:
    return functional.prelu(x, slope.reshape(-1))


def _reshape(data: dict[str, str], x: Tensor, shape: Tensor) -> Tensor:
    kept = data.get("special_zero") == "true"
    return x.reshape([x.shape[i] if kept and n == 0 else n for i, n in enumerate(_numbers(shape))])


def _gather(data: dict[str, str], x: Tensor, places: Tensor, axis: Tensor) -> Tensor:
    flat = x.index_select(int(axis), places.reshape(-1))
    return flat.unflatten(int(axis), places.shape) if places.dim() else flat.squeeze(int(axis))


def _squeeze(data: dict[str, str], x: Tensor, axes: Tensor) -> Tensor:
    return x.squeeze(tuple(_numbers(axes)))


def _unsqueeze(data: dict[str, str], x: Tensor, axes: Tensor) -> Tensor:
    for axis in sorted(_numbers(axes)):
        x = x.unsqueeze(axis)
    return x


def _split(data: dict[str, str], x: Tensor, axis: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
    given = _numbers(lengths)
    rest = x.shape[int(axis)] - sum(n for n in given if n >= 0)
    return torch.split(x, [rest if n < 0 else n for n in given], int(axis))


def _broadcast(data: dict[str, str], x: Tensor, shape: Tensor, *axes: Tensor) -> Tensor:
    return x.expand(torch.broadcast_shapes(x.shape, tuple(_numbers(shape))))


OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": lambda data, a, b: a + b,
    "Broadcast": _broadcast,
    "Concat": lambda data, *parts: torch.cat(parts, int(data["axis"])),
    "Convolution": _convolution,
    "Gather": _gather,
    "GroupConvolution": _convolution,
    "GroupConvolutionBackpropData": _transposed,
    "MatMul": _product,
    "Multiply": lambda data, a, b: a * b,
    "PReLU": _prelu,
    "Power": lambda data, a, b: a**b,
    "ReduceMean": lambda data, x, axes: x.mean(_numbers(axes), data.get("keep_dims") == "true"),
    "Reshape": _reshape,
    "Result": lambda data, x: x,
    "ShapeOf": lambda data, x: torch.tensor(x.shape),
    "Squeeze": _squeeze,
    "Tile": lambda data, x, times: x.repeat(_numbers(times)),
    "Unsqueeze": _unsqueeze,
    "VariadicSplit": _split,
}
