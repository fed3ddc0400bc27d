"""A source that has a torch module: run in torch, written as ONNX by torch's own exporter."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.source import Run
from edgesdk.core.tensors import Array, Arrays, TensorSpec
from edgesdk_export._graph import convert_torch
from edgesdk_export._source import BaseSource


class TorchSource(BaseSource):
    """A kind whose network is a torch module; it says which, and what its tensors are."""

    def specs(self) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """See Source."""
        raise NotImplementedError

    def torch_module(self) -> Any:
        """See Source."""
        raise NotImplementedError

    def write_onnx(self, path: Path, batch: int | None) -> list[str]:
        """See Source."""
        return convert_torch(self, path, batch)

    def runner(self) -> tuple[Run, dict[str, str]]:
        """See Source."""
        import torch

        module = self.torch_module()
        inputs, outputs = self.specs()

        def run(arrays: Arrays) -> Mapping[str, Array]:
            tensors = [torch.from_numpy(np.asarray(arrays[s.name])) for s in inputs]
            with torch.no_grad(), _one_thread():
                found = module(*tensors)
            values = found if isinstance(found, tuple | list) else (found,)
            return {s.name: v.numpy() for s, v in zip(outputs, values, strict=True)}

        return run, {"runtime": "torch", "version": torch.__version__}


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch to one thread: on a busy machine its waiting threads cost far more."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
