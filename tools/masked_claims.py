"""What completing and distilling bring behind masks: the claims of de-occlusion distillation.

    python tools/masked_claims.py --public celeba6k3.tar celeba10k.tar --masks mask_templates.tar \
        --pairs lfw.tar --runs runs -o training/results/masked-claims.json

Teaches by `deocclusion`, at 32 px, one completion and the same student five times per seed: by
labels alone, by the instance term on masked faces, on completed ones, with relations, and to
the person's mean (soft). With `--completion` a masked-face that is there, shipped or a folder,
completes instead. Finished runs are taken as they are, interrupted ones go on. All are
judged on pairs of aligned faces, masks pasted at 112 px by seed, the faces shrunk to 32 px,
beside the untouched teacher SFace and the same behind the completion. Every claim has the 95 %
interval of its difference by bootstrap over the same pairs.
"""

import argparse
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

import edgesdk
from edgesdk.core.biometrics import cosine, decided_rightly, drop_interval, verification
from edgesdk.core.bundle import Checkpoint, read_checkpoint
from edgesdk.core.files import write_json
from edgesdk.core.shipped import open_checkpoint
from edgesdk.core.tensors import Array
from edgesdk.pairs import PairSet, read_pairs
from edgesdk_benchmarks._models import checkpoint_model, sface_model
from edgesdk_runtimes.torch import as_bundle
from edgesdk_training.occluders import draw_bank, read_templates
from tools.command import told
from tools.masked_faces import (
    MASKS,
    SEED,
    SIDE,
    Embed,
    after,
    chosen,
    completer,
    crops,
    embedded,
    masked,
    shrunk,
)

SMALL = 32
SHARED = {
    "size": SMALL, "deep": False, "batch": 64, "holdout": 200, "whiten": 0.0, "unseen": "KN95",
    "classes": 0.1, "centre": 0.0, "lr": 0.01,
}  # fmt: skip
# The relations' own weights are a tenth of 25 and 50, beside an instance term of 20.
RELATIONS = {"pair": 2.5, "triplet": 5.0}
# Labels and the instance term on masked faces, without completion, is what MaskInv teaches (Huber
# et al. 2021), here with softmax in place of ArcFace.
MASK_INV = "instance, masked (MaskInv)"
STUDENTS: dict[str, tuple[bool, dict[str, Any]]] = {
    "labels only, masked": (False, {"labels_only": True}),
    MASK_INV: (False, {}),
    "instance, completed": (True, {}),
    "instance and relations, completed": (True, RELATIONS),
    "soft, completed": (True, {"centre": 1.0}),
}
TEACHER, COMPLETED = "teacher, masked", "teacher, completed"
# Claim, contender, what it is held against, points wanted; None is told without a verdict.
CLAIMS = (
    ("2b: completion helps the frozen teacher", COMPLETED, TEACHER, 3.0),
    ("2c: completion helps the student", "instance, completed", MASK_INV, 1.5),
    ("2d: distilled on completed faces against labels", "instance, completed",
     "labels only, masked", 3.0),
    ("relations beside the instance term", "instance and relations, completed",
     "instance, completed", None),
    ("soft against hard", "soft, completed", "instance, completed", None),
)  # fmt: skip
WAYS = ("masked against clean", "both masked")
# Claim 2a: what is drawn against filling with the mean colour.
MOST_LEFT = 0.7


def taught(asked: argparse.Namespace, seed: int, settings: Mapping[str, Any]) -> Any:
    """Return the run of `deocclusion` with these settings."""
    return edgesdk.train(
        "deocclusion",
        data=[*(f"public={place}" for place in asked.public), f"images={asked.masks}"],
        settings={**SHARED, **settings},
        seed=seed,
        output_dir=asked.runs,
    )


def completion(asked: argparse.Namespace) -> Checkpoint:
    """Return what completes, the same for all seeds: what is named, or else is taught."""
    if asked.completion:
        return open_checkpoint(asked.completion)
    run = taught(asked, 0, {"complete_epochs": asked.complete_epochs, "epochs": 0})
    return read_checkpoint(run.checkpoints["student"])


def at_size(embed: Embed) -> Embed:
    """Return `embed` of faces of 32 px."""
    return lambda pictures: embed(shrunk(pictures, SMALL))


