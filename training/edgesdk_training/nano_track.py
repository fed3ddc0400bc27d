"""NanoTrack V2 as a teacher: its two ONNX files (Apache-2.0), answers and weights to begin with."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import EdgeSdkError, MissingDependencyError, UsageError
from edgesdk.core.files import sha256_bytes
from edgesdk.core.onnx_wire import mended
from edgesdk.core.tensors import Array

BACKBONE, HEAD = "nanotrack_backbone_sim_v2.onnx", "nanotrack_head_sim_v2.onnx"


class NanoTrack:
    """The teacher.

    Attributes:
        name: Name and version.
        sha256: Hash of both files.

    Args:
        folder: Where the files lie, as OpenCV's TrackerNano takes them.
        threads: Of ONNX Runtime.

    Raises:
        UsageError: a file is missing or none that runs.
    """

    name = "nanotrack-v2"

    def __init__(self, folder: Path, threads: int = 1) -> None:
        try:
            self._files = [(folder / name).read_bytes() for name in (BACKBONE, HEAD)]
        except OSError:
            raise UsageError(
                f"{folder} does not hold {BACKBONE} and {HEAD}; give the folder of NanoTrack V2's "
                "two files, or leave nanotrack out"
            ) from None
        self.sha256 = sha256_bytes(b"".join(self._files))
        free = mended(
            self._files[0], {"input": (1, 3, "high", "wide")}, {"output": (1, 48, "h", "w")}
        )
        self._backbone, self._head = (_session(f, threads) for f in (free, self._files[1]))

    def see(self, crop: Array) -> Array:
        """Return features [1, 48, S / 16, S / 16] of a crop [1, 3, S, S], RGB 0..255."""
        features: Array = self._backbone.run(None, {"input": np.ascontiguousarray(crop)})[0]
        return features

    def find(self, close: Array, search: Array) -> Array:
        """Return the logits [16, 16] of a target [3, 127, 127] in features [48, 16, 16]."""
        inputs = {"input1": self.see(close[None]), "input2": search[None].astype(np.float32)}
        sides = self._head.run(None, inputs)[0][0]
        logits: Array = sides[1] - sides[0]
        return logits

    def begin(self, module: Any) -> None:
        """Give a tracker's backbone, and its correlation head where it fits, these weights.

        Raises:
            EdgeSdkError: the layers differ.
        """
        _copy(self._files[0], module.backbone)
        if hasattr(module, "head"):
            _copy(self._files[1], module.head)


def _session(model: bytes, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's classes are private
        raise UsageError(f"NanoTrack's files do not run ({error})") from None


def _copy(model: bytes, module: Any) -> None:
    """Copy the weights of all convolutions, which lie in one order in file and module."""
    if find_spec("onnx") is None:
        raise MissingDependencyError("teacher 'nanotrack-v2'", ["onnx"], "teachers")
    import onnx
    import torch

    graph = onnx.load_from_string(model).graph
    stored = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Conv2d)]
    try:
        for node, layer in zip(nodes, layers, strict=True):
            held = [stored[name].copy() for name in node.input[1:]]
            for parameter, value in zip((layer.weight, layer.bias), held, strict=False):
                parameter.data.copy_(torch.from_numpy(value).reshape(parameter.shape))
    except (KeyError, ValueError, RuntimeError) as error:
        raise EdgeSdkError(
            f"NanoTrack's layers are not the student's ({error}); use the files of V2 and the "
            "default size"
        ) from None
