"""What part of a network's time its first layers take, told by its own metadata."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.onnx_wire import beginning, metadata
from edgesdk.core.session import Session
from edgesdk.core.tensors import Arrays

# Where exporters name the layers that stay in float, class -> nodes in their order.
KEY = "edgesdk.in_float"
TURNS = 9


def layer_share(session: Session, inputs: Arrays, threads: int, kind: str) -> float:
    """Return the part of a network's work that is done until a kind of its named layers has ended.

    The network up to there is opened once more and both are run in turns; the processor's time is
    compared, for on a busy machine short runs are interrupted more seldom than long ones.

    Args:
        session: An open bundle.
        inputs: What both are run on.
        threads: Of the CPU.
        kind: Class name of the layers.

    Returns:
        0..1; 0 where the bundle is no ONNX file, is not run by ONNX Runtime on a CPU, or names
        no such layer.
    """
    if session.runtime != "ort" or session.device != "cpu":
        return 0.0
    model = session.bundle.entry_path.read_bytes()
    layers: dict[str, list[str]] = json.loads(metadata(model).get(KEY, "{}"))
    if not layers.get(kind):
        return 0.0
    try:
        first = _opened(beginning(model, layers[kind][-1]), threads)
    except UsageError:  # int8 gave its nodes other names
        return 0.0
    part, whole = _medians(lambda: first.run(None, inputs), lambda: session.run(inputs))
    return min(1.0, part / max(whole, 1.0))


def _opened(model: bytes, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _medians(*calls: Callable[[], object]) -> list[float]:
    """Return the median processor time of each call, made in turns; the first is not counted."""
    times: list[list[int]] = [[] for _ in calls]
    for _ in range(1 + TURNS):
        for call, spent in zip(calls, times, strict=True):
            begun = time.process_time_ns()
            call()
            spent.append(time.process_time_ns() - begun)
    return [float(np.median(spent[1:])) for spent in times]
