"""Convolutions and pools of the reference runtime, for any number of places' axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from edgesdk.core.errors import UnsupportedError
from edgesdk.core.tensors import Array

Attrs = Mapping[str, Any]


def _reach(attrs: Attrs, kernel: Sequence[int]) -> list[int]:
    dilations = attrs.get("dilations", [1] * len(kernel))
    return [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]


def _pads(attrs: Attrs, kernel: Sequence[int], sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return what is put before and after each axis of places."""
    kind, count = attrs.get("auto_pad", "NOTSET"), len(kernel)
    if kind == "VALID":
        return [(0, 0)] * count
    if kind == "NOTSET":
        pads = attrs.get("pads", [0] * 2 * count)
        return list(zip(pads[:count], pads[count:], strict=True))
    strides, rooms = attrs.get("strides", [1] * count), []
    for size, reach, stride in zip(sizes, _reach(attrs, kernel), strides, strict=True):
        room = max(0, (-(-size // stride) - 1) * stride + reach - size)
        less, more = room // 2, room - room // 2
        rooms.append((less, more) if kind == "SAME_UPPER" else (more, less))
    return rooms


def _windows(
    x: Array, attrs: Attrs, kernel: Sequence[int], pads: Sequence[tuple[int, int]], fill: float
) -> Array:
    """Return [N, C, *places, *kernel] views of the padded [N, C, *places]."""
    count = len(kernel)
    padded = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=fill)
    axes = tuple(range(2, 2 + count))
    view = np.lib.stride_tricks.sliding_window_view(padded, _reach(attrs, kernel), axes)
    strides = attrs.get("strides", [1] * count)
    dilations = attrs.get("dilations", [1] * count)
    every = (slice(None), slice(None))
    cut: Array = view[(*every, *(slice(None, None, s) for s in (*strides, *dilations)))]
    return cut


def conv(attrs: Attrs, x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Convolve [N, C, *places] by [M, C / groups, *kernel]."""
    kernel, groups = weight.shape[2:], attrs.get("group", 1)
    windows = _windows(x, attrs, kernel, _pads(attrs, kernel, x.shape[2:]), 0.0)
    count = len(kernel)
    over = (1, *range(2 + count, 2 + 2 * count))
    parts = [
        np.moveaxis(np.tensordot(part, filters, (over, tuple(range(1, 2 + count)))), -1, 1)
        for part, filters in zip(
            np.split(windows, groups, 1), np.split(weight, groups, 0), strict=True
        )
    ]
    return _with_bias(np.concatenate(parts, 1), bias)


def _with_bias(result: Array, bias: Array | None) -> Array:
    return result if bias is None else result + bias.reshape(-1, *[1] * (result.ndim - 2))


def conv_transpose(attrs: Attrs, x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Spread [N, C, *places] by [C, M / groups, *kernel]."""
    kernel, groups = weight.shape[2:], attrs.get("group", 1)
    count = len(kernel)
    strides = attrs.get("strides", [1] * count)
    dilations = attrs.get("dilations", [1] * count)
    extra = attrs.get("output_padding", [0] * count)
    if attrs.get("auto_pad", "NOTSET") != "NOTSET" or "output_shape" in attrs:
        raise UnsupportedError("the reference runtime has no ConvTranspose but by its pads")
    full = [
        (n - 1) * s + r + e
        for n, s, r, e in zip(x.shape[2:], strides, _reach(attrs, kernel), extra, strict=True)
    ]
    out = np.zeros((len(x), weight.shape[1] * groups, *full), x.dtype)
    parts = zip(np.split(x, groups, 1), np.split(weight, groups), strict=True)
    spread = [np.moveaxis(np.tensordot(p, w, ((1,), (0,))), 1 + count, 1) for p, w in parts]
    values = np.concatenate(spread, 1)  # [N, M, *places, *kernel]
    every: list[Any] = [slice(None)] * (2 + count)
    for place in product(*(range(k) for k in kernel)):
        starts = [i * d for i, d in zip(place, dilations, strict=True)]
        where = (
            slice(a, a + (n - 1) * s + 1, s)
            for a, n, s in zip(starts, x.shape[2:], strides, strict=True)
        )
        out[(slice(None), slice(None), *where)] += values[(*every, *place)]
    pads = _pads(attrs, kernel, x.shape[2:])
    kept = (slice(a, n - b) for (a, b), n in zip(pads, full, strict=True))
    return _with_bias(out[(slice(None), slice(None), *kept)], bias)


def _rooms(attrs: Attrs, x: Array) -> Iterator[tuple[tuple[int, int], int]]:
    """Yield the pads of each axis, and what a last window beyond them needs (ceil_mode)."""
    kernel = attrs["kernel_shape"]
    sizes, strides = x.shape[2:], attrs.get("strides", [1] * len(kernel))
    pads, reaches = _pads(attrs, kernel, sizes), _reach(attrs, kernel)
    for size, (before, after), reach, stride in zip(sizes, pads, reaches, strides, strict=True):
        room = size + before + after - reach
        windows = -(-room // stride) if attrs.get("ceil_mode", 0) else room // stride
        if windows * stride >= size + before:  # it would see nothing of the picture
            windows -= 1
        yield (before, after), max(0, windows * stride - room)


def _pooled(attrs: Attrs, x: Array, fill: float, more_fill: float) -> Array:
    """Return the windows that a pool of [N, C, *places] makes one value of."""
    rooms = list(_rooms(attrs, x))
    padded = np.pad(x, [(0, 0), (0, 0), *(pads for pads, _ in rooms)], constant_values=fill)
    beyond = [(0, extra) for _, extra in rooms]
    return _windows(padded, attrs, attrs["kernel_shape"], beyond, more_fill)


def _last(attrs: Attrs, x: Array) -> tuple[int, ...]:
    return tuple(range(x.ndim, x.ndim + len(attrs["kernel_shape"])))


def max_pool(attrs: Attrs, x: Array) -> Array:
    """Return the largest value of each window."""
    result: Array = _pooled(attrs, x, -np.inf, -np.inf).max(_last(attrs, x))
    return result


def average_pool(attrs: Attrs, x: Array) -> Array:
    """Return the mean of each window; padding counts if `count_include_pad` says so."""
    sums = _pooled(attrs, x, 0.0, 0.0).sum(_last(attrs, x))
    counts = float(bool(attrs.get("count_include_pad", 0)))
    inside = _pooled(attrs, np.ones_like(x[:1, :1]), counts, 0.0).sum(_last(attrs, x))
    return np.asarray(sums / inside)


def depth_to_space(attrs: Attrs, x: Array) -> Array:
    """Move channels to places: [N, C, H, W] to [N, C / b², H b, W b]."""
    block, (n, c, h, w) = attrs["blocksize"], x.shape
    if attrs.get("mode", "DCR") == "DCR":
        parts = x.reshape(n, block, block, c // block**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(n, c // block**2, block, block, h, w).transpose(0, 1, 4, 2, 5, 3)
    return parts.reshape(n, c // block**2, h * block, w * block)


def space_to_depth(attrs: Attrs, x: Array) -> Array:
    """Move places to channels: [N, C, H, W] to [N, C b², H / b, W / b]."""
    block, (n, c, h, w) = attrs["blocksize"], x.shape
    parts = x.reshape(n, c, h // block, block, w // block, block).transpose(0, 3, 5, 1, 2, 4)
    return parts.reshape(n, c * block**2, h // block, w // block)
