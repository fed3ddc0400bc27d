"""What a face detector costs in verification: MFR2 aligned by face-detector and by YuNet.

    python tools/compare_alignment.py --pairs mfr2_dev.tar \
        -o training/results/face-detector-alignment.json

Every picture goes through `FacePipeline` as a whole photo with each detector; one in which none is
found is embedded as it is, and counted. The loss is paired: the same pairs, the same embedding.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk import FacePipeline
from edgesdk.core.biometrics import cosine
from edgesdk.core.errors import UsageError
from edgesdk.core.files import write_json
from edgesdk.core.tensors import Array
from edgesdk.detect import NAMES
from edgesdk.pairs import PairSet, embed_pictures, judge, read_pairs
from tools.command import told

MODEL = "bridge-face-plus-64"
ALLOWED, ROUNDS = 0.005, 2000
COMMAND = "python tools/compare_alignment.py --pairs {} -o training/results/{}"


def embedder(pipeline: FacePipeline, missed: list[int]) -> Callable[[Sequence[Array]], Array]:
    """Return what embeds whole pictures; `missed` gathers a 1 for each without a face."""

    def crop(picture: Array) -> Array:
        try:
            return pipeline.cut(picture, aligned=False).crop
        except UsageError:
            missed.append(1)
            return picture

    return lambda pictures: pipeline.embed([crop(picture) for picture in pictures])


def best_accuracy(scores: Array, same: Array) -> tuple[float, float]:
    """Return the best accuracy over all thresholds, and its threshold."""
    limits = np.sort(scores)
    right = [(scores >= limit) == same for limit in limits]
    shares = np.mean(right, axis=1)
    best = int(shares.argmax())
    return float(shares[best]), float(limits[best])


def row(name: str, pairs: PairSet) -> tuple[dict[str, Any], Array]:
    """Return what a detector's alignment gives, and per pair whether it is right."""
    missed: list[int] = []
    with FacePipeline(MODEL, detector=name) as pipeline:
        embeddings = embed_pictures(embedder(pipeline, missed), pairs)
    scores = cosine(*embeddings[pairs.pairs])
    accuracy, limit = best_accuracy(scores, pairs.same)
    found = judge(embeddings, pairs)
    return {
        "accuracy": accuracy,
        "threshold": limit,
        "auc": found.auc,
        "pictures_without_a_face": len(missed),
    }, (scores >= limit) == pairs.same


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    pairs = read_pairs(asked.pairs)
    made = {name: row(name, pairs) for name in NAMES}
    lost = made["yunet"][1].astype(float) - made["face-detector"][1]
    drawn = np.random.default_rng(0).integers(0, len(lost), (ROUNDS, len(lost)))
    low, high = np.quantile(lost[drawn].mean(1), [0.025, 0.975])
    result = {
        "command": COMMAND.format(asked.pairs.name, asked.output.name),
        "model": MODEL,
        "pairs": len(pairs),
        "pairs_sha256": pairs.sha256,
        "threshold": "the best of each detector on these pairs",
        "detectors": {name: told_ for name, (told_, _) in made.items()},
        "loss": {"value": float(lost.mean()), "low": float(low), "high": float(high)},
        "claims": {
            "accuracy lost against YuNet": {
                "value": float(lost.mean()),
                "wanted": ALLOWED,
                "pass": bool(lost.mean() <= ALLOWED),
            }
        },
    }
    write_json(asked.output, result)
    print(result["detectors"], result["loss"])


if __name__ == "__main__":
    told(main)
