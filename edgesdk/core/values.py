"""What a manifest may say, beyond the types of its fields: bounds, before anything is allocated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

from edgesdk.core.target import LARGEST_BATCH
from edgesdk.core.tensors import MOST_ITEMS, TensorSpec
from edgesdk.core.typed import check_known
from edgesdk.core.verify import LEVELS, VERDICTS

LONGEST_NAME, LONGEST_FOLDER = 100, 200
FILE = {"sha256": str, "bytes": int}
THRESHOLD = {"value": float, "low": float, "high": float}
VERIFY = {"file": str, "level": str, "verdict": str}
POSTPROCESS = {"kind": str, "dim": int, "normalised": bool, "metric": str}
BUILD: Mapping[str, Any] = {
    "batch": tuple[int, int, int],
    "rebuild": str,
    "builder_version": str,
    "accelerators": list[str],
    "renormalise": bool,
    "arithmetic": str,
    "export_sha256": str,
    "mark": str,
    "effective": Mapping[str, Any],
    "placement": Mapping[str, int],
    "proof": Mapping[str, Any],
}


def check_values(bundle: Any) -> None:
    """Raise TypeError, ValueError or KeyError for values of a bundle that no export writes."""
    mark = bundle.build.get("mark", "")
    for word in filter(None, (bundle.model, bundle.target, bundle.precision, bundle.profile, mark)):
        check_name(word)
    if len(bundle.name.encode()) > LONGEST_FOLDER:
        raise ValueError(f"a name of {len(bundle.name)} letters")
    for specs in (bundle.inputs, bundle.outputs):
        _check_tensors(specs)
    strangers = set(bundle.preprocess) - {spec.name for spec in bundle.inputs}
    if strangers:
        raise ValueError(f"preprocess of {', '.join(strangers)}, which is no input")
    if bundle.proxy and bundle.proxy not in bundle.files:
        raise ValueError(f"proxy {bundle.proxy!r} is not among the files")
    for name, about in bundle.files.items():
        check_known(f"file {name!r}", about, FILE, FILE)
        if about["bytes"] < 0:
            raise ValueError(f"file {name!r} of {about['bytes']} bytes")
    # Empty where a bundle was sealed by hand: nobody has judged it.
    check_known("verify", bundle.verify, VERIFY, ())
    for key, known in (("verdict", VERDICTS), ("level", LEVELS)):
        if bundle.verify.get(key, known[0]) not in known:
            raise ValueError(f"verify.{key} {bundle.verify[key]!r}")
    _check_build(bundle.build)
    check_task(bundle)
    _check_dim(bundle.postprocess, bundle.outputs[0])


def check_task(told: Any) -> None:
    """Check what bundles and checkpoints tell alike: postprocess and thresholds."""
    embeds = told.postprocess.get("kind") == "embedding"
    check_known("postprocess", told.postprocess, POSTPROCESS, ("dim",) if embeds else ())
    if "dim" in told.postprocess and not 0 < told.postprocess["dim"] <= MOST_ITEMS:
        raise ValueError(f"a dim of {told.postprocess['dim']}")
    for name, point in told.thresholds.items():
        check_known(f"threshold {name!r}", point, THRESHOLD, THRESHOLD)


def _check_dim(postprocess: Mapping[str, Any], output: TensorSpec) -> None:
    dim, size = postprocess.get("dim"), output.shape[-1]
    if None not in (dim, size) and dim != size:
        raise ValueError(f"dim is {dim}, but output {output.name!r} has {size}")


def _check_tensors(specs: Iterable[TensorSpec]) -> None:
    names = [spec.name for spec in specs]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"tensors {names}, one or more of different names are needed")
    for spec in specs:
        if prod(size or 1 for size in spec.shape) > MOST_ITEMS:
            raise ValueError(f"tensor {spec.name!r} has shape {spec.shape}")


def _check_build(build: Mapping[str, Any]) -> None:
    known = {**build, "batch": tuple(build.get("batch", (1, 1, 1)))}
    check_known("build", known, BUILD, ())
    least, usual, most = known["batch"]
    if not 0 < least <= usual <= most <= LARGEST_BATCH:
        raise ValueError(f"build.batch {known['batch']} is not smallest, usual and largest")


def check_name(word: str) -> None:
    """Raise ValueError where `word` cannot be a part of a folder's name on every system."""
    if not re.fullmatch(r"\w[\w.+ -]*", word) or len(word.encode()) > LONGEST_NAME:
        raise ValueError(f"name {word!r:.60}")
