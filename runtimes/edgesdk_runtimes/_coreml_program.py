"""Run the program of a Core ML package in torch, operator by operator.

The package is read back from disk, weights included, so everything but Apple's own runtime
is checked. Arithmetic is float32 also for float16 packages, whose weights are rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UnsupportedError
from edgesdk.core.hush import hush
from edgesdk.core.tensors import Array


def read_program(path: Path) -> Program:
    """Return the runnable program of an .mlpackage."""
    # coremltools warns about torch's version and, off the Mac, about seven absent libraries.
    with hush():
        import coremltools as ct
        from coremltools.converters.mil.frontend.milproto import load

        model = ct.models.MLModel(str(path), skip_model_load=True)
        spec = model.get_spec()
        program = load.load(
            spec,
            specification_version=spec.specificationVersion,
            file_weights_dir=model.weights_dir,
        )
    return Program(program.functions["main"])


class Program:
    """One function of the program; `len` is its number of operators."""

    def __init__(self, function: Any) -> None:
        self._inputs = [v.name for v in function.inputs.values()]
        self._outputs = [v.name for v in function.outputs]
        self._steps = [op for op in function.operations if op.op_type != "const"]
        ops = _operators()
        unknown = {
            op.op_type
            for op in self._steps
            if op.op_type not in ops and not op.op_type.startswith("constexpr_")
        }
        if unknown:
            raise UnsupportedError(
                f"the Core ML interpreter has no operator {', '.join(sorted(unknown))}; "
                "verify the package on a Mac"
            )
        self._ops = ops

    def __len__(self) -> int:
        return len(self._steps)

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the outputs for `inputs`, in the function's order."""
        import torch

        with torch.inference_mode():
            values = {n: torch.tensor(a) for n, a in zip(self._inputs, inputs, strict=True)}
            for op in self._steps:
                self._step(op, values)
            return [values[name].float().numpy() for name in self._outputs]

    def _step(self, op: Any, values: dict[str, Any]) -> None:
        if op.op_type.startswith("constexpr_"):
            stored = op.outputs[0]
            known = stored.val is not None
            values[stored.name] = _tensor(stored.val if known else op.materialized_val_inference())
            return
        given = {k: _value(v, values) for k, v in op.inputs.items() if v is not None}
        answer = self._ops[op.op_type](given)
        parts = answer if isinstance(answer, list | tuple) else [answer]
        values.update((o.name, part) for o, part in zip(op.outputs, parts, strict=True))


def _tensor(array: Any) -> Any:
    import torch

    tensor = torch.from_numpy(np.array(array))
    return tensor.float() if tensor.is_floating_point() else tensor


def _value(v: Any, values: Mapping[str, Any]) -> Any:
    """Return a list, a computed value or a constant."""
    if isinstance(v, list | tuple):
        return [_value(part, values) for part in v]
    if v.name in values:
        return values[v.name]
    constant = isinstance(v.val, np.ndarray) and v.val.dtype.kind == "f"
    return _tensor(v.val) if constant else v.val


def _operators() -> dict[str, Callable[[Mapping[str, Any]], Any]]:
    """Return the operators that students use; Core ML's argument names."""
    import torch
    import torch.nn.functional as F

    return {
        "conv": _conv,
        "max_pool": _max_pool,
        "avg_pool": _avg_pool,
        "upsample_bilinear": _upsample_bilinear,
        "linear": lambda a: F.linear(a["x"], a["weight"], a.get("bias")),
        "matmul": _matmul,
        "relu": lambda a: torch.relu(a["x"]),
        "sigmoid": lambda a: torch.sigmoid(a["x"]),
        "softmax": lambda a: torch.softmax(a["x"], int(a["axis"])),
        "gelu": lambda a: F.gelu(a["x"], approximate=_gelu(a)),
        "layer_norm": _layer_norm,
        "add": lambda a: a["x"] + a["y"],
        "sub": lambda a: a["x"] - a["y"],
        "mul": lambda a: a["x"] * a["y"],
        "real_div": lambda a: a["x"] / a["y"],
        "maximum": lambda a: torch.maximum(*map(torch.as_tensor, (a["x"], a["y"]))),
        "minimum": lambda a: torch.minimum(*map(torch.as_tensor, (a["x"], a["y"]))),
        "clip": lambda a: a["x"].clamp(float(a["alpha"]), float(a["beta"])),
        "rsqrt": lambda a: torch.rsqrt(a["x"] + float(a["epsilon"])),
        "sqrt": lambda a: torch.sqrt(a["x"]),
        "square": lambda a: a["x"].square(),
        "reduce_mean": _reduced(torch.Tensor.mean),
        "reduce_sum": _reduced(torch.Tensor.sum),
        "reduce_sum_square": _reduced(lambda x, *how: x.square().sum(*how)),
        "reduce_l2_norm": _reduced(lambda x, *how: x.square().sum(*how).sqrt()),
        "reshape": lambda a: a["x"].reshape([int(n) for n in a["shape"]]),
        "transpose": lambda a: a["x"].permute([int(n) for n in a["perm"]]),
        "squeeze": lambda a: a["x"].squeeze(tuple(int(n) for n in a["axes"])),
        "expand_dims": _expand_dims,
        "concat": lambda a: torch.cat(a["values"], int(a["axis"])),
        "tile": lambda a: a["x"].repeat([int(n) for n in a["reps"]]),
        "shape": lambda a: np.array(a["x"].shape, np.int32),
        "identity": lambda a: a["x"],
        "cast": _cast,
    }


