"""ONNX int8 with weights in 8 and in 7 bits, as one committed file.

    python tools/int8_bits.py        # --nets chooses

Each network is coded twice from the same 300 drawn items and run by ONNX Runtime on 64 others:
as it comes, and asked for exact products (`session.x64quantprecision`), as our runtime does.
Both are compared with the fp32 file; of several outputs the worst counts. On a processor without
VNNI the two ways differ, for products of 8 bits overflow there. A row that is there is made anew.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import edgesdk
from edgesdk.core.compare import measure
from edgesdk.core.env import environment
from edgesdk.core.files import write_json
from edgesdk.core.task import info_of, task_of
from edgesdk_export._quantize import to_int8

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "onnx-int8-bits.json"
NETS = ("bridge-face", "bridge-face-plus", "bridge-face-plus-64", "face-detector")
ITEMS, JUDGED = 300, 64


def answers(file: Path, arrays: dict[str, Any], exact: bool) -> dict[str, Any]:
    """Return output -> [N, ...] of an ONNX file, an item at a time."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if exact:
        options.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    count = len(next(iter(arrays.values())))
    rows = [session.run(None, {n: a[i : i + 1] for n, a in arrays.items()}) for i in range(count)]
    return dict(zip(names, map(np.concatenate, zip(*rows, strict=True)), strict=True))


def rows(net: str) -> Iterator[dict[str, Any]]:
    """Yield what was measured of a network, a row per number of bits and way of running."""
    with tempfile.TemporaryDirectory() as folder:
        floats = edgesdk.export(
            net, target="onnx", precision="fp32", verify=False, output_dir=folder
        )
        model = info_of(floats)
        draw = task_of(model.task).draw
        drawn, other = draw(model, ITEMS, 0).arrays, draw(model, JUDGED, 7).arrays
        want = answers(floats.entry_path, other, True)
        for bits in (8, 7):
            coded = Path(folder) / "coded.onnx"
            to_int8(floats.entry_path, coded, drawn, {}, seven_bits=bits == 7)
            for exact in (True, False):
                found = answers(coded, other, exact)
                far = [measure(want[name], found[name]) for name in want]
                yield {
                    "net": net,
                    "bits": bits,
                    "products": "exact" if exact else "as they come",
                    "cosine_p1": min(d.cosine_p1 for d in far),
                    "snr_db": min(d.snr_db for d in far),
                }


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=list(NETS))
    asked = parser.parse_args()
    machine = {key: environment()[key] for key in ("cpu", "machine", "os", "python")}
    old = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    for net in asked.nets:
        made = list(rows(net))
        print(*made, sep="\n", flush=True)
        old = [r for r in old if r["net"] != net] + made
        write_json(RESULT, {
            "schema_version": 1, "command": "python tools/int8_bits.py", "environment": machine,
            "tools": {"onnxruntime": version("onnxruntime")}, "rows": old,
        })  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
