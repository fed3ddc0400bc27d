"""Operators of the reference runtime: ONNX semantics (ai.onnx, opset 18 and up) in numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgesdk.core.errors import UnsupportedError
from edgesdk.core.tensors import Array

Attrs = Mapping[str, Any]
DTYPES = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}


def _pads(attrs: Attrs, kernel: tuple[int, int]) -> list[tuple[int, int]]:
    if attrs.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise UnsupportedError(f"the reference runtime has no auto_pad {attrs['auto_pad']!r}")
    top, left, bottom, right = attrs.get("pads", [0, 0, 0, 0])
    return [(0, 0), (0, 0), (top, bottom), (left, right)]


def _windows(x: Array, attrs: Attrs, kernel: tuple[int, int], fill: float) -> Array:
    """Return [N, C, H', W', kh, kw] views of the padded [N, C, H, W]."""
    padded = np.pad(x, _pads(attrs, kernel), constant_values=fill)
    dilation, stride = attrs.get("dilations", [1, 1]), attrs.get("strides", [1, 1])
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    view: Array = np.lib.stride_tricks.sliding_window_view(padded, reach, (2, 3))
    return view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def conv(attrs: Attrs, x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Convolve [N, C, H, W] by [M, C / groups, kh, kw]."""
    groups = attrs.get("group", 1)
    windows = _windows(x, attrs, weight.shape[2:], 0.0)
    parts = [
        np.einsum("nchwij,mcij->nmhw", part, kernel, optimize=True)
        for part, kernel in zip(
            np.split(windows, groups, 1), np.split(weight, groups, 0), strict=True
        )
    ]
    result: Array = np.concatenate(parts, 1)
    return result if bias is None else result + bias[:, None, None]


def _pooled(op: str, attrs: Attrs, x: Array, fill: float) -> Array:
    """Return the windows that a pool of [N, C, H, W] makes one value of."""
    if attrs.get("ceil_mode", 0):
        raise UnsupportedError(f"the reference runtime has no {op} with ceil_mode")
    return _windows(x, attrs, tuple(attrs["kernel_shape"]), fill)


def max_pool(attrs: Attrs, x: Array) -> Array:
    """Return the largest value of each window."""
    result: Array = _pooled("MaxPool", attrs, x, -np.inf).max((4, 5))
    return result


def average_pool(attrs: Attrs, x: Array) -> Array:
    """Return the mean of each window; padding counts if `count_include_pad` says so."""
    means: Array = _pooled("AveragePool", attrs, x, 0.0).mean((4, 5))
    if attrs.get("count_include_pad", 0):
        return means
    inside = _pooled("AveragePool", attrs, np.ones_like(x[:1, :1]), 0.0)
    return np.asarray(means / inside.mean((4, 5)))


# The values of a Resize that is bilinear, each pixel a square.
BILINEAR = {
    "mode": "linear",
    "coordinate_transformation_mode": "half_pixel",
    "antialias": 0,
    "axes": [],
    "keep_aspect_ratio_policy": "stretch",
}
RESIZE_DEFAULTS = BILINEAR | {"mode": "nearest"}


def resize(
    attrs: Attrs,
    x: Array,
    roi: Array | None = None,
    scales: Array | None = None,
    sizes: Array | None = None,
) -> Array:
    """Resize [N, C, H, W] bilinearly."""
    asked = {**RESIZE_DEFAULTS, **attrs}
    if x.ndim != 4 or any(asked[name] != value for name, value in BILINEAR.items()):
        raise UnsupportedError(
            "the reference runtime has no Resize but linear half_pixel of [N, C, H, W], "
            f"found {dict(attrs)} of {list(x.shape)}"
        )
    shape = np.array(x.shape, np.float32)
    if sizes is not None:
        scales = sizes / shape
    elif scales is not None:
        sizes = np.floor(shape * scales)
    if sizes is None or scales is None:
        raise UnsupportedError("the reference runtime has no Resize without factors or sizes")
    if tuple(sizes[:2]) != x.shape[:2]:
        raise UnsupportedError("the reference runtime has no Resize of batch or channels")
    ways = zip(x.shape[2:], sizes[2:].astype(int), scales[2:], strict=True)
    rows, columns = (_linear(*way) for way in ways)
    result: Array = (rows @ x @ columns.T).astype(x.dtype)
    return result


