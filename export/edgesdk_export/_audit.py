"""What of the weights is lost or slow: numbers below the normal range, dead channels."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import UnsupportedError
from edgesdk.core.tensors import Array
from edgesdk_export._find import find_source
from edgesdk_export._graph import constants
from edgesdk_export._source import Source, as_onnx

LEAST = {"float32": float(np.finfo(np.float32).tiny), "float16": float(np.finfo(np.float16).tiny)}


def audit_bundle(bundle: Bundle, source: Source | None = None) -> list[str]:
    """Return sentences on the weights of a bundle.

    They are read from its ONNX file, from the one behind an engine, or from that of the source.

    Args:
        bundle: What to look into.
        source: What it was made of; None to look for it.

    Raises:
        UnsupportedError: it brings no ONNX file, and its source is not on this machine.
    """
    import onnx

    if bundle.format == "onnx" or bundle.proxy:
        return audit(constants(onnx.load(as_onnx(bundle).entry_path).graph))
    source = source or find_source(bundle)
    if source is None:
        raise UnsupportedError(
            f"the weights of {bundle.path} are read from its source, which was not found; name it "
            "with --source, or leave --audit out"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fp32.onnx"
        source.write_onnx(path, bundle.inputs[0].shape[0])
        return audit(constants(onnx.load(path).graph))


def audit(weights: Mapping[str, Array]) -> list[str]:
    """Return sentences on weights by name: denormal numbers, what float16 loses, dead channels."""
    floats = {n: a for n, a in weights.items() if a.dtype.name in LEAST and a.size > 1}
    every = sum(array.size for array in floats.values())
    sizes = {name: np.abs(array[array != 0]) for name, array in floats.items()}
    slow = sum(int((s < LEAST[floats[n].dtype.name]).sum()) for n, s in sizes.items())
    # Half of the smallest float16 rounds to zero.
    lost = sum(int((s.astype(np.float64) < 2.0**-25).sum()) for s in sizes.values())
    return [
        f"audit: {slow} of {every:,} weights are denormal numbers, which some processors compute "
        "slowly and others take for zero",
        f"audit: {lost} of {every:,} weights are zero in float16",
        f"audit: dead channels, all of whose weights are zero: {_dead(floats)}",
    ]


def _dead(weights: Mapping[str, Array]) -> str:
    found = []
    for name, array in weights.items():
        if array.ndim in (2, 4):
            empty = int((np.abs(array).reshape(len(array), -1).max(1) == 0).sum())
            found += [f"{empty} of {len(array)} in {name}"] if empty else []
    return ", ".join(found) or "none"
