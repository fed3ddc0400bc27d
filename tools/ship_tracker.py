"""Put a trained tracker into the zoo, with what it was measured to do.

    python tools/ship_tracker.py runs/cost-tracker-12345678 --nanotrack FOLDER --keep 0.5 \\
        --search 160 --policy motion=0.5 --policy still=0.06 --policy look=0.6

Few sequences teach much that holds for them alone: `--keep` draws the correlation head that part
of the way back to NanoTrack's own weights, which often bears other scenes better (Wortsman et al.
2022, "Robust fine-tuning of zero-shot models"). `--search` takes the middle of the crop, at the
same scale and with the same weights: fewer pixels are searched, so a frame costs less. `--words`
adds the map that another run taught alone (`--set init=tracker --set epochs=0`). `--toward` goes a
part of the way to the weights of a run that began with these. The figures come from
tools/judge_trackers.py.
"""

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgesdk.core.bundle import Checkpoint
from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_json
from edgesdk.core.plugins import STUDENTS, load
from tools.command import told
from tools.zoo import changed, checkpoint_of, put

LICENCE = """Licence of the weights in this folder

These weights were trained by the edgesdk project from the weights of NanoTrack V2
(github.com/HonglinChu/NanoTrack, Apache-2.0, which is kept as its licence asks) on sequences of
public tracking sets (OTB, VOT, UAV123, UAVDT, TLP, SegTrack, DAVIS) that allow research. Until
that is cleared, treat them as bound by the strictest term of their data: research and
evaluation only, no commercial use.

No frame of these sets is part of this repository. The code of edgesdk has its own licence,
Apache-2.0. This text is no legal advice.
"""


def drawn_back(source: Checkpoint, nanotrack: Path, keep: float, folder: Path) -> Checkpoint:
    """Return a checkpoint whose head is drawn back."""
    from edgesdk_training.nano_track import NanoTrack

    student = load(STUDENTS, source.student)
    module, first = (student.load(source) for _ in range(2))
    NanoTrack(nanotrack).begin(first)
    begun, learnt = first.state_dict(), module.state_dict()
    mixed = {k: v.lerp(begun[k], keep) if k.startswith("head.") else v for k, v in learnt.items()}
    settings = dict(source.provenance["settings"])
    settings["nanotrack"] = Path(settings["nanotrack"]).name  # no place of a machine
    told = {**source.provenance, "settings": settings, "head_drawn_back": keep}
    return changed(source, mixed, folder, provenance=told)


def narrowed(source: Checkpoint, size: int, folder: Path) -> Checkpoint:
    """Return a checkpoint that searches a crop of `size` pixels only, under the same name."""
    from edgesdk_training.nets.tracker import searching_less

    student = load(STUDENTS, source.student)
    wide = student.config(**source.student_config)
    config = replace(wide, size=size, memory=wide.held)
    state = searching_less(student.load(source).state_dict(), config.whole)
    return changed(
        source, state, folder, student_config=asdict(config), cost=student.cost(config),
        preprocess=student.preprocess(config),
        provenance={**source.provenance, "search_narrowed": [wide.size, size]},
    )  # fmt: skip


def heard(source: Checkpoint, run: Checkpoint, loud: float, folder: Path) -> Checkpoint:
    """Return a checkpoint with the word map that `run` taught, all else staying as it is.

    Args:
        source: The tracker.
        run: What taught the map.
        loud: Factor of the map's logits beside those of the tracker.
        folder: Where it is written.
    """
    student = load(STUDENTS, source.student)
    config = replace(student.config(**source.student_config), hears=run.student_config["hears"])
    taught = student.load(run).state_dict()
    state = student.load(source).state_dict()
    state |= {key: value for key, value in taught.items() if key.startswith("words.")}
    state["words.word.2.weight"] = loud * state["words.word.2.weight"]
    told = {**origin(run), "loud": loud}
    return changed(
        source, state, folder, student_config=asdict(config), cost=student.cost(config),
        provenance={**source.provenance, "words": told},
    )  # fmt: skip


def between(source: Checkpoint, run: Checkpoint, part: float, folder: Path) -> Checkpoint:
    """Return a checkpoint `part` of the way from a tracker to a run that began with it.

    Raises:
        UsageError: the run did not begin with it.
    """
    begun = run.provenance.get("init", {}).get("weights_sha256")
    if begun != source.weights_sha256:
        raise UsageError(f"{run.path} began with the weights {begun}, not with {source.path}")
    student = load(STUDENTS, source.student)
    own, other = (student.load(one).state_dict() for one in (source, run))
    mixed = {key: value.lerp(other[key], part) for key, value in own.items()}
    told = {**origin(run), "part": part}
    return changed(source, mixed, folder, provenance={**source.provenance, "toward": told})


def origin(run: Checkpoint) -> dict[str, Any]:
    """Return what is kept of a run that gave a part of the weights."""
    kept = ("recipe_sha256", "settings", "data", "sequences", "held_out", "seed")
    return {key: run.provenance[key] for key in kept if key in run.provenance}


def measured(path: Path) -> dict[str, Any]:
    """Return the figures of a file of tools/judge_trackers.py."""
    data = read_json(path, "judgement")
    found = data["trackers"]["edgesdk"]
    return {
        "metric": "AUC",
        "value": found["auc"],
        "data": f"{data['data']}, success",
        "percent": False,
        "dev_precision": found["precision"],
        "measured_by": data["command"],
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--nanotrack", type=Path)
    parser.add_argument("--keep", type=float, default=0.0)
    parser.add_argument("--search", type=int, default=0, help="side of the crop in pixels")
    parser.add_argument("--words", type=Path, help="run that taught the word map of this tracker")
    parser.add_argument("--loud", type=float, default=1.0, help="factor of that map's logits")
    parser.add_argument("--toward", type=Path, help="run that began with these weights")
    parser.add_argument("--part", type=float, default=0.5, help="of the way to its weights")
    parser.add_argument("--policy", action="append", default=[], help="NAME=VALUE")
    parser.add_argument("--judged", type=Path)
    asked = parser.parse_args()
    with TemporaryDirectory() as place:
        source = checkpoint_of(asked.run)
        if asked.keep:
            source = drawn_back(source, asked.nanotrack, asked.keep, Path(place) / "drawn")
        if asked.search:
            source = narrowed(source, asked.search, Path(place) / "narrow")
        if asked.words:
            source = heard(source, checkpoint_of(asked.words), asked.loud, Path(place) / "heard")
        if asked.toward:
            run = checkpoint_of(asked.toward)
            source = between(source, run, asked.part, Path(place) / "toward")
        same = not (asked.keep or asked.search or asked.words or asked.toward)
        metrics = dict(source.metrics) if same else {}
        if asked.judged is not None:
            metrics |= measured(asked.judged)
        given = dict(pair.split("=") for pair in asked.policy)
        policy = {**source.postprocess.get("policy", {}), **{k: float(v) for k, v in given.items()}}
        told = {**source.postprocess, "policy": policy}
        put(replace(source, metrics=metrics, postprocess=told), LICENCE, "synthetic")
        print(source.model, metrics)


if __name__ == "__main__":
    told(main)