def _pair(values: Any) -> tuple[int, ...]:
    return tuple(int(v) for v in values)


def _padded(a: Mapping[str, Any], x: Any, kernel: Sequence[int], fill: float = 0.0) -> Any:
    """Pad [N, C, H, W] as Core ML's `pad_type` says."""
    import torch.nn.functional as F

    kind = a["pad_type"]
    if kind == "valid":
        return x
    if kind == "custom":
        top, bottom, left, right = _pair(a["pad"])
    elif kind in ("same", "same_lower"):
        strides, rooms = _pair(a["strides"]), []
        dilations = _pair(a.get("dilations", [1] * len(strides)))
        for size, k, s, d in zip(x.shape[2:], kernel, strides, dilations, strict=True):
            room = max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size)
            less, more = room // 2, room - room // 2
            rooms += [less, more] if kind == "same" else [more, less]
        top, bottom, left, right = rooms
    else:
        raise UnsupportedError(f"the Core ML interpreter has no pad_type {kind!r}")
    return F.pad(x, (left, right, top, bottom), value=fill)


def _conv(a: Mapping[str, Any]) -> Any:
    import torch.nn.functional as F

    x = _padded(a, a["x"], a["weight"].shape[2:])
    return F.conv2d(
        x, a["weight"], a.get("bias"), _pair(a["strides"]), 0, _pair(a["dilations"]),
        int(a["groups"]),
    )  # fmt: skip


def _max_pool(a: Mapping[str, Any]) -> Any:
    import torch.nn.functional as F

    kernel = _pair(a["kernel_sizes"])
    x = _padded(a, a["x"], kernel, float("-inf"))
    return F.max_pool2d(x, kernel, _pair(a["strides"]), ceil_mode=bool(a["ceil_mode"]))


def _avg_pool(a: Mapping[str, Any]) -> Any:
    import torch.nn.functional as F

    if a["pad_type"] != "valid" and any(_pair(a["pad"])):
        raise UnsupportedError("the Core ML interpreter has no padded avg_pool")
    return F.avg_pool2d(a["x"], _pair(a["kernel_sizes"]), _pair(a["strides"]))


def _upsample_bilinear(a: Mapping[str, Any]) -> Any:
    import torch.nn.functional as F

    corners = bool(a.get("align_corners", True))
    if a.get("half_pixel_centers", not corners) == corners:
        raise UnsupportedError("the Core ML interpreter has no bilinear upsampling by corners")
    factors = [a.get(f"scale_factor_{side}", 1) for side in ("height", "width")]
    # In float32 as Core ML does: 25 times its 32/25 is 32, in float64 a little less.
    sides = np.array(a["x"].shape[2:], np.float32) * np.array(factors, np.float32)
    side = sides.astype(int).tolist()
    return F.interpolate(a["x"], side, mode="bilinear", align_corners=corners)


def _matmul(a: Mapping[str, Any]) -> Any:
    x = a["x"].mT if a.get("transpose_x", False) else a["x"]
    y = a["y"].mT if a.get("transpose_y", False) else a["y"]
    return x @ y


def _layer_norm(a: Mapping[str, Any]) -> Any:
    import torch.nn.functional as F

    shape = [a["x"].shape[int(axis)] for axis in a["axes"]]
    return F.layer_norm(a["x"], shape, a.get("gamma"), a.get("beta"), float(a["epsilon"]))


def _gelu(a: Mapping[str, Any]) -> str:
    return "none" if a.get("mode", "EXACT") == "EXACT" else "tanh"


def _reduced(function: Callable[..., Any]) -> Callable[[Mapping[str, Any]], Any]:
    return lambda a: function(a["x"], _pair(a["axes"]), bool(a["keep_dims"]))


def _expand_dims(a: Mapping[str, Any]) -> Any:
    x = a["x"]
    for axis in sorted(_pair(a["axes"])):
        x = x.unsqueeze(axis)
    return x


def _cast(a: Mapping[str, Any]) -> Any:
    kinds = {"fp16": "float", "fp32": "float", "int32": "int", "bool": "bool"}
    return getattr(a["x"], kinds[str(a["dtype"])])()
