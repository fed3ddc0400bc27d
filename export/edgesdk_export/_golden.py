"""Golden vectors: what each stage must give, for a self-test on any device.

`golden/index.json` and raw files beside it (little-endian, row-major), about 1 MB in all, or more
where two items take it:

    {"schema_version": 1, "about": "…",
     "align": [{"picture": T, "points": [[x, y], …5], "template": "arcface", "size": 112,
                "pad_value": 0, "crop": T, "max_abs": 2}],
     "pre":   [{"input": "image", "pictures": T, "tensor": T, "max_abs": 0.0008}],
     "infer": {"inputs": {"image": T}, "outputs": {"embedding": T}, "tolerance": {…}},
     "post":  [{"output": "embedding", "cosine": [[1.0, …], …], "max_abs": 1e-5}]}

T is {"file", "dtype", "shape"}. `outputs` are those of the source in float32, so `tolerance`
is that of the bundle's precision. The stages check one thing each: align takes the photo to
the crop, pre the crop to the tensor, infer the tensor to the output, post the stored
outputs to their similarities. The task of the model draws pictures and inputs.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from edgesdk.core.biometrics import unit
from edgesdk.core.bundle import Bundle
from edgesdk.core.compare import judge
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.files import read_json, write_atomic, write_json
from edgesdk.core.golden import read_array
from edgesdk.core.preprocess import TEMPLATES, Align, Preprocess, align
from edgesdk.core.target import Tolerance
from edgesdk.core.task import ModelInfo, Run, task_of
from edgesdk.core.tensors import Array
from edgesdk.core.typed import MALFORMED
from edgesdk_export._source import Source, info

FOLDER, INDEX = "golden", "index.json"
SCHEMA_VERSION = 1
SEED = 11
MOST, LEAST = 8, 2
TENSOR_BYTES = 700_000
GREY_LEVELS = 0.1  # what rounding may change in a resized pixel, on the scale 0..255
NAMES = {
    "align": "alignment",
    "pre": "pre-processing",
    "infer": "inference",
    "post": "similarity of embeddings",
}
SUFFIXES = {"uint8": "u8", "float32": "f32", "int32": "i32", "int64": "i64"}


def write_golden(folder: Path, source: Source, run: Run, tolerance: Tolerance) -> None:
    """Write the golden vectors of a bundle.

    Args:
        folder: The bundle's folder.
        source: Tells the pre-processing.
        run: Runs the source.
        tolerance: Of the bundle's precision.
    """
    pack = _Pack(folder / FOLDER)
    model = info(source)
    drawn = task_of(source.task).draw(model, MOST, SEED)
    item = sum(array[0].nbytes for array in drawn.arrays.values())
    count = int(np.clip(TENSOR_BYTES // item, LEAST, MOST))
    inputs = {name: array[:count] for name, array in drawn.arrays.items()}
    outputs = {name: np.asarray(array) for name, array in run(inputs).items()}
    shown = pack.add("pictures", np.stack(drawn.pictures[:count])) if drawn.pictures else None
    tensors = {name: pack.add(name, array) for name, array in inputs.items()}
    write_json(
        folder / FOLDER / INDEX,
        {
            "schema_version": SCHEMA_VERSION,
            "about": drawn.about,
            "align": _align_cases(pack, model),
            "pre": [
                {
                    "input": name,
                    "pictures": shown,
                    "tensor": tensors[name],
                    "max_abs": GREY_LEVELS / min(preprocess.std),
                }
                for name, preprocess in source.preprocess.items()
            ],
            "infer": {
                "inputs": tensors,
                "outputs": {name: pack.add(name, array) for name, array in outputs.items()},
                "tolerance": asdict(tolerance),
            },
            "post": _post_cases(source.postprocess, outputs),
        },
    )


def take_over(folder: Path, source: Source) -> None:
    """Copy the golden vectors of `source`, whose precision is the same."""
    shutil.copytree(source.path / FOLDER, folder / FOLDER)


def golden_tolerance(bundle: Bundle) -> Tolerance:
    """Return what a bundle's golden vectors allow its outputs to differ."""
    index = read_json(bundle.path / FOLDER / INDEX, "golden index")
    try:
        return Tolerance.from_json(index["infer"]["tolerance"])
    except MALFORMED as error:
        raise UsageError(
            f"the golden vectors of {bundle.path} are damaged ({error}); export it again"
        ) from None


class _Pack:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, array: Array) -> dict[str, Any]:
        """Write one array and return its entry."""
        # Names of others may hold what no file system takes, or differ in case alone.
        plain = re.sub(r"[^a-z0-9_-]", "_", name)
        word = name if name == plain else f"{plain}_{crc32(name.encode()):08x}"
        file = f"{word}.{SUFFIXES.get(array.dtype.name, 'bin')}"
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        write_atomic(self.folder / file, little.tobytes())
        return {"file": file, "dtype": array.dtype.name, "shape": list(array.shape)}

    def read(self, entry: Mapping[str, Any]) -> Array:
        """Return the array of an entry."""
        return read_array(self.folder, entry)


