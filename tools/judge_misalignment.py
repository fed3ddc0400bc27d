"""Judge heads of ITEM on features: global, global and local, and the picture alone.

    python tools/judge_misalignment.py runs/item-… -o training/results/item.json

Each head is taught by recipe `item` on the run's features.npz, with several seeds that decide
which pictures are held out, and judged on these: with the captions that came with them, and with
those that one captioner found for both sides. Figures are means with their range over seeds.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.files import write_json
from edgesdk_training._train import train
from tools.command import told

HEADS = ("global", "sum", "concat", "picture")
KINDS = {"all": "holdout_auc", "given": "holdout_auc_given", "found": "holdout_auc_found"}


def taught(features: Path, head: str, seed: int, epochs: int, out: Path) -> dict[str, float]:
    """Return the AUCs of one head with one seed."""
    settings = {"head": head, "epochs": epochs}
    result = train("item", settings=settings, data={"images": [features]}, seed=seed, out=out)
    return {kind: result.metrics[key] for kind, key in KINDS.items() if key in result.metrics}


def summed(runs: list[dict[str, float]]) -> dict[str, Any]:
    """Return mean and range over seeds of each kind."""
    return {
        kind: {
            "mean": float(np.mean([run[kind] for run in runs])),
            "low": min(run[kind] for run in runs),
            "high": max(run[kind] for run in runs),
        }
        for kind in runs[0]
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="run of recipe item with space=compact")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("-o", "--out", type=Path, required=True, help="JSON to write")
    asked = parser.parse_args()
    checkpoint = read_checkpoint(asked.run / "checkpoint")
    rows, runs = {}, dict[str, list[dict[str, float]]]()
    with tempfile.TemporaryDirectory() as place:
        for head in HEADS:
            runs[head] = [
                taught(asked.run / "features.npz", head, seed, asked.epochs, Path(place))
                for seed in range(asked.seeds)
            ]
            rows[head] = summed(runs[head])
            print(head, {kind: round(row["mean"], 3) for kind, row in rows[head].items()})
    gains = [
        {kind: a[kind] - b[kind] for kind in a}
        for a, b in zip(runs["concat"], runs["global"], strict=True)
    ]
    write_json(
        asked.out,
        {
            "command": f"python tools/judge_misalignment.py RUN --seeds {asked.seeds} "
            f"--epochs {asked.epochs}",
            "weights_sha256": checkpoint.weights_sha256,
            "settings": checkpoint.provenance["settings"],
            "data": checkpoint.provenance["data"],
            "space": {
                key: value
                for key, value in checkpoint.metrics.items()
                if not key.startswith("holdout")
            },
            "seeds": asked.seeds,
            "heads": rows,
            "global and local against global": summed(gains),
        },
    )


if __name__ == "__main__":
    told(main)
