"""Convolutions, pools and resizing of the Core ML interpreter, by torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesdk.core.errors import UnsupportedError

Given = Mapping[str, Any]


def whole(values: Any) -> tuple[int, ...]:
    """Return numbers, from wherever they come, as Python's integers."""
    return tuple(int(v) for v in values)


def _each(a: Given, name: str, count: int) -> tuple[int, ...]:
    """Return an optional setting of every axis of places; absent, it is 1."""
    found = a.get(name)
    return (1,) * count if found is None else whole(found)


def _by_axes(name: str, x: Any) -> Any:
    """Return torch's function for as many axes of places as `x` has, such as conv2d."""
    import torch.nn.functional as F

    return getattr(F, f"{name}{x.ndim - 2}d")


def _pads(a: Given, sizes: Sequence[int], kernel: Sequence[int]) -> list[tuple[int, int]]:
    """Return what `pad_type` puts before and after each axis of places."""
    kind, count = a.get("pad_type", "valid"), len(kernel)
    if kind == "valid":
        return [(0, 0)] * count
    if kind == "custom":
        given = whole(a["pad"])
        return list(zip(given[::2], given[1::2], strict=True))
    if kind not in ("same", "same_lower"):
        raise UnsupportedError(f"the Core ML interpreter has no pad_type {kind!r}")
    strides, dilations, rooms = _each(a, "strides", count), _each(a, "dilations", count), []
    for size, k, s, d in zip(sizes, kernel, strides, dilations, strict=True):
        room = max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size)
        less, more = room // 2, room - room // 2
        rooms.append((less, more) if kind == "same" else (more, less))
    return rooms


def _padded(a: Given, x: Any, kernel: Sequence[int], fill: float = 0.0) -> Any:
    import torch.nn.functional as F

    pads = _pads(a, x.shape[2:], kernel)
    return F.pad(x, [n for pair in reversed(pads) for n in pair], value=fill)


def conv(a: Given) -> Any:
    """Convolve by [M, C / groups, *kernel]."""
    weight = a["weight"]
    count = weight.ndim - 2
    return _by_axes("conv", weight)(
        _padded(a, a["x"], weight.shape[2:]),
        weight,
        a.get("bias"),
        _each(a, "strides", count),
        0,
        _each(a, "dilations", count),
        int(a.get("groups", 1)),
    )


def conv_transpose(a: Given) -> Any:
    """Spread by [C, M / groups, *kernel], and cut off the padding."""
    x, weight = a["x"], a["weight"]
    count = weight.ndim - 2
    if a.get("pad_type", "valid") not in ("valid", "custom"):
        raise UnsupportedError("the Core ML interpreter has no conv_transpose padded as 'same'")
    strides, dilations = _each(a, "strides", count), _each(a, "dilations", count)
    spread = _by_axes("conv_transpose", weight)(
        x, weight, a.get("bias"), strides, 0, 0, int(a.get("groups", 1)), dilations
    )
    pads, shape = _pads(a, x.shape[2:], weight.shape[2:]), a.get("output_shape")
    for axis, (before, after) in enumerate(pads, 2):
        size = spread.shape[axis] - before - after if shape is None else int(shape[axis])
        missing = size - (spread.shape[axis] - before)
        if missing > 0:
            raise UnsupportedError("the Core ML interpreter has no conv_transpose made larger")
        spread = spread.narrow(axis, before, size)
    return spread


def max_pool(a: Given) -> Any:
    """Return the largest value of each window."""
    kernel = whole(a["kernel_sizes"])
    x = _padded(a, a["x"], kernel, float("-inf"))
    ceil = bool(a.get("ceil_mode", False))
    return _by_axes("max_pool", x)(x, kernel, _each(a, "strides", len(kernel)), ceil_mode=ceil)


def avg_pool(a: Given) -> Any:
    """Return the mean of each window, padding counted unless it is excluded."""
    import torch

    x, kernel = a["x"], whole(a["kernel_sizes"])
    ceil = bool(a.get("ceil_mode", False))
    pads = _pads(a, x.shape[2:], kernel)
    if ceil and any(before != after for before, after in pads):
        raise UnsupportedError("the Core ML interpreter has no avg_pool that is padded unevenly")
    strides, pool = _each(a, "strides", len(kernel)), _by_axes("avg_pool", x)
    if ceil:
        counted = not bool(a.get("exclude_padding_from_average", False))
        return pool(x, kernel, strides, [n for n, _ in pads], True, counted)
    means = pool(_padded(a, x, kernel), kernel, strides)
    if bool(a.get("exclude_padding_from_average", False)):
        means = means / pool(_padded(a, torch.ones_like(x), kernel), kernel, strides)
    return means


def upsample_bilinear(a: Given) -> Any:
    """Enlarge by factors."""
    import torch.nn.functional as F

    corners = bool(a.get("align_corners", True))
    if a.get("half_pixel_centers", not corners) == corners:
        raise UnsupportedError("the Core ML interpreter has no bilinear upsampling by corners")
    return F.interpolate(a["x"], _enlarged(a), mode="bilinear", align_corners=corners)


def upsample_nearest(a: Given) -> Any:
    """Enlarge by factors, each place taking its nearest."""
    import torch.nn.functional as F

    return F.interpolate(a["x"], _enlarged(a), mode="nearest")


def _enlarged(a: Given) -> list[int]:
    factors = [a.get(f"scale_factor_{side}", 1) for side in ("height", "width")]
    # In float32 as Core ML does: 25 times its 32/25 is 32, in float64 a little less.
    sides = np.array(a["x"].shape[2:], np.float32) * np.array(factors, np.float32)
    return [int(side) for side in sides]


def resize_bilinear(a: Given) -> Any:
    """Resize to a size."""
    import torch.nn.functional as F

    mode = str(a.get("sampling_mode", "DEFAULT"))
    if mode not in ("UNALIGN_CORNERS", "STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        raise UnsupportedError(f"the Core ML interpreter has no resize_bilinear by {mode}")
    size = [int(a["target_size_height"]), int(a["target_size_width"])]
    return F.interpolate(a["x"], size, mode="bilinear", align_corners=mode != "UNALIGN_CORNERS")


def crop(a: Given) -> Any:
    """Cut off what stands at the edges of the last two axes."""
    (top, bottom), (left, right) = whole(a["crop_height"]), whole(a["crop_width"])
    height, width = a["x"].shape[-2:]
    return a["x"][..., top : height - bottom, left : width - right]


def pad(a: Given) -> Any:
    """Pad the last axes."""
    import torch.nn.functional as F

    given, mode = whole(a["pad"]), str(a.get("mode", "constant"))
    pairs = list(zip(given[::2], given[1::2], strict=True))
    while pairs and pairs[0] == (0, 0):
        pairs.pop(0)
    flat = [n for pair in reversed(pairs) for n in pair]
    if mode == "constant":
        return F.pad(a["x"], flat, value=float(a.get("constant_val", 0.0)))
    return F.pad(a["x"], flat, mode={"reflect": "reflect", "replicate": "replicate"}[mode])
