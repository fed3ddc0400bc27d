"""Judge detectors of generated pictures on fakes, soft photos and real generators.

    python tools/judge_detectors.py runs/f2c-* --fakes judge --real generators_dev.tar -o out.json
    python tools/judge_detectors.py --left-out one/f2c-* --fakes judge --steps 0 -o one.json

Every picture of `--fakes` (from tools/make_fakes.py, of photos and generators that no detector
was taught on) goes through one and the same JPEG step, then through further steps for the table
of robustness. The one-number rule (`edgesdk.generated.power_gap`) stands beside the detectors.
With `--join` families left out in other results, of other seeds, are joined to these. `--real`
names sets of real generators, judged as their files are, each kind against the real
kinds that belong to it. Every AUC has a 95 % interval by bootstrap over pictures.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesdk.core import plugins
from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.files import read_json, write_json
from edgesdk.generated import (
    DRAWS,
    Kind,
    auc_interval,
    balanced_accuracy,
    kind_of,
    power_gap,
    probability,
)
from edgesdk.picture_sets import Pictures
from edgesdk_training.clue_data import logits_of
from edgesdk_training.soft import jpeg
from tools.command import told
from tools.picture_steps import STEPS, Step

Array = NDArray[Any]
Score = Callable[[Sequence[Array]], Array]
RULE = "one-number rule"
QUALITY = 90
AGAINST = ("against photos", "against soft")
# Pictures per side for the table of robustness: all of them would take hours.
MOST = 160


def read(place: Path, most: int | None = None) -> tuple[list[Array], list[Kind]]:
    """Return the pictures of a labelled set, at most so many of each kind."""
    source, kept, count = Pictures(place), [], {}
    for name in source.names:
        kind = kind_of(PurePosixPath(name).parent.as_posix())
        if kind is not None and (most is None or count.get(kind, 0) < most):
            count[kind] = count.get(kind, 0) + 1
            kept.append((source.read(name), kind))
    return [picture for picture, _ in kept], [kind for _, kind in kept]


def detectors(folders: Sequence[Path]) -> tuple[dict[str, Score], dict[str, Any]]:
    """Return name -> what scores pictures, and name -> what it is."""
    found: dict[str, Score] = {RULE: lambda pictures: np.array([power_gap(p) for p in pictures])}
    about: dict[str, Any] = {}
    for folder in folders:
        inside = folder / "checkpoint"
        checkpoint = read_checkpoint(inside if inside.is_dir() else folder)
        student = plugins.load(plugins.STUDENTS, checkpoint.student)
        model, size = student.load(checkpoint), student.config(**checkpoint.student_config).size
        settings = checkpoint.provenance.get("settings", {})
        shipped = (folder / "model.safetensors").is_file()
        name = checkpoint.student_config["clue"]
        name += " earlier" if shipped else ""
        name += f" without {settings['without']}" if settings.get("without") else ""
        name += " begun" if settings.get("init") else ""
        name += f" seed {checkpoint.provenance['seed']}" if checkpoint.provenance["seed"] else ""

        def score(pictures: Sequence[Array], model: Any = model, size: int = size) -> Array:
            return logits_of(model, pictures, size)

        found[name] = score
        about[name] = {
            "weights_sha256": checkpoint.weights_sha256,
            "threshold": checkpoint.thresholds["generated"]["value"],
            "settings": settings,
            "seed": checkpoint.provenance["seed"],
        }
    return found, about


def scores_of(scorers: dict[str, Score], pictures: Sequence[Array], step: Step) -> dict[str, Array]:
    """Return the scores of every detector after JPEG and a step, equal for both sides."""
    random = np.random.default_rng(0)
    shown = [step(jpeg(picture, QUALITY), random) for picture in pictures]
    return {name: score(shown) for name, score in scorers.items()}


def left_out(
    scorers: dict[str, Score],
    about: dict[str, Any],
    pictures: Sequence[Array],
    kinds: Sequence[Kind],
) -> dict[str, Any]:
    """Return clue -> family -> AUC by the detectors that were taught without families like it."""
    rows: dict[str, Any] = {}
    for name in sorted(about, key=lambda run: about[run]["seed"]):
        without = tuple(about[name]["settings"].get("without", "").split("+"))
        if not any(without):
            continue
        mine = [i for i, k in enumerate(kinds) if not k.generated or k.name.startswith(without)]
        scores = scorers[name]([jpeg(pictures[i], QUALITY) for i in mine])
        found = families(scores, [kinds[i] for i in mine])["families"]
        clue = rows.setdefault(name.partition(" ")[0], {})
        for family, row in found.items():
            clue.setdefault(family, []).append(row)
    return {clue: averaged(row) for clue, row in rows.items()}


def averaged(of: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return family -> mean over seeds of AUC and ends of the interval, and the mean of all.

    Args:
        of: Family -> a row per seed, in the order of the seeds.
    """
    rows = {
        family: {
            against: {
                key: float(np.mean([row[against][key] for row in found]))
                for key in ("auc", "low", "high")
            }
            | {"seeds": len(found), "values": [row[against]["auc"] for row in found]}
            for against in found[0]
        }
        for family, found in of.items()
    }
    means = {
        f"mean {against}": float(np.mean([row[against]["auc"] for row in rows.values()]))
        for against in AGAINST
    }
    return {"families": rows, **means}


