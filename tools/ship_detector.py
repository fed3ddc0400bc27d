"""Put a trained detector of generated pictures into the zoo, with what it was measured to do.

    python tools/ship_detector.py runs/f2c-f2c-detector-12345678 --judged training/results/f2c.json
    python tools/ship_detector.py runs/item-… --judged training/results/item.json

The figures come from tools/judge_detectors.py or tools/judge_misalignment.py, of the same weights;
`--data` (a set with folders real and fake) lets the export's gate judge its AUC as well.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.bundle import Checkpoint
from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_json
from tools.command import told
from tools.teach_detectors import CLUES
from tools.zoo import checkpoint_of, put

# Clues of which weights are shipped.
NAMES = {"f2c": "f2c-detector"}
LICENCE = """Licence of the weights in this folder

These weights were trained by the edgesdk project on photos that allow research and forbid
commercial use (ImageNet, Flickr8k, COCO), with their captions, and on what generators drew.
item-detector begins with MobileNetV2 as torchvision gives it (BSD 3-Clause, taught on ImageNet)
and learnt its words from all-MiniLM-L6-v2 (Apache-2.0). Until that is cleared, treat the
weights as bound by the strictest term of their data: research and evaluation only, no commercial
use.

What they say of a picture is a hint, no proof; see the model card for what they were measured
to do, and to miss. No picture of these sets is part of this repository. The code of edgesdk
has its own licence, Apache-2.0. This text is no legal advice.
"""


def measured(checkpoint: Checkpoint, path: Path) -> dict[str, Any]:
    """Return the figures of these weights out of a file of tools/judge_detectors.py.

    Raises:
        UsageError: the file is about other weights.
    """
    data = read_json(path, "judgement")
    if data.get("weights_sha256") == checkpoint.weights_sha256:
        return _of_captions(data, path)
    names = [n for n, d in data.get("detectors", {}).items()
             if d["weights_sha256"] == checkpoint.weights_sha256]  # fmt: skip
    if not names:
        raise UsageError(f"{path} does not tell of these weights; judge them first")
    unseen = data["unseen"][names[0]]
    generators = [rows[names[0]] for rows in data["generators"].values()]
    fair = [row["auc"] for rows in generators for row in rows.values() if row.get("fair pair")]
    return {
        "advice": advice(data["unseen"], names[0]),
        "controlled_fakes_auc": unseen["mean against photos"],
        "controlled_fakes_auc_against_soft": unseen["mean against soft"],
        "soft_photos_against_photos_auc": unseen["soft against photos"]["auc"],
        "unseen_auc": of_all_sets([rows["all"] for rows in generators]),
        "unseen_fair_pairs_auc": float(np.mean(fair)),
        "measured_by": "python tools/judge_detectors.py, see " + path.name,
    }


def of_all_sets(rows: Sequence[Mapping[str, Any]]) -> float:
    """Return the mean AUC of sets of real generators, each weighed by its generated pictures."""
    return float(np.average([r["auc"] for r in rows], weights=[r["fakes"] for r in rows]))


def advice(unseen: Mapping[str, Any], name: str) -> str:
    """Return how a detector stands among those of the same command, on fakes kept apart."""
    means = {
        other: (row["mean against photos"] + row["mean against soft"]) / 2
        for other, row in unseen.items()
    }
    best = max(means, key=lambda other: means[other])
    told = ", ".join(f"{other} {value:.2f}" for other, value in means.items())
    chosen = "recommended: the best" if best == name else f"recommended is {best}, the best"
    found = f"{chosen} of one command on controlled fakes kept apart (mean AUC: {told})"
    clue = best.removesuffix(" begun")
    if best == name or clue not in CLUES:
        return found
    if clue in NAMES:
        return f"{found}; it is shipped as {NAMES[clue]}"
    return f"{found}; it is taught by: edgesdk train f2c --set clue={clue}"


def _of_captions(data: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the figures of a detector that reads captions."""
    head = data["heads"][data["settings"]["head"]]
    return {
        "metric": "AUC",
        "value": head["found"]["mean"],
        "data": "pictures held out, captions found alike",
        "percent": False,
        "captions_given_auc": head["given"]["mean"],
        "global_alone_auc": data["heads"]["global"]["found"]["mean"],
        "measured_by": "python tools/judge_misalignment.py, see " + path.name,
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--judged", type=Path, required=True)
    parser.add_argument("--unseen", type=Path, help="file of tools/judge_captioned.py")
    parser.add_argument("--data")
    asked = parser.parse_args()
    source = checkpoint_of(asked.run)
    found = measured(source, asked.judged)
    if asked.unseen is not None:
        found |= {"unseen_auc": read_json(asked.unseen, "judgement")["generators"]["all"]["auc"]}
    put(replace(source, metrics={**source.metrics, **found}), LICENCE, asked.data)
    print(source.model, found)


if __name__ == "__main__":
    told(main)
