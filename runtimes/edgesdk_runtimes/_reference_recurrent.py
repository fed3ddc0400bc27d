"""Recurrent layers of the reference runtime: ONNX's GRU and LSTM with their usual functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgesdk.core.errors import UnsupportedError
from edgesdk.core.tensors import Array

Attrs = Mapping[str, Any]
USUAL = {"gru": ["Sigmoid", "Tanh"], "lstm": ["Sigmoid", "Tanh", "Tanh"]}
Step = Callable[[Array, list[Array]], list[Array]]


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)) without an overflow."""
    return np.asarray(0.5 * np.tanh(0.5 * x) + 0.5, x.dtype)


def _ways(attrs: Attrs, kind: str) -> list[bool]:
    """Return for each direction whether it reads backwards; refuse what is not known."""
    asked = attrs.get("activations") or USUAL[kind]
    plain = not attrs.get("layout", 0) and not attrs.get("clip") and not attrs.get("input_forget")
    if any(name not in USUAL[kind] for name in asked) or not plain:
        raise UnsupportedError(f"the reference runtime has no {kind.upper()} with {dict(attrs)}")
    return {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[
        attrs.get("direction", "forward")
    ]


def _run(x: Array, states: list[Array], step: Step, backwards: bool) -> tuple[Array, list[Array]]:
    """Return the first state after each step [T, N, H], and the last states."""
    found = []
    for row in x[::-1] if backwards else x:
        states = step(row, states)
        found.append(states[0])
    return np.stack(found[::-1] if backwards else found), states


def gru(
    attrs: Attrs,
    x: Array,
    weight: Array,
    again: Array,
    bias: Array | None = None,
    lengths: Array | None = None,
    first: Array | None = None,
) -> tuple[Array, Array]:
    """Run a GRU over [T, N, I]; return [T, D, N, H] and the last states [D, N, H]."""
    _no_lengths(lengths)
    size, outputs, lasts = attrs["hidden_size"], [], []
    late = bool(attrs.get("linear_before_reset", 0))
    for d, backwards in enumerate(_ways(attrs, "gru")):
        b = np.zeros(6 * size, x.dtype) if bias is None else bias[d]
        step = _gru_step(weight[d], again[d], b, size, late)
        rows, [last] = _run(x, _start(first, d, x, size), step, backwards)
        outputs.append(rows)
        lasts.append(last)
    return np.stack(outputs, 1), np.stack(lasts)


def _gru_step(w: Array, r: Array, b: Array, size: int, late: bool) -> Step:
    def step(row: Array, states: list[Array]) -> list[Array]:
        [h] = states
        xs = np.split(row @ w.T + b[: 3 * size], 3, -1)
        zr = np.split(h @ r[: 2 * size].T + b[3 * size : 5 * size], 2, -1)
        z, reset = sigmoid(xs[0] + zr[0]), sigmoid(xs[1] + zr[1])
        own, more = r[2 * size :].T, b[5 * size :]
        new = reset * (h @ own + more) if late else (reset * h) @ own + more
        return [(1 - z) * np.tanh(xs[2] + new) + z * h]

    return step


def lstm(
    attrs: Attrs,
    x: Array,
    weight: Array,
    again: Array,
    bias: Array | None = None,
    lengths: Array | None = None,
    first: Array | None = None,
    cell: Array | None = None,
    peep: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Run an LSTM over [T, N, I]; return [T, D, N, H] and the last states and cells."""
    _no_lengths(lengths)
    if peep is not None:
        raise UnsupportedError("the reference runtime has no LSTM with peepholes")
    size, outputs, lasts, cells = attrs["hidden_size"], [], [], []
    for d, backwards in enumerate(_ways(attrs, "lstm")):
        b = np.zeros(8 * size, x.dtype) if bias is None else bias[d]
        step = _lstm_step(weight[d], again[d], b[: 4 * size] + b[4 * size :])
        states = [*_start(first, d, x, size), *_start(cell, d, x, size)]
        rows, [last, memory] = _run(x, states, step, backwards)
        outputs.append(rows)
        lasts.append(last)
        cells.append(memory)
    return np.stack(outputs, 1), np.stack(lasts), np.stack(cells)


def _lstm_step(w: Array, r: Array, b: Array) -> Step:
    def step(row: Array, states: list[Array]) -> list[Array]:
        h, c = states
        i, o, f, g = np.split(row @ w.T + h @ r.T + b, 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(c), c]

    return step


def _start(first: Array | None, direction: int, x: Array, size: int) -> list[Array]:
    return [np.zeros((x.shape[1], size), x.dtype) if first is None else first[direction]]


def _no_lengths(lengths: Array | None) -> None:
    if lengths is not None:
        raise UnsupportedError("the reference runtime has no recurrent layer with lengths")
