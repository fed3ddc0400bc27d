"""Draw a trained masked-face back to the weights that its recogniser began with, by some parts.

    python tools/draw_back.py runs/deocclusion-masked-face-12345678 \
        --to runs/mobile-face/checkpoint --keep 0.15 0.3 -o drawn

Few faces teach much that holds for them alone; a part of the way back often bears other faces
better (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). Each part leaves a run's
folder `drawn/KEEP/checkpoint`, which `tools/masked_faces.py` judges and `tools/ship.py` ships.
The run is one with `--set alike=false`: channels made alike cannot be mixed with others.
"""

import argparse
from pathlib import Path

from edgesdk.core.bundle import Checkpoint, read_checkpoint
from edgesdk.core.errors import UsageError
from edgesdk.core.plugins import STUDENTS, load
from edgesdk_training.checkpoint import draw_back
from tools.command import told
from tools.zoo import changed, checkpoint_of

STUDENT, RECOGNISER = "masked-face", "recogniser."


def drawn(source: Checkpoint, first: Checkpoint, keep: float, folder: Path) -> Checkpoint:
    """Return a checkpoint in `folder` whose recogniser is `keep` of the way back to `first`.

    Raises:
        UsageError: one of both is no masked-face, or its channels were made alike since.
    """
    for one in (source, first):
        if one.student != STUDENT:
            raise UsageError(f"{one.path} is a {one.student}; give a {STUDENT}")
    if source.provenance.get("alike"):
        # Each channel then has a scale of its own, and a mean with other scales is no network.
        raise UsageError(
            f"{source.path} has channels that were made alike at its end; train with "
            f"--set keep={keep:g}, which draws back before, or with --set alike=false"
        )
    module = load(STUDENTS, source.student).load(source)
    draw_back(module.recogniser, first, keep, RECOGNISER)
    settings = {**source.provenance["settings"], "keep": keep}
    provenance = {**source.provenance, "settings": settings}
    # What the recogniser was measured to do holds for it alone; the completion is the same.
    metrics = {k: v for k, v in source.metrics.items() if not k.startswith("holdout")}
    return changed(source, module.state_dict(), folder, provenance=provenance, metrics=metrics)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--to", type=Path, required=True, help="checkpoint it began with")
    parser.add_argument("--keep", type=float, nargs="+", required=True, help="part of the way")
    parser.add_argument("-o", "--out", type=Path, required=True)
    asked = parser.parse_args()
    source, first = checkpoint_of(asked.run), read_checkpoint(asked.to)
    for keep in asked.keep:
        folder = asked.out / f"{keep:g}" / "checkpoint"
        drawn(source, first, keep, folder).write_meta()
        print(folder)


if __name__ == "__main__":
    told(main)