def _linear(before: int, after: int, scale: float) -> Array:
    """Return [after, before]: what each place takes of the two nearest; the edge goes on."""
    places = ((np.arange(after) + 0.5) / scale - 0.5).clip(0, before - 1)
    distance = np.abs(places[:, None] - np.arange(before))
    weights: Array = np.maximum(0, 1 - distance).astype(np.float32)
    return weights


def gemm(attrs: Attrs, a: Array, b: Array, c: Array | None = None) -> Array:
    """Return alpha * a @ b + beta * c."""
    left = a.T if attrs.get("transA", 0) else a
    right = b.T if attrs.get("transB", 0) else b
    product: Array = np.float32(attrs.get("alpha", 1.0)) * (left @ right)
    return product if c is None else product + np.float32(attrs.get("beta", 1.0)) * c


def _reduce(function: Callable[..., Any]) -> Callable[..., Array]:
    def reduce(attrs: Attrs, x: Array, axes: Array | None = None) -> Array:
        named = attrs.get("axes") if axes is None else axes.tolist()
        if not named and attrs.get("noop_with_empty_axes", 0):
            return x
        over = tuple(named) if named else None
        return np.asarray(function(x, axis=over, keepdims=bool(attrs.get("keepdims", 1))))

    return reduce


def reshape(attrs: Attrs, x: Array, shape: Array) -> Array:
    """Reshape; 0 keeps a size, -1 takes the rest."""
    keep = not attrs.get("allowzero", 0)
    sizes = [x.shape[i] if n == 0 and keep else int(n) for i, n in enumerate(shape)]
    return x.reshape(sizes)


def flatten(attrs: Attrs, x: Array) -> Array:
    """Flatten to two dimensions around an axis."""
    axis = attrs.get("axis", 1)
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


def squeeze(attrs: Attrs, x: Array, axes: Array | None = None) -> Array:
    """Drop axes of size 1."""
    return np.squeeze(x, None if axes is None else tuple(axes.tolist()))


def unsqueeze(attrs: Attrs, x: Array, axes: Array) -> Array:
    """Insert axes of size 1."""
    return np.expand_dims(x, tuple(axes.tolist()))


def clip(attrs: Attrs, x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    """Limit values to low..high."""
    return np.clip(x, low, high)


def cast(attrs: Attrs, x: Array) -> Array:
    """Change the element type."""
    if attrs["to"] not in DTYPES:
        raise UnsupportedError(f"the reference runtime has no Cast to ONNX type {attrs['to']}")
    return x.astype(DTYPES[attrs["to"]])


def _plain(function: Callable[..., Any]) -> Callable[..., Array]:
    return lambda attrs, *inputs: np.asarray(function(*inputs))


def _concat(attrs: Attrs, *parts: Array) -> Array:
    return np.concatenate(parts, attrs["axis"])


OPS: dict[str, Callable[..., Any]] = {
    "Conv": conv,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "Gemm": gemm,
    "ReduceMean": _reduce(np.mean),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "GlobalAveragePool": _plain(lambda x: x.mean((2, 3), keepdims=True)),
    "Resize": resize,
    "Shape": lambda attrs, x: np.array(x.shape[attrs.get("start", 0) : attrs.get("end")]),
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": lambda attrs, x: np.transpose(x, attrs.get("perm")),
    "Clip": clip,
    "Cast": cast,
    "Concat": _concat,
    "Identity": _plain(lambda x: x),
    "Relu": _plain(lambda x: np.maximum(x, x.dtype.type(0))),
    "MatMul": _plain(np.matmul),
    "Add": _plain(np.add),
    "Sub": _plain(np.subtract),
    "Mul": _plain(np.multiply),
    "Div": _plain(np.divide),
    "Pow": _plain(lambda x, y: np.power(x, y).astype(x.dtype)),
    "Sqrt": _plain(np.sqrt),
    "Reciprocal": _plain(lambda x: 1 / x),
    "Abs": _plain(np.abs),
    "Neg": _plain(np.negative),
    "Exp": _plain(np.exp),
    "Sigmoid": _plain(lambda x: 1 / (1 + np.exp(-x))),
    "Max": _plain(lambda *x: np.maximum.reduce(x)),
    "Min": _plain(lambda *x: np.minimum.reduce(x)),
}
