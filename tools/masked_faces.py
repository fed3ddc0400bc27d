"""What models are worth on masked faces: pasted masks on a set of pairs, real ones on another.

    python tools/masked_faces.py --pairs lfw.tar --masks mask_templates.tar --real mfr2.tar \
        --models runs/a/checkpoint masked-face bridge-face-plus-64 sface \
        --completion masked-face -o training/results/masked-faces.json

Of `--pairs` (aligned crops) both faces are judged bare, one of each pair masked, and both;
masks are pasted at 112 px by seed. `--real` holds photos: each is aligned by YuNet; its pairs
are judged whole and by how many of both faces are masked, as `labels.txt` (name, number, kind)
tells. Thresholds are those of nine tenths, judged on the last. A model is a shipped name,
a bundle's or checkpoint's folder, or sface. With `--completion` every model is judged
once more on faces that this bundle has completed first; with `--strata` once more by kind of
mask and, both faces shrunk, by size. The file's earlier rows stay.
"""

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.biometrics import cosine, decided_rightly, unit, verification
from edgesdk.core.bundle import MANIFEST, Bundle
from edgesdk.core.files import read_json, write_json
from edgesdk.core.preprocess import Align, align, resize
from edgesdk.core.tensors import Array
from edgesdk.detect import YuNet
from edgesdk.face import FacePipeline
from edgesdk.pairs import PairSet, read_pairs
from edgesdk_benchmarks._models import Model, bundle_model, checkpoint_model, sface_model
from edgesdk_training.occluders import Bank, draw_bank, paste, read_templates
from tools.command import told

SIDE, BATCH, FOLDS, MASKS, SEED = 112, 32, 10, 400, 2026
SIZES = (64, 32, 24)
BARE = "no-mask"
# What tells the rows of a result file apart.
KEY = ("model", "sha256", "run", "completed_by", "data", "faces")
Embed = Callable[[Sequence[Array]], Array]


def crops(pairs: PairSet, photos: bool) -> list[Array]:
    """Return the aligned faces of a set, uint8 [112, 112, 3]."""
    found, detector = [], YuNet() if photos else None
    for number in range(len(pairs.pictures)):
        picture = pairs.read(number)
        if detector is not None:
            face = max(detector(picture), key=lambda detection: detection.area)
            picture = align(picture, face.points, Align())
        found.append(resize(picture, (SIDE, SIDE)).round().astype(np.uint8))
    return found


def masked(pictures: Sequence[Array], bank: Bank, seed: int) -> list[Array]:
    """Return the faces behind masks of the bank."""
    import torch

    faces = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
    generator = torch.Generator().manual_seed(seed)
    seen = paste(faces, bank, 1.0, generator)[0].permute(0, 2, 3, 1)
    return list(seen.round().byte().numpy())


def embedded(embed: Embed, pictures: Sequence[Array]) -> Array:
    """Return unit rows [N, D], a batch at a time."""
    parts = (pictures[i : i + BATCH] for i in range(0, len(pictures), BATCH))
    return unit(np.concatenate([embed(part) for part in parts]))


def row(one: Array, other: Array, same: Array, folds: Array) -> dict[str, Any]:
    """Return the verdict on pairs of rows [N, D], with the 95 % interval of the accuracy."""
    scores = cosine(one, other)
    found = verification(scores, same, folds)
    right = decided_rightly(scores, same, folds)
    half = 1.96 * float(np.sqrt(found.accuracy * (1 - found.accuracy) / len(same)))
    return {
        "pairs": len(same),
        "accuracy": found.accuracy,
        "interval": [found.accuracy - half, min(1.0, found.accuracy + half)],
        "auc": found.auc,
        "right": int(right.sum()),
    }


def pasted_rows(embed: Embed, pairs: PairSet, pictures: list[Array], bank: Bank) -> list[dict]:
    """Return the rows of a set of aligned faces: bare, one masked, both masked."""
    a, b = pairs.pairs
    bare = embedded(embed, pictures)
    behind = [embedded(embed, masked(pictures, bank, SEED + n)) for n in range(2)]
    sides = {"both bare": (bare[a], bare[b]), "one masked": (bare[a], behind[0][b])}
    sides["both masked"] = (behind[1][a], behind[0][b])
    return [{"faces": name, **row(*rows, pairs.same, pairs.fold)} for name, rows in sides.items()]


def stratified_rows(embed: Embed, pairs: PairSet, pictures: list[Array], bank: Bank) -> list[dict]:
    """Return the rows of pairs with one face masked, by kind of mask and by size of both faces."""
    a, b = pairs.pairs
    bare, found = embedded(embed, pictures), []
    for kind in sorted(set(bank.kinds)):
        behind = masked(pictures, bank.only(lambda k, kind=kind: k == kind), SEED)
        rows = bare[a], embedded(embed, behind)[b]
        found.append({"faces": f"one masked, {kind}", **row(*rows, pairs.same, pairs.fold)})
    behind = masked(pictures, bank, SEED)
    for side in SIZES:
        small, hidden = (embedded(embed, shrunk(faces, side)) for faces in (pictures, behind))
        verdict = row(small[a], hidden[b], pairs.same, pairs.fold)
        found.append({"faces": f"one masked, {side} px", **verdict})
    return found


def shrunk(pictures: Sequence[Array], side: int) -> list[Array]:
    """Return pictures of `side` pixels."""
    return [resize(p, (side, side)).round().astype(np.uint8) for p in pictures]


