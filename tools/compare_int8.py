"""Our int8 for OpenVINO beside NNCF's, as one committed file.

    pip install nncf                               # in an environment of its own
    python tools/compare_int8.py --nncf            # --control adds its accuracy control: slow

Each network is coded from the same 300 drawn items: by us, by us with weights in 8 bits instead
of 7, and by NNCF from the fp32 file. All run in OpenVINO on 64 other drawn items and are compared
with the fp32 file; of several outputs the worst counts. A row that is there is made anew.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import edgesdk
from edgesdk.core.compare import measure
from edgesdk.core.env import environment
from edgesdk.core.files import write_json
from edgesdk.core.task import info_of, task_of

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "openvino-int8.json"
COMMAND = "python tools/compare_int8.py --nncf"
NETS = ("bridge-face-plus-64", "face-detector", "tools.shelf:shufflenet_v2")
ITEMS, JUDGED = 300, 64
OURS, WIDE = "edgesdk", "edgesdk, weights in 8 bits as for ONNX"
SETTINGS = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
# The largest loss of mean cosine that accuracy control allows itself.
MOST_LOST = 1e-3


def answers(model: Any, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return output -> [N, ...] of a compiled model, an item at a time."""
    count = len(next(iter(arrays.values())))
    rows = [model({n: a[i : i + 1] for n, a in arrays.items()}) for i in range(count)]
    return {
        port.get_any_name(): np.concatenate([row[port] for row in rows]) for port in model.outputs
    }


def cosine(want: dict[str, Any], found: dict[str, Any]) -> float:
    """Return the mean over the outputs of the median cosine."""
    return float(np.mean([measure(want[name], found[name]).cosine_p50 for name in want]))


def coded(exact: Any, drawn: dict[str, Any], control: bool) -> Iterator[tuple[str, Any]]:
    """Yield the name of each way of NNCF and its model."""
    import nncf
    import openvino

    items = [{n: a[i : i + 1] for n, a in drawn.items()} for i in range(ITEMS)]
    taken = nncf.Dataset(items)
    yield "nncf", nncf.quantize(exact, taken, subset_size=ITEMS)
    if not control:
        return
    want = answers(openvino.compile_model(exact, "CPU", SETTINGS), drawn)

    def validate(model: Any, given: Any) -> tuple[float, None]:
        row = list(given)
        found = [model(item) for item in row]
        ports = model.outputs
        together = {p.get_any_name(): np.concatenate([f[p] for f in found]) for p in ports}
        return cosine({n: a[: len(row)] for n, a in want.items()}, together), None

    yield "nncf, accuracy control", nncf.quantize_with_accuracy_control(
        exact, taken, nncf.Dataset(items[:JUDGED]), validate, subset_size=ITEMS,
        max_drop=MOST_LOST,
    )  # fmt: skip


def rows(net: str, nncf: bool, control: bool) -> Iterator[dict[str, Any]]:
    """Yield what was measured of a network, a row per way."""
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        options = {"calib_samples": ITEMS, "verify": False, "output_dir": folder}
        floats = edgesdk.export(net, target="openvino", precision="fp32", **options)
        ours = edgesdk.export(net, target="openvino", precision="int8", **options)
        wide = edgesdk.export(net, target="onnx", precision="int8", **options)
        model = info_of(floats)
        draw = task_of(model.task).draw
        drawn, other = draw(model, ITEMS, 0).arrays, draw(model, JUDGED, 7).arrays
        exact = openvino.Core().read_model(floats.entry_path / floats.build["file"])
        want = answers(openvino.compile_model(exact, "CPU", SETTINGS), other)
        for way, file in (
            (OURS, ours.entry_path / ours.build["file"]), (WIDE, wide.entry_path),
        ):  # fmt: skip
            coded_by_us = openvino.Core().read_model(file)
            yield row(net, way, want, coded_by_us, other, 0.0)
        if not nncf:
            return
        start = perf_counter()
        for way, made in coded(exact, drawn, control):
            yield row(net, way, want, made, other, perf_counter() - start)
            start = perf_counter()


def row(
    net: str, way: str, want: dict[str, Any], made: Any, other: dict[str, Any], spent: float
) -> dict[str, Any]:
    """Return what is kept of a coded model."""
    import openvino

    found = answers(openvino.compile_model(made, "CPU", SETTINGS), other)
    far = [measure(want[name], found[name]) for name in want]
    return {
        "net": net,
        "way": way,
        "spent_s": round(spent, 1),
        "cosine_p1": min(d.cosine_p1 for d in far),
        "snr_db": min(d.snr_db for d in far),
    }


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=list(NETS))
    parser.add_argument("--nncf", action="store_true", help="NNCF too: needs the package")
    parser.add_argument("--control", action="store_true", help="accuracy control too: slow")
    asked = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    machine = {key: environment()[key] for key in ("cpu", "machine", "os", "python")}
    tools = {name: version(name) for name in ("openvino", "onnxruntime")}
    tools |= {"nncf": version("nncf")} if asked.nncf else {}
    for net in asked.nets:
        for one in rows(net, asked.nncf, asked.control):
            print(one, flush=True)
            old = json.loads(RESULT.read_text()) if RESULT.exists() else {"rows": [], "tools": {}}
            kept = [r for r in old["rows"] if (r["net"], r["way"]) != (one["net"], one["way"])]
            together = sorted([*kept, one], key=lambda r: (r["net"], r["way"]))
            write_json(RESULT, {"schema_version": 1, "command": COMMAND, "environment": machine,
                                "tools": {**old["tools"], **tools}, "rows": together})  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
