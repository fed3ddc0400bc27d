"""Normalisations and softmax of the reference runtime; sums in float32 as ONNX says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgesdk.core.tensors import Array

Attrs = Mapping[str, Any]


def _standard(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    """Return x less its mean over its spread."""
    mean = x.mean(axes, keepdims=True)
    rest = x - mean
    spread = np.sqrt((rest * rest).mean(axes, keepdims=True) + np.float32(epsilon))
    return np.asarray(rest / spread)


def _per_channel(values: Array, x: Array) -> Array:
    return values.reshape(-1, *[1] * (x.ndim - 2))


def layer_normalization(attrs: Attrs, x: Array, scale: Array, bias: Array | None = None) -> Array:
    """Standardise over the last axes, from `axis` on."""
    axes = tuple(range(attrs.get("axis", -1) % x.ndim, x.ndim))
    result = _standard(x, axes, attrs.get("epsilon", 1e-5)) * scale
    return result if bias is None else result + bias


def instance_normalization(attrs: Attrs, x: Array, scale: Array, bias: Array) -> Array:
    """Standardise each channel of each item over its places."""
    axes = tuple(range(2, x.ndim))
    found = _standard(x, axes, attrs.get("epsilon", 1e-5))
    return np.asarray(found * _per_channel(scale, x) + _per_channel(bias, x))


def group_normalization(attrs: Attrs, x: Array, scale: Array, bias: Array) -> Array:
    """Standardise groups of channels; scale and bias per channel (per group up to opset 20)."""
    groups = attrs["num_groups"]
    parts = x.reshape(len(x), groups, -1)
    found = _standard(parts, (2,), attrs.get("epsilon", 1e-5)).reshape(x.shape)
    per = x.shape[1] // len(scale)
    wide = (_per_channel(np.repeat(values, per), x) for values in (scale, bias))
    return np.asarray(found * next(wide) + next(wide))


def batch_normalization(
    attrs: Attrs, x: Array, scale: Array, bias: Array, mean: Array, variance: Array
) -> Array:
    """Scale each channel by what training has seen."""
    factor = scale / np.sqrt(variance + np.float32(attrs.get("epsilon", 1e-5)))
    return np.asarray(x * _per_channel(factor, x) + _per_channel(bias - mean * factor, x))


def lp_normalization(attrs: Attrs, x: Array) -> Array:
    """Divide by the length along an axis."""
    length = np.linalg.norm(x, attrs.get("p", 2), attrs.get("axis", -1), keepdims=True)
    return np.asarray(x / length)


def softmax(attrs: Attrs, x: Array) -> Array:
    """Return exp(x) over its sum."""
    axis = attrs.get("axis", -1)
    powers = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis, keepdims=True))


def log_softmax(attrs: Attrs, x: Array) -> Array:
    """Return the logarithm of softmax."""
    axis = attrs.get("axis", -1)
    rest = x - x.max(axis, keepdims=True)
    return np.asarray(rest - np.log(np.exp(rest).sum(axis, keepdims=True)))
