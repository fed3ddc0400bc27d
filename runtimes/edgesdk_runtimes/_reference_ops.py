"""Operators of the reference runtime: ONNX semantics (ai.onnx, opset 18 and up) in numpy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgesdk.core.errors import UnsupportedError
from edgesdk.core.tensors import Array
from edgesdk_runtimes import _reference_norm as norm
from edgesdk_runtimes import _reference_recurrent as recurrent
from edgesdk_runtimes import _reference_spatial as spatial
from edgesdk_runtimes._reference_resize import resize

Attrs = Mapping[str, Any]
DTYPES = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}


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


def gather(attrs: Attrs, x: Array, places: Array) -> Array:
    """Take along an axis."""
    return np.asarray(np.take(x, places, attrs.get("axis", 0)))


def slice_(
    attrs: Attrs,
    x: Array,
    starts: Array,
    ends: Array,
    axes: Array | None = None,
    steps: Array | None = None,
) -> Array:
    """Take a range of each axis."""
    named = range(len(starts)) if axes is None else axes.tolist()
    paces = [1] * len(starts) if steps is None else steps.tolist()
    cut = [slice(None)] * x.ndim
    for axis, start, end, pace in zip(named, starts.tolist(), ends.tolist(), paces, strict=True):
        # -1 behind the first element, going back, is an end that Python has no number for.
        through = pace < 0 and end < -x.shape[axis]
        cut[axis] = slice(start, None if through else end, pace)
    return x[tuple(cut)]


def split(attrs: Attrs, x: Array, sizes: Array | None = None) -> tuple[Array, ...]:
    """Cut along an axis into sizes, or into equal parts."""
    axis = attrs.get("axis", 0)
    if sizes is None:
        count = attrs["num_outputs"]
        step = -(-x.shape[axis] // count)
        return tuple(np.split(x, range(step, x.shape[axis], step), axis))
    return tuple(np.split(x, np.cumsum(sizes)[:-1].tolist(), axis))


def expand(attrs: Attrs, x: Array, shape: Array) -> Array:
    """Repeat axes of size 1; a size of 1 in `shape` keeps that of x."""
    return np.asarray(np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape.tolist()))))


def pad(
    attrs: Attrs,
    x: Array,
    pads: Array,
    value: Array | None = None,
    axes: Array | None = None,
) -> Array:
    """Pad; a negative number is not known."""
    mode = attrs.get("mode", "constant")
    named = range(x.ndim) if axes is None else axes.tolist()
    if mode not in ("constant", "reflect", "edge") or (pads < 0).any():
        raise UnsupportedError(f"the reference runtime has no Pad {mode} by {pads.tolist()}")
    rooms = [(0, 0)] * x.ndim
    for axis, pair in zip(named, pads.reshape(2, -1).T.tolist(), strict=True):
        rooms[axis] = tuple(pair)
    fill = {"constant_values": 0 if value is None else value} if mode == "constant" else {}
    return np.pad(x, rooms, mode, **fill)


def range_(attrs: Attrs, first: Array, end: Array, step: Array) -> Array:
    """Return numbers from `first` to before `end`."""
    count = max(0, math.ceil((end.item() - first.item()) / step.item()))
    return np.asarray(first + np.arange(count, dtype=first.dtype) * step)


def mod(attrs: Attrs, x: Array, y: Array) -> Array:
    """Return the rest: with the sign of y, or of x where `fmod` says so."""
    return np.asarray((np.fmod if attrs.get("fmod", 0) else np.mod)(x, y))


def divide(attrs: Attrs, x: Array, y: Array) -> Array:
    """Divide; whole numbers are cut towards zero."""
    if x.dtype.kind == "f":
        return np.asarray(x / y)
    return np.asarray(np.trunc(x / y).astype(x.dtype))


def prelu(attrs: Attrs, x: Array, slope: Array) -> Array:
    """Return x, below zero times a slope that is one, per channel or per place."""
    return np.where(x < 0, x * slope, x)


def erf(x: Array) -> Array:
    """Return the error function; in float64 by a series and its continued fraction."""
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x), x.dtype)


def gelu(attrs: Attrs, x: Array) -> Array:
    """Return x times the normal distribution below it."""
    if attrs.get("approximate", "none") == "tanh":
        inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x**3)
        return np.asarray(0.5 * x * (1 + np.tanh(inner)), x.dtype)
    return np.asarray(0.5 * x * (1 + erf(x / np.float32(math.sqrt(2)))), x.dtype)


def _bent(function: Callable[[Array, float], Array], alpha: float) -> Callable[..., Array]:
    """Return an activation that is the identity above zero and `function` below."""
    return lambda attrs, x: np.where(
        x > 0, x, function(np.minimum(x, 0), attrs.get("alpha", alpha)).astype(x.dtype)
    )


def hard_sigmoid(attrs: Attrs, x: Array) -> Array:
    """Return alpha x + beta, cut to 0..1."""
    slope, start = (np.float32(attrs.get(n, v)) for n, v in (("alpha", 0.2), ("beta", 0.5)))
    return np.asarray(np.clip(x * slope + start, 0, 1))


def arg_max(attrs: Attrs, x: Array) -> Array:
    """Return the place of the largest value, the first of equals."""
    found = np.argmax(x, attrs.get("axis", 0))
    kept = attrs.get("keepdims", 1)
    return np.asarray(np.expand_dims(found, attrs.get("axis", 0)) if kept else found)


def _typed(function: Callable[..., Any]) -> Callable[..., Array]:
    """Return a function of values that keeps their type."""
    return lambda attrs, x, *more: np.asarray(function(x, *more)).astype(x.dtype, copy=False)


def _plain(function: Callable[..., Any]) -> Callable[..., Array]:
    return lambda attrs, *inputs: np.asarray(function(*inputs))


def _concat(attrs: Attrs, *parts: Array) -> Array:
    return np.concatenate(parts, attrs["axis"])


OPS: dict[str, Callable[..., Any]] = {
    "Conv": spatial.conv,
    "ConvTranspose": spatial.conv_transpose,
    "MaxPool": spatial.max_pool,
    "AveragePool": spatial.average_pool,
    "DepthToSpace": spatial.depth_to_space,
    "SpaceToDepth": spatial.space_to_depth,
    "GlobalAveragePool": _plain(lambda x: x.mean(tuple(range(2, x.ndim)), keepdims=True)),
    "GlobalMaxPool": _plain(lambda x: x.max(tuple(range(2, x.ndim)), keepdims=True)),
    "Resize": resize,
    "LayerNormalization": norm.layer_normalization,
    "InstanceNormalization": norm.instance_normalization,
    "GroupNormalization": norm.group_normalization,
    "BatchNormalization": norm.batch_normalization,
    "LpNormalization": norm.lp_normalization,
    "Softmax": norm.softmax,
    "LogSoftmax": norm.log_softmax,
    "GRU": recurrent.gru,
    "LSTM": recurrent.lstm,
    "Gemm": gemm,
    "Einsum": lambda attrs, *x: np.asarray(np.einsum(attrs["equation"], *x, optimize=True)),
    "ReduceMean": _reduce(np.mean),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(np.prod),
    "ReduceL1": _reduce(lambda x, **over: np.abs(x).sum(**over)),
    "ReduceL2": _reduce(lambda x, **over: np.sqrt((x * x).sum(**over))),
    "ReduceSumSquare": _reduce(lambda x, **over: (x * x).sum(**over)),
    "ReduceLogSum": _reduce(lambda x, **over: np.log(x.sum(**over))),
    "ReduceLogSumExp": _reduce(lambda x, **over: np.log(np.exp(x).sum(**over))),
    "ArgMax": arg_max,
    "Shape": lambda attrs, x: np.array(x.shape[attrs.get("start", 0) : attrs.get("end")]),
    "Gather": gather,
    "Slice": slice_,
    "Split": split,
    "Expand": expand,
    "Pad": pad,
    "Tile": _plain(lambda x, times: np.tile(x, times.tolist())),
    "Where": _plain(np.where),
    "Range": range_,
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
    "Div": divide,
    "Mod": mod,
    "Pow": _plain(lambda x, y: np.power(x, y).astype(x.dtype)),
    "Sqrt": _plain(np.sqrt),
    "Reciprocal": _plain(lambda x: 1 / x),
    "Abs": _plain(np.abs),
    "Neg": _plain(np.negative),
    "Exp": _plain(np.exp),
    "Log": _plain(np.log),
    "Sin": _plain(np.sin),
    "Cos": _plain(np.cos),
    "Tanh": _plain(np.tanh),
    "Erf": _plain(erf),
    "Floor": _plain(np.floor),
    "Ceil": _plain(np.ceil),
    "Round": _plain(np.rint),
    "Sign": _plain(np.sign),
    "Not": _plain(np.logical_not),
    "And": _plain(np.logical_and),
    "Or": _plain(np.logical_or),
    "Equal": _plain(np.equal),
    "Less": _plain(np.less),
    "LessOrEqual": _plain(np.less_equal),
    "Greater": _plain(np.greater),
    "GreaterOrEqual": _plain(np.greater_equal),
    "Sigmoid": _plain(recurrent.sigmoid),
    "PRelu": prelu,
    "LeakyRelu": _bent(lambda x, alpha: alpha * x, 0.01),
    "Elu": _bent(lambda x, alpha: alpha * np.expm1(x), 1.0),
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": _typed(lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "Mish": _typed(lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    "Softplus": _typed(lambda x: np.logaddexp(0, x)),
    "Max": _plain(lambda *x: np.maximum.reduce(x)),
    "Min": _plain(lambda *x: np.minimum.reduce(x)),
}