def _align_cases(pack: _Pack, model: ModelInfo) -> list[dict[str, Any]]:
    """Return a turned and a shrunk item in one made-up photo, for inputs that are aligned."""
    how = next((p for p in model.preprocess.values() if p.align is not None), None)
    if how is None or how.align is None:
        return []
    photo = task_of(model.task).pictures(1, SEED + 1, 128)[0]
    entry, cases = pack.add("photo", photo), []
    for number, (degrees, scale) in enumerate(((12.0, 0.8), (-5.0, 1.1))):
        points = _points(how.align, degrees, scale, photo.shape[0])
        crop = align(photo, points, how.align, how.pad_value)
        cases.append(
            {
                "picture": entry,
                "points": points.tolist(),
                "template": how.align.template,
                "size": how.align.size,
                "pad_value": how.pad_value,
                "crop": pack.add(f"crop{number}", crop),
                "max_abs": 2,
            }
        )
    return cases


def _points(how: Align, degrees: float, scale: float, side: int) -> Array:
    """Return the template's five points turned and scaled about the photo's middle."""
    angle = np.deg2rad(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points: Array = (TEMPLATES[how.template] - 56.0) @ turn.T + side / 2
    return points.round(3)


def _post_cases(
    postprocess: Mapping[str, Any], outputs: Mapping[str, Array]
) -> list[dict[str, Any]]:
    """Return the similarities of the embeddings, which are the first output."""
    if postprocess.get("kind") != "embedding":
        return []
    name, array = next(iter(outputs.items()))
    return [{"output": name, "cosine": _similarities(array).tolist(), "max_abs": 1e-5}]


def _similarities(embeddings: Array) -> Array:
    rows = unit(embeddings).astype(np.float64)
    return (rows @ rows.T).round(7)


def check_golden(bundle: Bundle, run: Run | None) -> tuple[dict[str, str], list[str]]:
    """Check every stage of a bundle's golden vectors on this machine.

    Args:
        bundle: What to check; its manifest tells the pre-processing.
        run: Runs the artefact, None where it cannot run here.

    Returns:
        Stage -> "pass" or "fail" of the stages checked, and the reasons of failures.
    """
    pack = _Pack(bundle.path / FOLDER)
    index = read_json(pack.folder / INDEX, "golden index")
    try:
        found = {
            "align": _check_align(pack, index["align"]),
            "pre": _check_pre(pack, index["pre"], bundle.preprocess),
            "infer": None if run is None else _check_infer(pack, index["infer"], run),
            "post": _check_post(pack, index),
        }
    except MALFORMED as error:
        raise UsageError(
            f"the golden vectors of {bundle.path} are damaged ({error}); export it again"
        ) from None
    done = {stage: reasons for stage, reasons in found.items() if reasons is not None}
    stages = {stage: "fail" if reasons else "pass" for stage, reasons in done.items()}
    said = ((f"golden stage {s!r} ({NAMES[s]})", r) for s, reasons in done.items() for r in reasons)
    return stages, [f"{stage}: {reason}" for stage, reason in said]


def _check_align(pack: _Pack, cases: Sequence[Mapping[str, Any]]) -> list[str] | None:
    reasons = []
    for case in cases:
        how = Align.from_json({"template": case["template"], "size": case["size"]})
        crop = align(pack.read(case["picture"]), case["points"], how, case["pad_value"])
        reasons += _apart("the aligned crop", pack.read(case["crop"]), crop, case["max_abs"])
    return reasons if cases else None


def _check_pre(
    pack: _Pack, cases: Sequence[Mapping[str, Any]], preprocess: Mapping[str, Preprocess]
) -> list[str]:
    reasons = []
    for case in cases:
        made = preprocess[case["input"]](list(pack.read(case["pictures"])))
        want = pack.read(case["tensor"])
        reasons += _apart(f"input {case['input']!r}", want, made, case["max_abs"])
    return reasons


def _check_infer(pack: _Pack, case: Mapping[str, Any], run: Run) -> list[str]:
    inputs = {name: pack.read(entry) for name, entry in case["inputs"].items()}
    try:
        found = run(inputs)
    except EdgeSdkError as error:
        return [str(error)]
    tolerance, reasons = Tolerance.from_json(case["tolerance"]), []
    for name, entry in case["outputs"].items():
        reasons += judge(name, pack.read(entry), np.asarray(found[name]), tolerance)[1]
    return reasons


def _check_post(pack: _Pack, index: Mapping[str, Any]) -> list[str] | None:
    reasons = []
    for case in index["post"]:
        outputs = pack.read(index["infer"]["outputs"][case["output"]])
        want = np.array(case["cosine"])
        reasons += _apart("the similarity", want, _similarities(outputs), case["max_abs"])
    return reasons if index["post"] else None


def _apart(what: str, want: Array, found: Array, most: float) -> list[str]:
    if want.shape != found.shape:
        return [f"{what} has shape {found.shape}, {want.shape} wanted"]
    error = float(np.abs(want.astype(np.float64) - found.astype(np.float64)).max())
    return [] if error <= most else [f"{what} is off by {error:.3g}, at most {most:.3g} allowed"]
