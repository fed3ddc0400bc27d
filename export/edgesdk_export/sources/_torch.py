"""A source that has a torch module: run in torch, written as ONNX by torch's own exporter."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UnsupportedError
from edgesdk.core.source import Run, Told
from edgesdk.core.tensors import DTYPES, Array, Arrays, TensorSpec
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
        # Copies: a network may write into its inputs.
        tensors = [torch.from_numpy(np.array(arrays[name])) for name in inputs]
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
        before = _state(module)
        *self._specs, self.notes = look(run, self.name, known.inputs, outputs)
        changed = [name for name, value in _state(module).items() if value != before[name]]
        if changed:
            raise UnsupportedError(
                f"{self.name} writes into its own buffer {changed[0]!r} when it runs, as in "
                "training; give the network in eval mode: net.eval()"
            )
        self.postprocess = postprocess_of(known, self._specs[1])

    def specs(self) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """See Source."""
        inputs, outputs = self._specs
        return inputs, outputs

    def torch_module(self) -> Any:
        """See Source."""
        return self._module


def positional(net: Any, names: Sequence[str], call: Callable[[Any, Sequence[Any]], Any]) -> Any:
    """Return a network with one parameter per input, as torch.export wants to see them.

    Args:
        net: The network behind it.
        names: Of the parameters.
        call: Runs `net` on tensors in the order of `names`; gives a tensor or a tuple of them.
    """
    import torch

    class Positional(torch.nn.Module):  # type: ignore[misc] # the base is only known at run time
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, *tensors: Any) -> Any:
            return call(self.net, tensors)

    shown = [Parameter(n, Parameter.POSITIONAL_OR_KEYWORD) for n in ["self", *names]]
    Positional.forward.__signature__ = Signature(shown)  # type: ignore[attr-defined]
    made = Positional()
    made.training = False  # the network within is so already, and a program refuses the call
    return made


def check_kinds(name: str, module: Any, inputs: Sequence[TensorSpec]) -> None:
    """Raise UnsupportedError for a network that is no plain one of float32.

    Args:
        name: What messages call it.
        module: The network.
        inputs: Its inputs.
    """
    import torch

    for key, value in module.state_dict().items():
        if not torch.is_tensor(value) or value.is_quantized:
            raise UnsupportedError(
                f"{key!r} of {name} was quantized by torch; give the network in float32, and let "
                "--precision make int8 of it"
            )
        if value.is_meta:
            raise UnsupportedError(
                f"{key!r} of {name} is on torch's device 'meta', which holds no numbers; load the "
                "weights before the network is returned or saved"
            )
        if value.is_floating_point() and value.dtype != torch.float32:
            kind = str(value.dtype).removeprefix("torch.")
            raise UnsupportedError(
                f"{key!r} of {name} is {kind}; give the network in float32 (net.float()), and let "
                "--precision make fp16 of it"
            )
    for spec in inputs:
        if spec.dtype not in DTYPES:
            raise UnsupportedError(
                f"input {spec.name!r} of {name} is {spec.dtype}, which no target takes; give the "
                f"network with one of {', '.join(DTYPES)}"
            )


def _state(module: Any) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in module.named_buffers()}


def _parameters(module: Any) -> int:
    return sum(tensor.numel() for tensor in module.parameters())
