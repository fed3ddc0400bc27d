"""What all sources share: their hashes, their facts, and how the two common forms run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgesdk._version import __version__
from edgesdk.core import plugins
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import UsageError
from edgesdk.core.files import canonical, clean, sha256_bytes
from edgesdk.core.licence import complete
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.protocols import ExportJob
from edgesdk.core.source import Run, Source, Told
from edgesdk.core.task import ModelInfo, info_of
from edgesdk.core.tensors import TensorSpec

__all__ = ["Run", "Source"]

ABOUT = (
    "path", "model", "task", "preprocess", "postprocess", "thresholds", "licence", "labels",
    "metrics", "cost", "ledger",
)  # fmt: skip
# The hash of a source leaves out where it lies.
HASHED = ("model", "task", "postprocess", "thresholds", "licence", "labels", "metrics", "cost")


@dataclass(frozen=True, slots=True)
class Needs:
    """Modules that one way of exporting asks for, and the extra that installs them."""

    requires: tuple[str, ...]
    extra: str


def need(what: str, needs: Needs) -> None:
    """Raise MissingDependencyError where a module of `needs` is absent."""
    plugins.require(what, needs)


class BaseSource:
    """Facts about a model, taken over from what holds them; most of it suits every kind.

    Args:
        about: A checkpoint, a bundle, or anything with the attributes that ABOUT lists.
    """

    path: Path
    model: str
    task: str
    preprocess: Mapping[str, Preprocess]
    postprocess: Mapping[str, Any]
    thresholds: Mapping[str, Mapping[str, float]]
    licence: Mapping[str, str]
    labels: tuple[str, ...]
    metrics: Mapping[str, Any]
    ledger: Mapping[str, Any]
    cost: Mapping[str, int]
    sha256: str
    own: Any
    lineage: Mapping[str, Any]
    target = ""
    precision = "fp32"
    proxy = ""
    samples: Path | None = None
    notes: Sequence[str] = ()

    def __init__(self, about: Any) -> None:
        for name in ABOUT:
            setattr(self, name, getattr(about, name))
        self.name = self.model
        self.own = {}
        self.lineage = {}

    def check(self) -> None:
        """See Source."""

    def lacks(self, form: str) -> str | None:
        """See Source."""
        return None


def refuse_told(path: Path, told: Told) -> None:
    """Raise UsageError where something is told of a model that tells it itself."""
    if told.flags:
        raise UsageError(
            f"{path} tells {', '.join(told.flags)} itself; these flags are for networks from "
            "outside, such as an ONNX file"
        )


def source_of(held: Any) -> Source:
    """Return the source that a checkpoint, a bundle or another opened thing is."""
    for _, kind in plugins.every(plugins.SOURCES):
        if isinstance(held, kind.holds):
            found: Source = kind.source(held)
            return found
    already: Source = held
    return already


def own_sha256(source: Source) -> str:
    """Return the hash of all that an export takes from its source."""
    about = {name: getattr(source, name) for name in HASHED}
    # Bundles without a ledger keep the hash that they had before there was any.
    about |= {"ledger": source.ledger} if source.ledger else {}
    about["preprocess"] = {name: p.to_json() for name, p in source.preprocess.items()}
    return sha256_bytes(canonical(clean([source.sha256, about, source.own])))


def specs(
    source: Source, batch: int | None = None
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Return inputs and outputs of the source, with its own batch or `batch` items."""
    inputs, outputs = source.specs()
    if batch is None:
        return inputs, outputs
    return _sized(inputs, batch), _sized(outputs, batch)


def info(source: Source) -> ModelInfo:
    """Return what the source's task must know of it."""
    return info_of(source, *specs(source))


def _sized(tensors: tuple[TensorSpec, ...], batch: int) -> tuple[TensorSpec, ...]:
    return tuple(replace(spec, shape=(batch, *spec.shape[1:])) for spec in tensors)


def batch_of(job: ExportJob) -> int | None:
    """Return the fixed batch of the job: the one asked for, else that of the source."""
    return specs(job.source)[0][0].shape[0] if job.batch is None else job.batch


def as_onnx(bundle: Bundle) -> Bundle:
    """Return the ONNX bundle inside `bundle`: itself, or its proxy."""
    if bundle.format == "onnx":
        return bundle
    return replace(bundle, format="onnx", entry=bundle.proxy or bundle.entry, runtimes=("ort",))


def is_rebuild(source: Source, target: str) -> bool:
    """Tell whether the source is a bundle of this target that brings its own ONNX file."""
    return source.target == target and bool(source.proxy)


def facts(source: Source) -> dict[str, str]:
    """Return what a model file says about itself: text by key, for formats that carry it."""
    pre = {name: p.to_json() for name, p in source.preprocess.items()}
    licence = complete(source.licence)
    values = {
        "model": source.model,
        "task": source.task,
        "source_sha256": source.sha256,
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
