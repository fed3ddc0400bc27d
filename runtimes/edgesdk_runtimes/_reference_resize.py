"""Resize of the reference runtime: one matrix per axis, nearest, linear or cubic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgesdk.core.errors import UnsupportedError
from edgesdk.core.tensors import Array

Attrs = Mapping[str, Any]
DEFAULTS = {
    "mode": "nearest",
    "coordinate_transformation_mode": "half_pixel",
    "nearest_mode": "round_prefer_floor",
    "cubic_coeff_a": -0.75,
    "keep_aspect_ratio_policy": "stretch",
    "antialias": 0,
    "exclude_outside": 0,
}
# Settings that would change the answer, with the one value that is known here.
PLAIN = {"keep_aspect_ratio_policy": "stretch", "antialias": 0, "exclude_outside": 0}


def resize(
    attrs: Attrs,
    x: Array,
    roi: Array | None = None,
    scales: Array | None = None,
    sizes: Array | None = None,
) -> Array:
    """Resize every axis whose size changes, the others stay as they are."""
    asked = {**DEFAULTS, **attrs}
    unknown = {name: asked[name] for name, value in PLAIN.items() if asked[name] != value}
    if unknown:
        raise UnsupportedError(f"the reference runtime has no Resize with {unknown}")
    axes = [axis % x.ndim for axis in attrs.get("axes") or range(x.ndim)]
    factors, after = _targets(np.array([x.shape[axis] for axis in axes]), scales, sizes)
    for axis, factor, size in zip(axes, factors, after, strict=True):
        if factor != 1 or size != x.shape[axis]:
            weights = _weights(asked, x.shape[axis], int(size), float(factor))
            moved = np.moveaxis(x, axis, -1) @ weights.T
            x = np.moveaxis(moved, -1, axis).astype(x.dtype)
    return x


def _targets(before: Array, scales: Array | None, sizes: Array | None) -> tuple[Array, Array]:
    if sizes is not None and sizes.size:
        return sizes / before.astype(np.float32), sizes
    if scales is None or not scales.size:
        raise UnsupportedError("the reference runtime has no Resize without factors or sizes")
    return scales, np.floor(before.astype(np.float32) * scales)


def _weights(asked: Attrs, before: int, after: int, factor: float) -> Array:
    """Return [after, before]: what each place takes of those before; the edge goes on."""
    places = _places(asked["coordinate_transformation_mode"], before, after, factor)
    if asked["mode"] == "nearest":
        return _nearest(asked["nearest_mode"], places, before)
    if asked["mode"] == "linear":
        return _sum_of_taps(places, before, (0, 1), lambda d: np.maximum(0, 1 - d))
    a = float(asked["cubic_coeff_a"])
    return _sum_of_taps(places, before, (-1, 0, 1, 2), lambda d: _cubic(d, a))


def _places(mode: str, before: int, after: int, factor: float) -> Array:
    steps = np.arange(after, dtype=np.float64)
    if mode == "asymmetric":
        return steps / factor
    if mode == "align_corners":
        return steps * ((before - 1) / max(after - 1, 1))
    if mode in ("half_pixel", "pytorch_half_pixel"):
        found = (steps + 0.5) / factor - 0.5
        return found * 0 if mode != "half_pixel" and after == 1 else found
    raise UnsupportedError(f"the reference runtime has no Resize by {mode}")


def _nearest(mode: str, places: Array, before: int) -> Array:
    ways: dict[str, Callable[[Array], Array]] = {
        "round_prefer_floor": lambda p: np.ceil(p - 0.5),
        "round_prefer_ceil": lambda p: np.floor(p + 0.5),
        "floor": np.floor,
        "ceil": np.ceil,
    }
    taken = ways[mode](places).clip(0, before - 1).astype(int)
    weights: Array = np.eye(before, dtype=np.float32)[taken]
    return weights


def _sum_of_taps(places: Array, before: int, taps: tuple[int, ...], weigh: Any) -> Array:
    weights = np.zeros((len(places), before))
    first = np.floor(places).astype(int)
    for tap in taps:
        share = weigh(np.abs(places - (first + tap)))
        rows = np.arange(len(places))
        np.add.at(weights, (rows, (first + tap).clip(0, before - 1)), share)
    return weights.astype(np.float32)


def _cubic(distance: Array, a: float) -> Array:
    """Return the weight of a tap by its distance (R. Keys, 1981)."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = a * (((distance - 5) * distance + 8) * distance - 4)
    result: Array = np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
    return result
