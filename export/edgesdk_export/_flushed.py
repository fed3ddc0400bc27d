"""A source whose denormal weights are zero: some processors compute such numbers slowly."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.source import Source

LEAST = float(np.finfo(np.float32).tiny)
SAID = "denormals: weights below the smallest normal number are zero, as asked"


class FlushedSource:
    """Another source in all but the weights that it gives; it runs as it came."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def write_onnx(self, path: Path, batch: int | None) -> list[str]:
        """See Source."""
        tools = self._source.write_onnx(path, batch)
        import onnx
        from onnx import numpy_helper

        model = onnx.load(path)
        for tensor in model.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                array = numpy_helper.to_array(tensor)
                kept = np.where(np.abs(array) < LEAST, np.float32(0), array)
                tensor.CopyFrom(numpy_helper.from_array(kept, tensor.name))
        onnx.save(model, path)
        return sorted({*tools, "onnx"})

    def torch_module(self) -> Any:
        """See Source."""
        import torch

        module = deepcopy(self._source.torch_module())
        with torch.no_grad():
            for values in (*module.parameters(), *module.buffers()):
                if values.dtype == torch.float32:
                    values[values.abs() < LEAST] = 0
        return module
