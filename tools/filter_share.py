"""Measure what part of f2c-detector's time its filter takes, and its pictures per second.

    python tools/filter_share.py -o training/results/f2c-share.json

ONNX Runtime tells the time of every node; what comes before the first convolution is the filter.
A picture of 512x512 px is 64 crops, as is any larger one. One thread.
"""

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgesdk.core.files import write_json
from edgesdk.core.shipped import open_bundle
from edgesdk.generated import MOST_CROPS
from edgesdk.tasks._inputs import textures
from tools.command import told

PICTURES = 20


def measured() -> dict[str, Any]:
    """Return the share of the filter, and pictures per second, decoding left out."""
    import onnxruntime

    bundle = open_bundle("f2c-detector")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.enable_profiling = 1, True
    side = bundle.inputs[0].shape[2]
    crops = textures(MOST_CROPS, 0, side or 64)
    batch = bundle.preprocess["image"](crops)
    with TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(
            bundle.entry_path, options, providers=["CPUExecutionProvider"]
        )
        session.run(None, {"image": batch})
        begun = time.perf_counter()
        for _ in range(PICTURES):
            session.run(None, {"image": batch})
        spent = time.perf_counter() - begun
        rows = json.loads(Path(session.end_profiling()).read_text())
    nodes = [r for r in rows if r["cat"] == "Node" and r["name"].endswith("_kernel_time")]
    names = list(dict.fromkeys(r["name"] for r in nodes))
    ops = {r["name"]: r["args"]["op_name"] for r in nodes}
    first = next(i for i, name in enumerate(names) if "Conv" in ops[name])
    times = {n: float(np.median([r["dur"] for r in nodes if r["name"] == n])) for n in names}
    before = sum(times[n] for n in names[:first])
    return {
        "command": "python tools/filter_share.py",
        "filter_share": before / sum(times.values()),
        "nodes_of_the_filter": [ops[n] for n in names[:first]],
        "pictures_per_s": PICTURES / spent,
        "crops_per_picture": MOST_CROPS,
        "threads": 1,
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="JSON to write")
    asked = parser.parse_args()
    found = measured()
    write_json(asked.out, found)
    print(found)


if __name__ == "__main__":
    told(main)
