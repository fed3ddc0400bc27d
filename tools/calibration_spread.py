"""How far int8 hangs on the draw of its calibration crops, as one committed file.

    python tools/calibration_spread.py --pairs lfw.tar --model bridge-face-plus \
        -o benchmarks/results/calibration-spread.json

Exports the model to ONNX int8 once per number of drawn faces and seed. Each row is what the
export's own proof says on real crops of the pairs: the worst per cent of cosines to the
source, the accuracy lost, and the verdict.
"""

import argparse
import tempfile
from pathlib import Path

import edgesdk
from edgesdk.core.bundle import VERIFY
from edgesdk.core.errors import GateFailedError
from edgesdk.core.files import read_json, write_json


def proof(model: str, pairs: str, samples: int, seed: int, out: Path) -> dict:
    """Return the proof of one export; a refused one leaves its numbers too."""
    options = {"calib_samples": samples, "calib_seed": seed, "data": pairs, "force": True}
    try:
        folder = edgesdk.export(
            model, target="onnx", precision="int8", output_dir=out, **options
        ).path
    except GateFailedError:
        folder = out / f"{model}-onnx-int8.rejected"
    found = read_json(folder / VERIFY, "verdict")
    return {
        "model": model,
        "calib_samples": samples,
        "calib_seed": seed,
        "cosine_p1": found["outputs"]["embedding"]["cosine_p1"],
        "cosine_p50": found["outputs"]["embedding"]["cosine_p50"],
        "accuracy_drop": found["task"].get("drop"),
        "verdict": found["verdict"],
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", required=True)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--samples", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    words = [f"--model {m}" for m in asked.model]
    command = f"python tools/calibration_spread.py --pairs {Path(asked.pairs).name}"
    rows = []
    with tempfile.TemporaryDirectory() as out:
        for model in asked.model:
            for samples in asked.samples:
                for seed in range(asked.seeds):
                    rows.append(proof(model, asked.pairs, samples, seed, Path(out)))
                    print(rows[-1])
    write_json(asked.output, {"command": " ".join([command, *words]), "rows": rows})


if __name__ == "__main__":
    main()
