"""Run the program of a Core ML package in torch, operator by operator.

The package is read back from disk, weights included, so everything but Apple's own runtime
is checked. Arithmetic is float32 also for float16 packages, whose weights are rounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UnsupportedError
from edgesdk.core.hush import hush
from edgesdk.core.tensors import Array
from edgesdk_runtimes._coreml_ops import operators


def read_program(path: Path) -> Program:
    """Return the runnable program of an .mlpackage."""
    # coremltools warns about torch's version and, off the Mac, about seven absent libraries.
    with hush():
        import coremltools as ct
        from coremltools.converters.mil.frontend.milproto import load

        model = ct.models.MLModel(str(path), skip_model_load=True)
        spec = model.get_spec()
        program = load.load(
            spec,
            specification_version=spec.specificationVersion,
            file_weights_dir=model.weights_dir,
        )
    return Program(program.functions["main"])


class Program:
    """One function of the program; `len` is its number of operators."""

    def __init__(self, function: Any) -> None:
        self._inputs = [v.name for v in function.inputs.values()]
        self._outputs = [v.name for v in function.outputs]
        self._steps = [op for op in function.operations if op.op_type != "const"]
        ops = operators()
        unknown = {
            op.op_type
            for op in self._steps
            if op.op_type not in ops and not op.op_type.startswith("constexpr_")
        }
        if unknown:
            raise UnsupportedError(
                f"the Core ML interpreter has no operator {', '.join(sorted(unknown))}; "
                "verify the package on a Mac"
            )
        self._ops = ops

    def __len__(self) -> int:
        return len(self._steps)

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the outputs for `inputs`, in the function's order."""
        import torch

        with torch.inference_mode():
            values = {n: torch.tensor(a) for n, a in zip(self._inputs, inputs, strict=True)}
            for op in self._steps:
                self._step(op, values)
            return [values[name].float().numpy() for name in self._outputs]

    def _step(self, op: Any, values: dict[str, Any]) -> None:
        if op.op_type.startswith("constexpr_"):
            stored = op.outputs[0]
            known = stored.val is not None
            values[stored.name] = _tensor(stored.val if known else op.materialized_val_inference())
            return
        given = {k: _value(v, values) for k, v in op.inputs.items() if v is not None}
        answer = self._ops[op.op_type](given)
        parts = answer if isinstance(answer, list | tuple) else [answer]
        values.update((o.name, part) for o, part in zip(op.outputs, parts, strict=True))


def _tensor(array: Any) -> Any:
    import torch

    tensor = torch.from_numpy(np.array(array))
    return tensor.float() if tensor.is_floating_point() else tensor


def _value(v: Any, values: Mapping[str, Any]) -> Any:
    """Return a list, a computed value or a constant."""
    if isinstance(v, list | tuple):
        return [_value(part, values) for part in v]
    if v.name in values:
        return values[v.name]
    constant = isinstance(v.val, np.ndarray) and v.val.dtype.kind == "f"
    return _tensor(v.val) if constant else v.val
