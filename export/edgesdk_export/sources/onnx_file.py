"""An ONNX file that others made, read once and brought into the form that all targets take.

It runs as it is in ONNX Runtime, and every artefact is compared with that.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.files import canonical, sha256_bytes, sha256_file
from edgesdk.core.onnx_wire import outline
from edgesdk.core.protocols import SourceKind
from edgesdk.core.session import guarded
from edgesdk.core.source import NOTHING_TOLD, TORCH, Run, Told
from edgesdk.core.tensors import DTYPES, Array, TensorSpec
from edgesdk_export._foreign import normalised, parameters_of, precision_of, read_model
from edgesdk_export._graph import set_batch, stamp
from edgesdk_export._source import BaseSource, facts
from edgesdk_export._told import about
from edgesdk_export.sources._onnx import onnx_runner

ITEMS = 2  # of the run that shows what the outputs are


class OnnxFileSource(BaseSource):
    """See the module."""

    def __init__(self, path: Path, told: Told = NOTHING_TOLD) -> None:
        self._model, self.notes = normalised(read_model(path), path.name)
        beside = outline(path.read_bytes()).beside
        inputs = tensors_of(self._model.graph.input, path)
        known = about(path, told, inputs, {"parameters": parameters_of(self._model)})
        super().__init__(known)
        self.name = path.name
        self.samples = known.samples
        self.precision = precision_of(self._model)
        files = [sha256_file(path), *(sha256_file(path.with_name(name)) for name in beside)]
        self.sha256 = files[0] if not beside else sha256_bytes(canonical(files))
        self.own = [[spec.name, list(spec.shape)] for spec in known.inputs]
        inputs = _same_batch(known.inputs, path)
        self._bundle = self._as_bundle(inputs, tensors_of(self._model.graph.output, path))
        self._look()
        _fix_sizes(self._model, self._bundle.inputs)

    def specs(self) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """See Source."""
        return self._bundle.inputs, self._bundle.outputs

    def lacks(self, form: str) -> str | None:
        """See Source."""
        if form == TORCH:
            return (
                f"{self.name} is an ONNX file, and this target is made from torch; give the "
                "network as package.module:function, or as a program saved by torch.export (.pt2)"
            )
        return None

    def write_onnx(self, path: Path, batch: int | None) -> list[str]:
        """See Source."""
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        if batch is not None:
            set_batch(model, batch)
        stamp(model, facts(self))
        onnx.save(model, path)
        return ["onnx"]

    def torch_module(self) -> Any:
        """See Source."""
        raise UnsupportedError(str(self.lacks(TORCH)))

    def runner(self) -> tuple[Run, dict[str, str]]:
        """See Source."""
        return onnx_runner(self._bundle)

    def _as_bundle(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Bundle:
        """Return what ONNX Runtime opens: the file itself."""
        return Bundle(
            path=self.path.parent,
            model=self.model,
            task=self.task,
            target="onnx",
            precision=self.precision,
            format="onnx",
            entry=self.path.name,
            inputs=inputs,
            outputs=outputs,
            preprocess=self.preprocess,
            postprocess=self.postprocess,
            licence=self.licence,
            source_sha256=self.sha256,
            verify={},
        )

    def _look(self) -> None:
        """Run it once: only that shows the outputs, and whether more than one item fits."""
        asked = self._bundle.inputs[0].shape[0] or ITEMS
        try:
            outputs = self._outputs(asked)
        except (UsageError, UnsupportedError):
            if self._bundle.inputs[0].shape[0] is not None:
                raise
            outputs = self._outputs(1)
            self.notes = [*self.notes, "more than one item at once does not run: its batch is 1"]
        self._bundle = replace(self._bundle, outputs=outputs)
        inputs = _with_batch(self._bundle.inputs, outputs[0].shape[0])
        self._bundle = replace(self._bundle, inputs=inputs)

    def _outputs(self, count: int) -> tuple[TensorSpec, ...]:
        """Return the outputs as a run on `count` items shows them."""
        run = guarded(onnx_runner(self._bundle)[0], f"{self.path} in ONNX Runtime", UsageError)
        found = run({spec.name: _zeros(spec, count) for spec in self._bundle.inputs})
        for spec in self._bundle.outputs:
            _check_rows(self.name, spec.name, found[spec.name], count)
        batch = None if count == ITEMS and self._bundle.inputs[0].shape[0] is None else count
        return tuple(
            replace(s, shape=(batch, *found[s.name].shape[1:]), dtype=found[s.name].dtype.name)
            for s in self._bundle.outputs
        )


def tensors_of(values: Any, path: Path) -> tuple[TensorSpec, ...]:
    """Return the specs of a graph's inputs or outputs; a size that is not written is None.

    Raises:
        UnsupportedError: one is no tensor of numbers, or has no axes.
    """
    from onnx import helper

    specs = []
    for value in values:
        tensor = value.type.tensor_type
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name if tensor.elem_type else ""
        if dtype not in DTYPES:
            raise UnsupportedError(
                f"{value.name!r} of {path} is no tensor of numbers; export the network without it"
            )
        sizes = tuple(d.dim_value if d.dim_value > 0 else None for d in tensor.shape.dim)
        specs.append(TensorSpec(value.name, sizes, dtype))
    return tuple(specs)


def _same_batch(inputs: tuple[TensorSpec, ...], path: Path) -> tuple[TensorSpec, ...]:
    """Return the inputs after checking that each begins with one and the same batch."""
    told = ", ".join(f"{s.name} {['N' if n is None else n for n in s.shape]}" for s in inputs)
    if not inputs:
        raise UnsupportedError(f"{path} has no input; a network without one is a constant")
    if not all(spec.shape for spec in inputs) or len({spec.shape[0] for spec in inputs}) > 1:
        raise UnsupportedError(
            f"the inputs of {path} do not share a first axis, the batch: {told}; export the "
            "network with one that is free in all of them, or 1 in all of them"
        )
    return inputs


def _fix_sizes(model: Any, inputs: tuple[TensorSpec, ...]) -> None:
    """Write the sizes that are known now into the graph; what was inferred before is stale."""
    specs = {spec.name: spec for spec in inputs}
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        for dim, size in zip(dims, specs[value.name].shape, strict=True):
            if size is None:
                dim.dim_param = "batch"
            else:
                dim.dim_value = size
    del model.graph.value_info[:]


def _zeros(spec: TensorSpec, count: int) -> Array:
    return np.zeros((count, *(size or 1 for size in spec.shape[1:])), spec.dtype)


def _with_batch(specs: tuple[TensorSpec, ...], batch: int | None) -> tuple[TensorSpec, ...]:
    return tuple(replace(spec, shape=(batch, *spec.shape[1:])) for spec in specs)


def _check_rows(name: str, output: str, found: Array, count: int) -> None:
    if found.ndim == 0 or len(found) != count:
        raise UnsupportedError(
            f"output {output!r} of {name} has shape {list(found.shape)} for {count} items; its "
            "first axis must be the batch: export the network without what joins the items"
        )


class OnnxFileKind:
    """See the module."""

    aliases: tuple[str, ...] = ("onnx",)
    extra = "onnx"
    requires: tuple[str, ...] = ("onnx",)
    holds = OnnxFileSource

    def opens(self, path: Path) -> bool:
        """See SourceKind."""
        return path.suffix.lower() == ".onnx" and path.is_file()

    def open(self, path: Path, told: Told = NOTHING_TOLD) -> OnnxFileSource:
        """See SourceKind."""
        return OnnxFileSource(path, told)

    def source(self, held: OnnxFileSource) -> OnnxFileSource:
        """See SourceKind."""
        return held


PLUGIN: SourceKind = OnnxFileKind()
