"""Put a trained checkpoint into the zoo: judge it, fit its threshold, export its ONNX bundle.

    python tools/ship.py runs/bridge-bridge-face-12345678 --pairs lfw.tar

The accuracy is measured on the pairs at the model's own input size, without mirrored
views, and stored with the command that measured it. The thresholds come from the same
pairs, of all cross-identity impostors inside each fold.
"""

import argparse
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from edgesdk.core.bundle import Checkpoint
from edgesdk.pairs import embed_pictures, judge, read_pairs
from edgesdk_benchmarks.accuracy import checkpoint_model
from tools.command import told
from tools.zoo import checkpoint_of, put

LICENCE = Path(__file__).with_name("LICENSE.weights")


def judged(checkpoint: Checkpoint, pairs_path: str) -> Checkpoint:
    """Return the checkpoint with its accuracy on the pairs."""
    pairs = read_pairs(pairs_path)
    with ExitStack() as stack:
        model = checkpoint_model(str(checkpoint.path), 1, stack)
        found = judge(embed_pictures(model.embed, pairs, model.side), pairs)
    measured = {
        "lfw_accuracy": found.accuracy,
        "lfw_accuracy_std": found.accuracy_std,
        "lfw_auc": found.auc,
        "lfw_tar_far_1e-2": found.tar["far_1e-2"]["value"],
        "lfw_pairs": len(pairs),
        "lfw_face_px": model.side,
        "measured_by": "python tools/ship.py RUN --pairs " + Path(pairs_path).name,
    }
    return replace(checkpoint, metrics={**checkpoint.metrics, **measured})


def ship(run: Path, pairs: str) -> None:
    """Write the zoo's checkpoint and bundle of one run."""
    ready = judged(checkpoint_of(run), pairs)
    put(ready, LICENCE.read_text("utf-8"), pairs)
    print(ready.model, {k: v for k, v in ready.metrics.items() if k.startswith("lfw")})


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--pairs", required=True)
    asked = parser.parse_args()
    for run in asked.runs:
        ship(run, asked.pairs)


if __name__ == "__main__":
    told(main)
