"""A source that has a torch module: run in torch, written as ONNX by torch's own exporter."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.source import Run, Told
from edgesdk.core.tensors import Array, Arrays, TensorSpec
from edgesdk_export._graph import convert_torch
from edgesdk_export._source import BaseSource
from edgesdk_export._told import about, postprocess_of
from edgesdk_export.sources._look import look


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

        inputs, outputs = ([spec.name for spec in side] for side in self.specs())
        run = torch_run(self.torch_module(), inputs, outputs)
        return run, {"runtime": "torch", "version": torch.__version__}


def torch_run(module: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Run:
    """Return a function that runs a torch module on arrays by name."""
    import torch

    def run(arrays: Arrays) -> Mapping[str, Array]:
        tensors = [torch.from_numpy(np.asarray(arrays[name])) for name in inputs]
        with torch.no_grad(), _one_thread():
            found = module(*tensors)
        values = found if isinstance(found, tuple | list) else (found,)
        return {name: v.numpy() for name, v in zip(outputs, values, strict=True)}

    return run


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


class ForeignTorchSource(TorchSource):
    """A torch module of others, told about by flags, a model.toml and one run.

    Args:
        path: Where it lies; a model.toml lies beside it.
        told: What the flags say.
        module: The network, which takes tensors by position.
        inputs: Its inputs, None for free sizes.
        outputs: Names of its outputs.
    """

    def __init__(
        self, path: Path, told: Told, module: Any, inputs: Sequence[TensorSpec],
        outputs: Sequence[str],
    ) -> None:  # fmt: skip
        known = about(path, told, inputs, {"parameters": _parameters(module)})
        super().__init__(known)
        self.name = path.name
        self.samples = known.samples
        self.own = [[spec.name, list(spec.shape)] for spec in known.inputs]
        self._module = module
        run = torch_run(module, [spec.name for spec in inputs], outputs)
        *self._specs, self.notes = look(run, self.name, known.inputs, outputs)
        self.postprocess = postprocess_of(known, self._specs[1])

    def specs(self) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """See Source."""
        inputs, outputs = self._specs
        return inputs, outputs

    def torch_module(self) -> Any:
        """See Source."""
        return self._module


def _parameters(module: Any) -> int:
    return sum(tensor.numel() for tensor in module.parameters())
