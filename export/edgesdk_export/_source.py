"""What an export starts from: a checkpoint (torch) or a bundle with an fp32 ONNX file."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from edgesdk._version import __version__
from edgesdk.core import plugins
from edgesdk.core.bundle import Bundle, Checkpoint
from edgesdk.core.errors import UsageError
from edgesdk.core.files import canonical, clean, sha256_bytes
from edgesdk.core.licence import complete
from edgesdk.core.protocols import ExportJob
from edgesdk.core.tensors import Array, Arrays, TensorSpec

Source = Checkpoint | Bundle
Run = Callable[[Arrays], Mapping[str, Array]]


@dataclass(frozen=True, slots=True)
class Needs:
    """Modules that one way of exporting asks for, and the extra that installs them."""

    requires: tuple[str, ...]
    extra: str


FROM_CHECKPOINT = Needs(("torch", "safetensors", "onnx", "onnxscript"), "export")


def need(what: str, needs: Needs) -> None:
    """Raise MissingDependencyError where a module of `needs` is absent."""
    plugins.require(what, needs)


def root_sha256(source: Source) -> str:
    """Return the hash of the trained weights and the network they belong to.

    A bundle keeps the hash of the checkpoint behind it, so all bundles of one model share it.
    """
    if isinstance(source, Bundle):
        return source.source_sha256
    network = [source.weights_sha256, source.student, clean(source.student_config)]
    return sha256_bytes(canonical(network))


def own_sha256(source: Source) -> str:
    """Return the hash of all that an export takes from its source."""
    names = ("model", "task", "postprocess", "thresholds", "licence", "labels", "metrics", "cost")
    about = {name: getattr(source, name) for name in names}
    about["preprocess"] = {name: p.to_json() for name, p in source.preprocess.items()}
    file = source.files[as_onnx(source).entry] if isinstance(source, Bundle) else {}
    return sha256_bytes(canonical(clean([root_sha256(source), about, file])))


def student_of(checkpoint: Checkpoint) -> Any:
    """Return the student plug-in that rebuilds the checkpoint's network."""
    student = plugins.load(plugins.STUDENTS, checkpoint.student)
    plugins.require(f"student {checkpoint.student!r}", student)
    return student


def rebuild(source: Source) -> Any:
    """Return the torch module of a checkpoint for export: folded, in eval mode."""
    if isinstance(source, Bundle):
        raise UsageError(f"{source.name} is a bundle; start from the checkpoint it was made of")
    return student_of(source).load(source).eval()


def specs(
    source: Source, batch: int | None = None
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Return inputs and outputs of the source, with a free batch or `batch` items."""
    if isinstance(source, Bundle):
        inputs, outputs = source.inputs, source.outputs
    else:
        student = student_of(source)
        inputs, outputs = student.specs(student.config(**source.student_config))
    if batch is None:
        return tuple(inputs), tuple(outputs)
    return _sized(inputs, batch), _sized(outputs, batch)


def _sized(tensors: tuple[TensorSpec, ...], batch: int) -> tuple[TensorSpec, ...]:
    return tuple(replace(spec, shape=(batch, *spec.shape[1:])) for spec in tensors)


def batch_of(job: ExportJob) -> int | None:
    """Return the fixed batch of the job: the one asked for, else that of the source."""
    if job.batch is None and isinstance(job.source, Bundle):
        return job.source.inputs[0].shape[0]
    return job.batch


def runner(source: Source) -> tuple[Run, dict[str, str]]:
    """Return a function that runs the source, and what it runs on."""
    if isinstance(source, Bundle):
        return _onnx_runner(source)
    return _torch_runner(source)


def _torch_runner(checkpoint: Checkpoint) -> tuple[Run, dict[str, str]]:
    import torch

    module = rebuild(checkpoint)
    inputs, outputs = specs(checkpoint)

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


def _onnx_runner(bundle: Bundle) -> tuple[Run, dict[str, str]]:
    runtime = plugins.load(plugins.RUNTIMES, "ort")
    session = runtime.open(as_onnx(bundle), "cpu", 1)
    return session.run, {"runtime": "ort", "version": runtime.version()}


def as_onnx(bundle: Bundle) -> Bundle:
    """Return the ONNX bundle inside `bundle`: itself, or its proxy."""
    if bundle.format == "onnx":
        return bundle
    return replace(bundle, format="onnx", entry=bundle.proxy or bundle.entry, runtimes=("ort",))


def is_rebuild(source: Source, target: str) -> bool:
    """Tell whether the source is a bundle of this target that brings its own ONNX file."""
    return isinstance(source, Bundle) and source.target == target and bool(source.proxy)


def only_fp32_onnx(source: Source) -> str | None:
    """Return why an ONNX-based exporter cannot start from `source`, None when it can."""
    if isinstance(source, Checkpoint) or (source.format == "onnx" and source.precision == "fp32"):
        return None
    return (
        f"{source.name} is {source.format} at {source.precision}; start from a checkpoint or "
        "from an fp32 ONNX bundle"
    )


def only_checkpoint(source: Source) -> str | None:
    """Return why a torch-based exporter cannot start from `source`, None when it can."""
    if isinstance(source, Checkpoint):
        return None
    return f"{source.name} is a bundle; start from the checkpoint it was made of"


def facts(source: Source) -> dict[str, str]:
    """Return what a model file says about itself: text by key, for formats that carry it."""
    pre = {name: p.to_json() for name, p in source.preprocess.items()}
    licence = complete(source.licence)
    values = {
        "model": source.model,
        "task": source.task,
        "source_sha256": root_sha256(source),
        "preprocess": canonical(clean(pre)).decode(),
        "postprocess": canonical(clean(source.postprocess)).decode(),
        "licence_weights": licence["weights"],
        "licence_data": licence["data"],
        "edgesdk": __version__,
    }
    return {f"edgesdk.{key}": value for key, value in values.items()}


def versions(*names: str) -> dict[str, str]:
    """Return distribution -> installed version, leaving out what is not installed."""
    found = {"edgesdk": __version__}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