def joined(
    one: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return two tables of `left_out`, of different seeds, as one."""
    rows: dict[str, Any] = {}
    for clue in {**one, **other}:
        every: dict[str, list[dict[str, Any]]] = {}
        for table in (one, other):
            for family, row in table.get(clue, {"families": {}})["families"].items():
                every.setdefault(family, []).append(row)
        rows[clue] = averaged(
            {
                family: [single(row, seed) for row in found for seed in range(seeds(row))]
                for family, found in every.items()
            }
        )
    return rows


def seeds(row: dict[str, Any]) -> int:
    """Return how many seeds a family's row is the mean of."""
    return int(row[AGAINST[0]]["seeds"])


def single(row: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return a family's row as that of one of its seeds; ends of intervals are the mean ones."""
    return {
        against: {**{key: one[key] for key in ("low", "high")}, "auc": one["values"][seed]}
        for against, one in row.items()
    }


def families(scores: Array, kinds: Sequence[Kind]) -> dict[str, Any]:
    """Return each family against photos and against soft photos, and each soft kind."""
    side = np.array([kind.side for kind in kinds])
    name = np.array([kind.name for kind in kinds])
    fake, real, soft = (scores[side == s] for s in ("fake", "real", "soft"))
    inside = sorted(set(name[side == "fake"]))
    rows = {
        family: {
            "against photos": auc_interval(scores[(side == "fake") & (name == family)], real),
            "against soft": auc_interval(scores[(side == "fake") & (name == family)], soft),
        }
        for family in inside
    }
    worked = {
        kind: auc_interval(fake, scores[(side == "soft") & (name == kind)])
        for kind in sorted(set(name[side == "soft"]))
    }
    return {
        "families": rows,
        "mean against photos": float(np.mean([r["against photos"]["auc"] for r in rows.values()])),
        "mean against soft": float(np.mean([r["against soft"]["auc"] for r in rows.values()])),
        "all against photos": auc_interval(fake, real),
        "all against soft": auc_interval(fake, soft),
        "all against each soft kind": worked,
        "soft against photos": auc_interval(soft, real),
    }


def robustness(
    scorers: dict[str, Score], about: dict[str, Any], place: Path, most: int
) -> dict[str, Any]:
    """Return detector -> step -> AUC and balanced accuracy at the stored threshold."""
    pictures, kinds = read(place)
    chosen = np.random.default_rng(0).permutation(len(pictures))
    fake = [i for i in chosen if kinds[i].generated][:most]
    real = [i for i in chosen if kinds[i].side == "real"][:most]
    picked = [pictures[i] for i in (*fake, *real)]
    rows: dict[str, Any] = {name: {} for name in scorers}
    for label, step in STEPS.items():
        for name, scores in scores_of(scorers, picked, step).items():
            a, b = scores[: len(fake)], scores[len(fake) :]
            rows[name][label] = auc_interval(a, b) | balanced(about, name, a, b)
    return rows


def balanced(about: dict[str, Any], name: str, fake: Array, real: Array) -> dict[str, float]:
    """Return the balanced accuracy at the stored threshold, with a 95 % interval by bootstrap.

    The one-number rule has none.
    """
    if name not in about:
        return {}
    chances, cut = (probability(fake), probability(real)), about[name]["threshold"]
    random = np.random.default_rng(0)
    drawn = [
        balanced_accuracy(*(random.choice(side, len(side)) for side in chances), cut)
        for _ in range(DRAWS)
    ]
    low, high = (float(end) for end in np.quantile(drawn, (0.025, 0.975)))
    return {
        "balanced_accuracy": balanced_accuracy(*chances, cut), "balanced_low": low,
        "balanced_high": high,
    }  # fmt: skip


def reliability(scores: Array, kinds: Sequence[Kind]) -> list[dict[str, float]]:
    """Return, per tenth of the probability, how many pictures it was told of and how many were
    fakes, both sides weighed alike: what a reliability plot shows."""
    chances, fakes = probability(scores), np.array([kind.generated for kind in kinds])
    weights = np.where(fakes, 0.5 / fakes.sum(), 0.5 / (~fakes).sum())
    bins = np.minimum((chances * 10).astype(int), 9)
    return [
        {
            "pictures": int(inside.sum()),
            "told": float(np.average(chances[inside], weights=weights[inside])),
            "true": float(np.average(fakes[inside], weights=weights[inside])),
        }
        for inside in (bins == tenth for tenth in range(10))
        if inside.any()
    ]


def generators(
    scorers: dict[str, Score], place: Path, about: dict[str, Any], most: int
) -> dict[str, Any]:
    """Return detector -> generator -> AUC: against its own real partner, else all photos."""
    pictures, kinds = read(place, most)
    names = np.array([kind.name for kind in kinds])
    generated = np.array([kind.generated for kind in kinds])
    # Rendered frames of games are neither.
    real = ~generated & (names != "game_frames")
    rows: dict[str, Any] = {}
    for name, score in scorers.items():
        scores, mine = score(pictures), {}
        others = np.array([n.startswith("cnndet_") for n in names])
        for family in sorted(set(names[generated])):
            partner = real & (names == f"cnndet_{family}")
            against = partner if partner.any() else real & ~others
            mine[family] = auc_interval(scores[generated & (names == family)], scores[against])
            mine[family]["fair pair"] = bool(partner.any())
        fakes, reals = scores[generated], scores[real]
        mine["all"] = auc_interval(fakes, reals) | balanced(about, name, fakes, reals)
        rows[name] = mine
    return rows


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", type=Path, help="run or checkpoint folders")
    parser.add_argument("--fakes", type=Path, required=True, help="set of tools/make_fakes.py")
    parser.add_argument("--left-out", type=Path, nargs="*", default=[], metavar="RUN",
                        help="runs that left families out, judged on these")  # fmt: skip
    parser.add_argument("--join", type=Path, nargs="*", default=[], metavar="RESULT",
                        help="results of other seeds with families left out")  # fmt: skip
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="sets of real generators")
    parser.add_argument("--steps", type=int, default=MOST, help="pictures per side; 0 for none")
    parser.add_argument("--most", type=int, default=MOST, help="of a kind of real generators")
    parser.add_argument("-o", "--out", type=Path, required=True, help="JSON to write")
    asked = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    scorers, about = detectors(asked.runs)
    pictures, kinds = read(asked.fakes)
    begun = time.time()
    scores = scores_of(scorers, pictures, STEPS["as it is"])
    apart, runs = detectors(asked.left_out)
    others = [read_json(path, "result") for path in asked.join]
    table = left_out(apart, runs, pictures, kinds)
    for other in others:
        table, runs = joined(other["left out"], table), {**other["left out runs"], **runs}
    data: dict[str, Any] = {
        "command": "python tools/judge_detectors.py",
        "detectors": about,
        "fakes": {"pictures": len(pictures), "jpeg_quality": QUALITY},
        "unseen": {name: families(found, kinds) for name, found in scores.items()},
        "reliability": {name: reliability(scores[name], kinds) for name in about},
        "left out": table,
        "left out runs": runs,
        "generators": {p.stem: generators(scorers, p, about, asked.most) for p in asked.real},
    }
    if asked.steps:
        data["robustness"] = robustness(scorers, about, asked.fakes, asked.steps)
    write_json(asked.out, data)
    print(f"wrote {asked.out} after {time.time() - begun:.0f} s")
    for name, found in data["unseen"].items():
        keys = ("mean against photos", "mean against soft")
        print(name, *(f"{key} {found[key]:.3f}" for key in keys))
    for place, found in data["generators"].items():
        print(place, *(f"{name} {rows['all']['auc']:.3f}" for name, rows in found.items()))


if __name__ == "__main__":
    told(main)
