"""What can be judged: bundles and checkpoints of edgesdk, and the teacher SFace."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgesdk.core.biometrics import unit
from edgesdk.core.bundle import Bundle, read_checkpoint
from edgesdk.core.files import sha256_bytes
from edgesdk.core.tensors import Array
from edgesdk.face import FacePipeline
from edgesdk_benchmarks import _sface
from edgesdk_benchmarks.claims import trained
from edgesdk_runtimes.torch import as_bundle


@dataclass(frozen=True, slots=True)
class Model:
    """Something to judge.

    Attributes:
        facts: Columns of its rows: model, target, precision, runtime, hashes, parameters, macs.
        embed: From crops to [N, D].
        side: Side of its input in pixels; larger faces tell it nothing new.
        batch: Faces that its file always takes at once; its time is told per face of these.
    """

    facts: dict[str, Any]
    embed: Callable[[Sequence[Array]], Array]
    side: int
    batch: int = 1


def bundle_model(
    bundle: Bundle | str, runtime: str | None, threads: int, stack: ExitStack
) -> Model:
    """Open a bundle, or a shipped model by name."""
    pipeline = stack.enter_context(FacePipeline(bundle, runtime, threads=threads))
    found = pipeline.bundle
    facts = {
        "model": found.model,
        "target": found.target,
        "precision": found.precision,
        "runtime": pipeline.session.runtime,
        "sha256": found.sha256,
        "source_sha256": found.source_sha256,
        **_cost(found.cost),
    }
    return Model(facts, pipeline.embed, found.preprocess[found.inputs[0].name].size[0])


def checkpoint_model(path: str, threads: int, stack: ExitStack) -> Model:
    """Open a checkpoint in torch."""
    checkpoint = read_checkpoint(path)
    model = bundle_model(as_bundle(checkpoint), "torch", threads, stack)
    how = trained(checkpoint.provenance)
    return replace(model, facts=model.facts | ({"trained": how} if how else {}))


def both_views(model: Model) -> Model:
    """Return a model that adds the unit embedding of the mirrored face to that of the face."""

    def embed(crops: Sequence[Array]) -> Array:
        mirrored = [np.ascontiguousarray(crop[:, ::-1]) for crop in crops]
        return unit(model.embed(crops)) + unit(model.embed(mirrored))

    return replace(model, facts=model.facts | {"views": 2}, embed=embed)


def sface_model(threads: int) -> Model:
    """Open the teacher SFace."""
    weights = _sface.weights()
    facts = foreign_facts("sface-2021dec", "onnx", "ort", weights, _sface.cost(weights))
    return Model(facts, _sface.embedder(weights, threads), 112)


def foreign_facts(
    name: str, target: str, runtime: str, file: bytes, cost: Mapping[str, int]
) -> dict[str, Any]:
    """Return the facts of a model that edgesdk did not make, from the file that was run."""
    return {
        "model": name,
        "target": target,
        "precision": "fp32",
        "runtime": runtime,
        "sha256": sha256_bytes(file),
        "source_sha256": None,
        **_cost(cost),
    }


def _cost(cost: Mapping[str, Any]) -> dict[str, int | None]:
    return {name: cost.get(name) for name in ("parameters", "macs")}


def sizes_of(model: Model, asked: Sequence[int]) -> list[int]:
    """Return the face sizes a model is judged at."""
    return sorted({size for size in asked if size <= model.side} | {model.side})
