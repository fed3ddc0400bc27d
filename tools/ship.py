"""Put a trained checkpoint into the zoo: judge it, fit its threshold, export its ONNX bundle.

    python tools/ship.py runs/bridge-bridge-face-12345678 --pairs lfw.tar

The accuracy is measured on the pairs at the model's own input size, without mirrored
views, and stored with the command that measured it. The thresholds come from the same
pairs, of all cross-identity impostors inside each fold.
"""

import argparse
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import edgesdk
from edgesdk.core.bundle import Checkpoint, read_checkpoint
from edgesdk.core.files import write_atomic
from edgesdk.core.shipped import shipped_bundle, shipped_checkpoint, zoo
from edgesdk.core.stages import publish, staging
from edgesdk.pairs import embed_pictures, judge, read_pairs
from edgesdk_benchmarks.accuracy import checkpoint_model
from tools.command import told

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
    source = read_checkpoint(run / "checkpoint" if (run / "checkpoint").is_dir() else run)
    ready = judged(source, pairs)
    home = shipped_checkpoint(source.model)
    with staging(home) as stage:
        shutil.copyfile(source.weights_path, stage / source.weights_path.name)
        write_atomic(stage / "LICENSE.weights", LICENCE.read_bytes())
        replace(ready, path=stage).write_meta()
        # Before the weights are published: what fails its gate leaves the zoo as it is.
        bundle = edgesdk.export(stage, target="onnx", data=pairs, output_dir=zoo(), force=True)
        assert bundle.path == shipped_bundle(source.model), bundle.path
        replace(ready, path=stage, thresholds=bundle.thresholds).write_meta()
        publish(stage, home)
    print(home.name, {k: v for k, v in ready.metrics.items() if k.startswith("lfw")})


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
