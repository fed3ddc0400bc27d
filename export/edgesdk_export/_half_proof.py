"""Judge what computes in float16 in real half precision, besides the host's arithmetic."""

import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edgesdk.core.bundle import Bundle
from edgesdk.core.compare import judge
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.target import Tolerance
from edgesdk.core.tensors import Arrays
from edgesdk.core.verify import Verification
from edgesdk_export._half import LARGEST, HalfRun, run_half
from edgesdk_export._quantize import to_fp16
from edgesdk_export._quiet import converting
from edgesdk_export._source import Run, Source, as_onnx

ITEMS = 16


def in_half(bundle: Bundle) -> bool:
    """Tell whether the device may compute the bundle in float16."""
    return bundle.precision == "fp16" or bundle.build.get("arithmetic") == "float16"


def judge_half(
    found: Verification,
    bundle: Bundle,
    source: Source,
    run: Run,
    arrays: Arrays,
    tolerance: Tolerance,
) -> tuple[Verification, list[str]]:
    """Run the float16 graph with every value rounded, and compare it with the source.

    Args:
        found: The verdict so far.
        bundle: What is judged; ONNX files and engines bring the graph, for the others it is
            made of the source.
        source: What it was made of.
        run: Runs the source.
        arrays: Items, pre-processed; the first 16 are taken.
        tolerance: Of the bundle's precision.

    Returns:
        The verdict with the numbers in `half`, and what broke the tolerance. Where the graph
        cannot be had or run, `half` says why under "not_run".
    """
    if not in_half(bundle):
        return found, []
    items = {name: array[:ITEMS] for name, array in arrays.items()}
    try:
        half = _run(bundle, source, items)
    except EdgeSdkError as error:
        said = f"float16 itself was not run: {error}"
        return replace(found, half={"not_run": str(error)}, reasons=(*found.reasons, said)), []
    want, reasons = run(items), _overflow(half)
    numbers: dict[str, Any] = {}
    for spec in bundle.outputs:
        distance, broken = judge(spec.name, want[spec.name], half.outputs[spec.name], tolerance)
        reasons += [f"in real half precision {why}" for why in broken]
        if distance is not None:
            numbers[spec.name] = distance.to_json()
    largest = max(half.peaks.items(), key=lambda item: item[1], default=("none", 0.0))
    layer, peak = half.beyond() or largest
    told = {
        "by": f"onnxruntime {version('onnxruntime')}, every value rounded to float16",
        "samples": len(next(iter(items.values()))),
        "outputs": numbers,
        "largest": {"layer": layer, "value": peak, "range": LARGEST},
    }
    return replace(found, half=told), reasons


def _overflow(half: HalfRun) -> list[str]:
    over = half.beyond()
    if over is None:
        return []
    layer, peak = over
    return [f"layer {layer} gives {peak:,.6g}, float16 ends at {LARGEST:,.0f}"]


def _run(bundle: Bundle, source: Source, items: Arrays) -> HalfRun:
    batch = bundle.inputs[0].shape[0]
    with tempfile.TemporaryDirectory() as folder, converting("the float16 evaluator"):
        return run_half(_graph_file(bundle, source, Path(folder), batch), items, batch)


def _graph_file(bundle: Bundle, source: Source, folder: Path, batch: int | None) -> Path:
    """Return the float16 ONNX file that holds the numbers of the bundle."""
    if bundle.format == "onnx" or bundle.proxy:
        return as_onnx(bundle).entry_path
    exact, path = folder / "fp32.onnx", folder / "fp16.onnx"
    source.write_onnx(exact, batch)
    to_fp16(exact, path, {})
    return path