def right(embed: Embed, pairs: PairSet, views: Sequence[Sequence[Array]]) -> dict[str, Any]:
    """Return by way which pairs are decided rightly, with accuracy and AUC.

    Args:
        embed: Of 112 px pictures.
        pairs: The pairs.
        views: The pictures bare, masked once and masked another time.
    """
    bare, once, again = (embedded(embed, view) for view in views)
    a, b = pairs.pairs
    sides = {WAYS[0]: (bare[a], once[b]), WAYS[1]: (again[a], once[b])}
    found = {}
    for way, rows in sides.items():
        scores = cosine(*rows)
        verdict = verification(scores, pairs.same, pairs.fold)
        found[way] = {
            "right": decided_rightly(scores, pairs.same, pairs.fold),
            "accuracy": verdict.accuracy,
            "auc": verdict.auc,
        }
    return found


def contenders(asked: argparse.Namespace, judge: Any) -> dict[str, list[dict[str, Any]]]:
    """Return name -> what each seed decided; the teacher has one seed alone."""
    drawn = completion(asked)
    found: dict[str, list[dict[str, Any]]] = {}
    with ExitStack() as stack:
        teacher, complete = (
            sface_model(1).embed,
            completer(as_bundle(drawn), stack, "torch"),
        )
        found[TEACHER] = [judge(at_size(teacher))]
        found[COMPLETED] = [judge(at_size(after(complete, teacher)))]
        for name, (behind, settings) in STUDENTS.items():
            front = {"completion": asked.completion or str(drawn.path)} if behind else {}
            for seed in range(asked.seeds):
                told_so = {**settings, **front, "complete_epochs": 0, "epochs": asked.epochs}
                run = taught(asked, seed, told_so)
                model = checkpoint_model(str(run.checkpoints["student"]), 1, stack)
                found.setdefault(name, []).append(judge(at_size(model.embed)))
                shown = [f"{w} {found[name][-1][w]['accuracy']:.4f}" for w in WAYS]
                print(name, seed, *shown, flush=True)
    return found


def claims(found: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return each claim by way: points of difference, their interval, and whether it holds."""
    rows = []
    for claim, contender, rival, wanted in CLAIMS:
        for way in WAYS:
            ours, theirs = (
                np.concatenate([seed[way]["right"] for seed in found[name]])
                for name in (contender, rival)
            )
            low, high = (-100 * end for end in reversed(drop_interval(theirs, ours)))
            points = 100 * float(ours.mean() - theirs.mean())
            rows.append({
                "claim": claim, "way": way, "points": points, "interval": [low, high],
                "wanted": wanted, "holds": None if wanted is None else points >= wanted,
            })  # fmt: skip
    return rows


def filled(metrics: Mapping[str, float]) -> dict[str, Any]:
    """Return claim 2a: the error where the face is hidden against filling with the mean."""
    part = metrics["l1_hidden"] / metrics["l1_mean_fill"]
    return {
        "claim": "2a: what is drawn against the mean colour", "part": part,
        "wanted": MOST_LEFT, "holds": part <= MOST_LEFT, "metrics": dict(metrics),
    }  # fmt: skip


def told_rows(found: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the rows of the table: contender, way, seeds."""
    return [
        {"contender": name, "faces": way,
         "accuracy": [seed[way]["accuracy"] for seed in seeds],
         "auc": [seed[way]["auc"] for seed in seeds]}
        for name, seeds in found.items() for way in WAYS
    ]  # fmt: skip


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--public", nargs="+", required=True, help="faces to learn from")
    parser.add_argument("--masks", required=True, help="mask templates")
    parser.add_argument("--pairs", required=True, help="aligned faces with pairs.txt")
    parser.add_argument("--most", type=int, default=0, help="pairs at most, 0 for all")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--completion", default="", help="masked-face of 32 px that completes")
    parser.add_argument("--complete-epochs", type=int, default=4)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    pairs = chosen(read_pairs(asked.pairs), asked.most)
    pictures = crops(pairs, False)
    bank = draw_bank(read_templates(asked.masks), SIDE, MASKS, SEED, plain=0.0)
    views = [pictures, *(masked(pictures, bank, SEED + n) for n in range(2))]
    found = contenders(asked, lambda embed: right(embed, pairs, views))
    told_so = ("seeds", "epochs", "completion" if asked.completion else "complete_epochs", "most")
    words = " ".join(
        f"--{n.replace('_', '-')} {Path(str(getattr(asked, n))).name}" for n in told_so
    )
    write_json(asked.output, {
        "schema_version": 1,
        "command": f"python tools/masked_claims.py {words}",
        "size": SMALL, "pairs": len(pairs), "data": pairs.path.name,
        "rows": told_rows(found),
        "claims": [filled(completion(asked).metrics), *claims(found)],
    })  # fmt: skip


if __name__ == "__main__":
    told(main)
