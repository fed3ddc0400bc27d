"""An ONNX file that others made, read once and brought into the form that all targets take.

It runs as it is in ONNX Runtime, and every artefact is compared with that.
"""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import EdgeSdkError, UnsupportedError
from edgesdk.core.files import canonical, sha256_bytes, sha256_file
from edgesdk.core.onnx_wire import outline
from edgesdk.core.protocols import SourceKind
from edgesdk.core.source import NOTHING_TOLD, TORCH, Run, Told
from edgesdk.core.tensors import DTYPES, TensorSpec
from edgesdk_export._foreign import normalised, parameters_of, precision_of, read_model
from edgesdk_export._graph import set_batch, stamp
from edgesdk_export._quiet import brief
from edgesdk_export._source import BaseSource, facts
from edgesdk_export._told import about, postprocess_of
from edgesdk_export.sources._from_onnx import NEEDS, torch_of
from edgesdk_export.sources._look import look
from edgesdk_export.sources._onnx import onnx_runner


class OnnxFileSource(BaseSource):
    """See the module."""

    def __init__(self, path: Path, told: Told = NOTHING_TOLD) -> None:
        self._model, notes = normalised(read_model(path), path.name)
        beside = outline(path.read_bytes()).beside
        fed = [value.name for value in self._model.graph.input]
        inputs = tensors_of(self._model.graph.input, path, fed)
        known = about(path, told, inputs, {"parameters": parameters_of(self._model)})
        super().__init__(known)
        self.name = path.name
        self.samples = known.samples
        self.precision = precision_of(self._model)
        files = [sha256_file(path), *(sha256_file(path.with_name(name)) for name in beside)]
        self.sha256 = files[0] if not beside else sha256_bytes(canonical(files))
        self.own = [[spec.name, list(spec.shape)] for spec in known.inputs]
        names = [value.name for value in self._model.graph.output]
        self._bundle = self._as_bundle(known.inputs, tensors_of(self._model.graph.output, path))
        inputs, outputs, more = look(self._opened(), self.name, known.inputs, names)
        self._bundle = replace(self._bundle, inputs=inputs, outputs=outputs)
        self.notes = [*notes, *more]
        self.postprocess = postprocess_of(known, outputs)
        _fix_sizes(self._model, inputs)

    def specs(self) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """See Source."""
        return self._bundle.inputs, self._bundle.outputs

    def lacks(self, form: str) -> str | None:
        """See Source."""
        absent = plugins.missing(NEEDS) if form == TORCH else ()
        if absent:
            return (
                f"{self.name} is an ONNX file, and this target is made from torch; install what "
                f"reads it as one: pip install 'edgesdk[{NEEDS.extra}]', or give the network as "
                "package.module:function, or as a program saved by torch.export (.pt2)"
            )
        if form == TORCH and self.precision != "fp32":
            return f"{self.name} is {self.precision}, and torch reads it at fp32 alone"
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
        inputs, outputs = ([spec.name for spec in side] for side in self.specs())
        return torch_of(self._model, inputs, outputs)

    def runner(self) -> tuple[Run, dict[str, str]]:
        """See Source."""
        return onnx_runner(self._bundle)

    def _opened(self) -> Run:
        """Return what runs the file as it came.

        Raises:
            UnsupportedError: ONNX Runtime does not take it.
        """
        try:
            return self.runner()[0]
        except UnsupportedError:
            raise
        except EdgeSdkError as error:
            raise UnsupportedError(
                f"{self.name} does not open where its numbers would be compared: {brief(error)}; "
                "export it again, with float32 in place of float64 and an opset from 7 to 22"
            ) from None

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


def tensors_of(values: Any, path: Path, fed: Collection[str] = ()) -> tuple[TensorSpec, ...]:
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
        if not sizes and value.name in fed:
            raise UnsupportedError(
                f"input {value.name!r} of {path} has no axes; its first one must be the batch: "
                "export the network with it as a constant, or with its shape"
            )
        specs.append(TensorSpec(value.name, sizes, dtype))
    return tuple(specs)


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
