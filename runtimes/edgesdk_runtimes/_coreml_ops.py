"""Operators of the Core ML interpreter, by torch; Core ML's argument names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgesdk.core.errors import UnsupportedError
from edgesdk_runtimes import _coreml_spatial as spatial
from edgesdk_runtimes._coreml_spatial import whole

Given = Mapping[str, Any]


def operators() -> dict[str, Callable[[Given], Any]]:
    """Return the operators of usual networks by their Core ML names."""
    return {**_spatial(), **_products(), **_activations(), **_elementwise(), **_shapes()}


def _spatial() -> dict[str, Callable[[Given], Any]]:
    import torch.nn.functional as F

    return {
        "conv": spatial.conv,
        "conv_transpose": spatial.conv_transpose,
        "max_pool": spatial.max_pool,
        "avg_pool": spatial.avg_pool,
        "upsample_bilinear": spatial.upsample_bilinear,
        "upsample_nearest_neighbor": spatial.upsample_nearest,
        "resize_bilinear": spatial.resize_bilinear,
        "crop": spatial.crop,
        "pad": spatial.pad,
        "pixel_shuffle": lambda a: F.pixel_shuffle(a["x"], int(a["upscale_factor"])),
    }


def _products() -> dict[str, Callable[[Given], Any]]:
    import torch
    import torch.nn.functional as F

    return {
        "linear": lambda a: F.linear(a["x"], a["weight"], a.get("bias")),
        "matmul": _matmul,
        "einsum": lambda a: torch.einsum(str(a["equation"]), *a["values"]),
        "scaled_dot_product_attention": lambda a: F.scaled_dot_product_attention(
            a["query"], a["key"], a["value"], a.get("attn_mask")
        ),
        "layer_norm": _layer_norm,
        "instance_norm": lambda a: F.instance_norm(
            a["x"], weight=a.get("gamma"), bias=a.get("beta"), eps=_epsilon(a)
        ),
        "batch_norm": lambda a: F.batch_norm(
            a["x"], a["mean"], a["variance"], a.get("gamma"), a.get("beta"), eps=_epsilon(a)
        ),
        "reduce_mean": _reduced(torch.Tensor.mean),
        "reduce_sum": _reduced(torch.Tensor.sum),
        "reduce_max": _reduced(torch.amax),
        "reduce_min": _reduced(torch.amin),
        "reduce_l1_norm": _reduced(lambda x, *how: x.abs().sum(*how)),
        "reduce_l2_norm": _reduced(lambda x, *how: x.square().sum(*how).sqrt()),
        "reduce_sum_square": _reduced(lambda x, *how: x.square().sum(*how)),
        "reduce_log_sum_exp": _reduced(torch.logsumexp),
        "reduce_argmax": lambda a: a["x"].argmax(int(a["axis"]), bool(a["keep_dims"])),
        "cumsum": lambda a: a["x"].cumsum(int(a["axis"])),
    }


def _activations() -> dict[str, Callable[[Given], Any]]:
    import torch
    import torch.nn.functional as F

    return {
        "relu": lambda a: torch.relu(a["x"]),
        "relu6": lambda a: F.relu6(a["x"]),
        "clamped_relu": lambda a: F.leaky_relu(a["x"], float(a["alpha"])).clamp(
            max=float(a["beta"])
        ),
        "leaky_relu": lambda a: F.leaky_relu(a["x"], float(a["alpha"])),
        "prelu": lambda a: F.prelu(a["x"], torch.as_tensor(a["alpha"])),
        "thresholded_relu": lambda a: torch.where(a["x"] >= float(a["alpha"]), a["x"], 0.0),
        "elu": lambda a: F.elu(a["x"], float(a["alpha"])),
        "gelu": _gelu,
        "silu": lambda a: F.silu(a["x"]),
        "sigmoid": lambda a: torch.sigmoid(a["x"]),
        "sigmoid_hard": lambda a: (float(a["alpha"]) * a["x"] + float(a["beta"])).clamp(0, 1),
        "softmax": lambda a: torch.softmax(a["x"], int(a["axis"])),
        "softplus": lambda a: F.softplus(a["x"]),
        "tanh": lambda a: torch.tanh(a["x"]),
        "clip": lambda a: a["x"].clamp(float(a["alpha"]), float(a["beta"])),
    }


def _elementwise() -> dict[str, Callable[[Given], Any]]:
    import torch

    two = {
        "add": torch.add,
        "sub": torch.sub,
        "mul": torch.mul,
        "real_div": torch.true_divide,
        "floor_div": torch.floor_divide,
        "mod": torch.remainder,
        "pow": torch.pow,
        "maximum": torch.maximum,
        "minimum": torch.minimum,
        "equal": torch.eq,
        "not_equal": torch.ne,
        "less": torch.lt,
        "less_equal": torch.le,
        "greater": torch.gt,
        "greater_equal": torch.ge,
        "logical_and": torch.logical_and,
        "logical_or": torch.logical_or,
    }
    one = ("abs", "ceil", "cos", "erf", "exp", "floor", "round", "sign", "sin", "sqrt", "square")
    return {
        **{name: _of_two(function) for name, function in two.items()},
        **{name: _of_one(getattr(torch, name)) for name in one},
        "logical_not": _of_one(torch.logical_not),
        "rsqrt": lambda a: torch.rsqrt(a["x"] + _epsilon(a, 1e-12)),
        "inverse": lambda a: 1 / (a["x"] + _epsilon(a, 1e-4)),
        "log": lambda a: torch.log(a["x"] + _epsilon(a, 1e-45)),
        "select": lambda a: torch.where(*_tensors(a["cond"], a["a"], a["b"])),
        "identity": lambda a: a["x"],
        "cast": _cast,
    }


def _shapes() -> dict[str, Callable[[Given], Any]]:
    import torch

    return {
        "reshape": _reshape,
        "transpose": lambda a: a["x"].permute(whole(a["perm"])),
        "squeeze": lambda a: _tensor(a["x"]).squeeze(whole(a["axes"])),
        "expand_dims": _expand_dims,
        "concat": lambda a: torch.cat(
            [v.reshape(1) if v.ndim == 0 else v for v in _tensors(*a["values"])], int(a["axis"])
        ),
        "stack": lambda a: torch.stack(_tensors(*a["values"]), int(a["axis"])),
        "split": _split,
        "reverse": lambda a: a["x"].flip(_axes(a)),
        "tile": lambda a: a["x"].repeat(whole(a["reps"])),
        "shape": lambda a: torch.tensor(_tensor(a["x"]).shape, dtype=torch.int32),
        "fill": lambda a: torch.full(whole(a["shape"]), _plain(a["value"])),
        "range_1d": lambda a: torch.arange(*(_plain(a[n]) for n in ("start", "end", "step"))),
        "gather": _gather,
        "gather_along_axis": lambda a: torch.take_along_dim(
            a["x"], _tensor(a["indices"]).long(), int(a["axis"])
        ),
        "gather_nd": _gather_nd,
        "slice_by_index": _slice,
        "slice_by_size": _slice_by_size,
    }


def _tensor(value: Any) -> Any:
    import torch

    return torch.as_tensor(np.asarray(value)) if not isinstance(value, torch.Tensor) else value


def _tensors(*values: Any) -> list[Any]:
    return [_tensor(value) for value in values]


def _plain(value: Any) -> Any:
    return _tensor(value).item()


def _of_one(function: Callable[..., Any]) -> Callable[[Given], Any]:
    return lambda a: function(_tensor(a["x"]))


def _of_two(function: Callable[..., Any]) -> Callable[[Given], Any]:
    return lambda a: function(*_alike(a["x"], a["y"]))


def _alike(x: Any, y: Any) -> list[Any]:
    """Return two tensors; a number takes the type of the tensor beside it."""
    import torch

    first, second = _tensors(x, y)
    if isinstance(x, torch.Tensor) and not isinstance(y, torch.Tensor):
        second = second.to(first.dtype)
    elif isinstance(y, torch.Tensor) and not isinstance(x, torch.Tensor):
        first = first.to(second.dtype)
    return [first, second]


def _epsilon(a: Given, default: float = 1e-5) -> float:
    found = a.get("epsilon")
    return default if found is None else float(found)


def _matmul(a: Given) -> Any:
    x = a["x"].mT if a.get("transpose_x", False) else a["x"]
    y = a["y"].mT if a.get("transpose_y", False) else a["y"]
    return x @ y


def _layer_norm(a: Given) -> Any:
    import torch.nn.functional as F

    shape = [a["x"].shape[int(axis)] for axis in a["axes"]]
    return F.layer_norm(a["x"], shape, a.get("gamma"), a.get("beta"), _epsilon(a))


def _gelu(a: Given) -> Any:
    import torch
    import torch.nn.functional as F

    x, mode = a["x"], str(a.get("mode", "EXACT"))
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(1.702 * x)
    return F.gelu(x, approximate="none" if mode == "EXACT" else "tanh")


def _axes(a: Given) -> tuple[int, ...]:
    """Return the axes that are named, all of them where none is."""
    axes = a.get("axes")
    return whole(range(a["x"].ndim) if axes is None else axes)


def _reduced(function: Callable[..., Any]) -> Callable[[Given], Any]:
    def reduce(a: Given) -> Any:
        return function(a["x"], _axes(a), bool(a.get("keep_dims", False)))

    return reduce


def _reshape(a: Given) -> Any:
    """Reshape; 0 keeps a size, -1 takes the rest."""
    x = _tensor(a["x"])
    sizes = whole(a["shape"])
    return x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(sizes)])


def _expand_dims(a: Given) -> Any:
    x = _tensor(a["x"])
    for axis in sorted(whole(a["axes"])):
        x = x.unsqueeze(axis)
    return x


def _split(a: Given) -> Any:
    axis, sizes = int(a["axis"]), a.get("split_sizes")
    if sizes is not None:
        return list(a["x"].split(list(whole(sizes)), axis))
    return list(a["x"].tensor_split(int(a["num_splits"]), axis))


def _gather(a: Given) -> Any:
    import torch

    x, places, axis = _tensor(a["x"]), _tensor(a["indices"]).long(), int(a.get("axis", 0))
    found = torch.index_select(x, axis, places.reshape(-1) % x.shape[axis])
    axis %= x.ndim
    return found.reshape((*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


def _gather_nd(a: Given) -> Any:
    """Return the values at the places that the last axis of `indices` names."""
    if int(a.get("batch_dims", 0)):
        raise UnsupportedError("the Core ML interpreter has no gather_nd by batch")
    x, places = _tensor(a["x"]), _tensor(a["indices"]).long()
    sizes = _tensor(x.shape[: places.shape[-1]])
    return x[tuple((places % sizes).unbind(-1))]


def _slice(a: Given) -> Any:
    x = _tensor(a["x"])
    flags = {n: a.get(f"{n}_mask") for n in ("begin", "end", "squeeze")}
    masks = {n: [False] * x.ndim if m is None else [bool(v) for v in m] for n, m in flags.items()}
    strides = (1,) * x.ndim if a.get("stride") is None else whole(a["stride"])
    cut: list[Any] = []
    for axis, (first, end) in enumerate(zip(whole(a["begin"]), whole(a["end"]), strict=True)):
        start = None if masks["begin"][axis] else first
        stop = None if masks["end"][axis] else end
        cut.append(first if masks["squeeze"][axis] else slice(start, stop, strides[axis]))
    return x[tuple(cut)]


def _slice_by_size(a: Given) -> Any:
    x = _tensor(a["x"])
    for axis, (first, size) in enumerate(zip(whole(a["begin"]), whole(a["size"]), strict=True)):
        x = x.narrow(axis, first, x.shape[axis] - first if size == -1 else size)
    return x


def _cast(a: Given) -> Any:
    kind = str(a["dtype"])
    if kind == "bool":
        return _tensor(a["x"]).bool()
    # Floats are computed in float32, whole numbers in one type wide enough for all.
    return _tensor(a["x"]).float() if kind.startswith("fp") else _tensor(a["x"]).int()