def real_rows(embed: Embed, pairs: PairSet, pictures: list[Array]) -> list[dict]:
    """Return the rows of photos: all pairs, and by how many of both faces are masked."""
    rows = embedded(embed, pictures)
    a, b = pairs.pairs
    folds = np.random.default_rng(SEED).permutation(len(pairs)) % FOLDS
    found = [{"faces": "all", **row(rows[a], rows[b], pairs.same, folds)}]
    covered = np.array([kind != BARE for kind in labels(pairs)])
    count = covered[a].astype(int) + covered[b]
    for number, name in enumerate(("both bare", "one masked", "both masked")):
        chosen = count == number
        if len(set(pairs.same[chosen])) == 2:
            one = np.zeros(int(chosen.sum()), int)
            verdict = row(rows[a][chosen], rows[b][chosen], pairs.same[chosen], one)
            found.append({"faces": name, "threshold": "of the same pairs", **verdict})
    return found


def labels(pairs: PairSet) -> list[str]:
    """Return the kind of mask of each picture, by `labels.txt` beside the pairs."""
    lines = pairs.source.bytes("labels.txt").decode().splitlines()
    words = [[w.strip() for w in line.split(",")] for line in lines if line.strip()]
    kinds = {f"{name}_{int(number):04d}": kind for name, number, kind in words}
    return [kinds[Path(picture).stem] for picture in pairs.pictures]


def opened(name: str, stack: ExitStack) -> Model:
    """Open a shipped model, a bundle, a checkpoint, or sface."""
    if name == "sface":
        return sface_model(1)
    if Path(name).is_dir() and not (Path(name) / MANIFEST).is_file():
        return checkpoint_model(name, 1, stack)
    return bundle_model(name, None, 1, stack)


def completer(
    name: Bundle | str, stack: ExitStack, runtime: str | None = None
) -> Callable[[Sequence[Array]], list[Array]]:
    """Return what completes faces by a bundle's output `completed`."""
    pipeline = stack.enter_context(FacePipeline(name, runtime))
    (spec,) = pipeline.bundle.inputs
    prepare = pipeline.bundle.preprocess[spec.name]

    def complete(pictures: Sequence[Array]) -> list[Array]:
        drawn = pipeline.session.run({spec.name: prepare(list(pictures))})["completed"]
        pixels = drawn * np.reshape(prepare.std, (3, 1, 1)) + np.reshape(prepare.mean, (3, 1, 1))
        return list(pixels.transpose(0, 2, 3, 1).round().clip(0, 255).astype(np.uint8))

    return complete


def chosen(pairs: PairSet, most: int) -> PairSet:
    """Return every n-th pair of a set, with their pictures alone."""
    from dataclasses import replace

    take = np.arange(0, len(pairs), max(1, len(pairs) // most)) if most else np.arange(len(pairs))
    used, places = np.unique(pairs.pairs[:, take], return_inverse=True)
    return replace(
        pairs,
        pictures=tuple(pairs.pictures[i] for i in used),
        pairs=places.reshape(2, -1),
        same=pairs.same[take],
        fold=pairs.fold[take],
        people=None if pairs.people is None else pairs.people[used],
    )


def key(row: dict[str, Any]) -> tuple[str, ...]:
    """Return what tells a row from the others: weights, form, and what was done with them."""
    return tuple(row.get(name, "") for name in KEY)


def judged(asked: argparse.Namespace) -> list[dict]:
    """Return all rows of all models."""
    pairs, real = chosen(read_pairs(asked.pairs), asked.most), read_pairs(asked.real)
    pictures, photos = crops(pairs, False), crops(real, True)
    templates = read_templates(asked.masks)
    bank = draw_bank(templates, SIDE, MASKS, SEED, plain=0.0)
    rows = []
    with ExitStack() as stack:
        ways: dict[str, Any] = {"": None}
        if asked.completion:
            ways[asked.completion] = completer(asked.completion, stack)
        for name in asked.models:
            model = opened(name, stack)
            for completion, complete in ways.items():
                embed = model.embed if complete is None else after(complete, model.embed)
                judge = stratified_rows if asked.strata else pasted_rows
                for data, found in (
                    (pairs, judge(embed, pairs, pictures, bank)),
                    (real, [] if asked.strata else real_rows(embed, real, photos)),
                ):
                    facts = {
                        "model": model.facts["model"],
                        "parameters": model.facts.get("parameters"),
                        "sha256": model.facts["sha256"],
                        "run": asked.run,
                        "completed_by": completion,
                        "data": data.path.name,
                    }
                    rows += [facts | verdict for verdict in found]
                    print(*[f"{r['faces']} {r['accuracy']:.4f}" for r in found], name, completion)
    return rows


def after(complete: Callable[[Sequence[Array]], list[Array]], embed: Embed) -> Embed:
    """Return `embed` of completed faces."""
    return lambda pictures: embed(complete(pictures))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", required=True, help="aligned faces with pairs.txt")
    parser.add_argument("--real", required=True, help="photos with pairs.txt and labels.txt")
    parser.add_argument("--masks", required=True, help="mask templates")
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--completion", default="", help="bundle that completes faces first")
    parser.add_argument("--run", default="", help="what the rows are called in the table")
    parser.add_argument("--strata", action="store_true", help="by kind of mask and by size")
    parser.add_argument("--most", type=int, default=0, help="pairs of --pairs at most, 0 for all")
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    fresh = judged(asked)
    known = {key(r) for r in fresh}
    kept = read_json(asked.output, "result")["rows"] if asked.output.is_file() else []
    kept = [r for r in kept if key(r) not in known]
    names = " ".join(Path(name).name if "/" in name else name for name in asked.models)
    command = f"python tools/masked_faces.py --models {names} --most {asked.most}"
    write_json(asked.output, {"schema_version": 1, "command": command, "rows": [*kept, *fresh]})


if __name__ == "__main__":
    told(main)
