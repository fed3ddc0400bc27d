"""What a sentence is worth to the tracker among look-alikes, alone and in films: claims 3a to 3c.

    python tools/tracker_words.py --set tracking_train.tar \\
        --rival runs/cost-tracker-12345678/checkpoint -o benchmarks/results/tracker-words.json
    cog -r -I tools docs/tracking.md

Made-up worlds of seeds that no training drew, each followed twice: told the sentence, and silent.
Their first frame is grey, so it does not show the colour that the sentence names. "jumping" worlds
place target and look-alikes anew in every frame, so that the way does not tell them apart either.
Retrieval asks which of 16 different sentences belongs to what is seen at the target. `--rival` is
a checkpoint whose words were taught without the contrastive alignment. Intervals are of the mean
over worlds, 95 %.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.bundle import Checkpoint, read_checkpoint
from edgesdk.core.files import write_json
from edgesdk.core.plugins import STUDENTS, load
from edgesdk.core.shipped import shipped_checkpoint
from edgesdk.core.tensors import Array
from edgesdk.saliency.explained import mean_interval
from edgesdk.sequences import measures, read_tracks
from edgesdk.track import Follower
from edgesdk.track_steps import crop, middle, target_side
from edgesdk.words import sentence_features
from edgesdk.worlds import Scene, World, make_world
from edgesdk_training.track_data import split
from edgesdk_training.track_trial import follow, info_of_checkpoint, runner
from edgesdk_training.track_words import pooled, retrieval
from tools.command import told

WORLDS, FIRST, FRAMES, JUMP = 40, 50_000, 12, 1.5
BATCH, BATCHES = 16, 12
SCENES = {
    "look-alikes, jumping": Scene(frames=FRAMES, jump=JUMP),
    "look-alikes": Scene(frames=FRAMES),
    "alone, jumping": Scene(frames=FRAMES, lookalikes=0, jump=JUMP),
    "alone": Scene(frames=FRAMES, lookalikes=0),
}
CLAIM_3A, CLAIM_3B, CLAIM_3C_TIMES, CLAIM_3C_POINTS = 0.15, 0.10, 3.0, -0.01


def gains(follower: Follower, films: Sequence[tuple[Sequence[Array], Array, str]]) -> list[Array]:
    """Return the AUC of each film told and silent, two arrays."""
    return [
        np.array([measures(follow(follower, f, b[0], t * spoken), b)["auc"] for f, b, t in films])
        for spoken in (True, False)
    ]


def row(spoken: Array, silent: Array) -> dict[str, Any]:
    """Return the means of both, and of the difference with its interval."""
    return {
        "count": len(spoken),
        "told": float(spoken.mean()),
        "silent": float(silent.mean()),
        "gain": mean_interval((spoken - silent).tolist()),
    }


def films_of(scene: Scene) -> list[tuple[Sequence[Array], Array, str]]:
    """Return made-up worlds as frames, boxes and sentence."""
    worlds = [make_world(FIRST + i, scene) for i in range(WORLDS)]
    return [(w.frames, w.boxes, w.text) for w in worlds]


def ranked(checkpoint: Checkpoint) -> dict[str, float]:
    """Return how often the target's sentence is the first of 16, and its interval."""
    student = load(STUDENTS, checkpoint.student)
    config, model = student.config(**checkpoint.student_config), student.load(checkpoint)
    hits, seed = [], FIRST + 10_000
    for _ in range(BATCHES):
        drawn: dict[str, World] = {}
        while len(drawn) < BATCH:
            world = make_world(seed, Scene(frames=2, grey=False, occlusion=0.0))
            drawn.setdefault(world.text, world)
            seed += 1
        hits.append(retrieval(*vectors(model, config, list(drawn.values()))))
    return {"count": BATCHES * BATCH, **mean_interval(hits), "chance": 1 / BATCH}


def vectors(model: Any, config: Any, worlds: Sequence[World]) -> tuple[Any, Any]:
    """Return what is seen at the middle of each target, and what is said of it."""
    import torch

    from edgesdk_training.nets.tracker import pixels_of

    crops, texts = [], []
    for world in worlds:
        x, y, w, h = (float(v) for v in world.boxes[1])
        side = target_side(w, h) * config.whole / config.held
        crops.append(crop(world.frames[1], (x + w / 2, y + h / 2), side, config.size))
        texts.append(sentence_features(world.text, config.words, config.dims))
    with torch.inference_mode():
        images = torch.from_numpy(np.stack(crops))
        seen = middle(model.words.seen(pixels_of(images), model.backbone(images)), 2)
        said = model.words.said(torch.from_numpy(np.stack(texts)))
        return pooled(seen, torch.ones(len(worlds), 4, dtype=torch.bool)), said


def judged(checkpoint: Checkpoint, scenes: Any, tracks: Sequence[Any] = ()) -> dict[str, Any]:
    """Return a row per kind of world, of the sequences held out, and the retrieval."""
    student = load(STUDENTS, checkpoint.student)
    follower = Follower(runner(student.load(checkpoint)), info_of_checkpoint(student, checkpoint))
    rows = {name: row(*gains(follower, films_of(scene))) for name, scene in scenes.items()}
    if tracks:
        films = [([t.read(i) for i in range(len(t))], t.boxes, t.text) for t in tracks]
        rows["sequences held out"] = row(*gains(follower, films))
    return {"weights_sha256": checkpoint.weights_sha256, "rows": rows, "r_at_1": ranked(checkpoint)}


def claims(own: Any, rival: Any) -> list[dict[str, Any]]:
    """Return claims 3a to 3c with what was measured; `low` is the interval's lower end."""
    kinds = [("look-alikes, jumping", "alone, jumping"), ("look-alikes", "alone")]
    found = []
    for crowd, alone in kinds:
        gain, single = (own["rows"][name]["gain"] for name in (crowd, alone))
        found.append(_claim(f"3a gain by the sentence, {crowd}", gain, CLAIM_3A))
        more = {"mean": gain["mean"] - single["mean"]}
        found.append(_claim(f"3b gain among {crowd} less the gain {alone}", more, CLAIM_3B))
    times = {k: v / own["r_at_1"]["chance"] for k, v in own["r_at_1"].items() if k in ENDS}
    found.append(_claim("3c R@1 in times of chance", times, CLAIM_3C_TIMES))
    if rival is not None:
        name = kinds[0][0]
        points = {"mean": own["rows"][name]["told"] - rival["rows"][name]["told"]}
        found.append(_claim("3c AUC with the alignment less without", points, CLAIM_3C_POINTS))
    return found


ENDS = ("mean", "low", "high")


def _claim(what: str, measured: Any, wanted: float) -> dict[str, Any]:
    told = {key: measured[key] for key in ENDS if key in measured}
    return {"claim": what, **told, "wanted": wanted, "holds": bool(told["mean"] >= wanted)}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, default=shipped_checkpoint("tracker"))
    parser.add_argument("--rival", type=Path)
    parser.add_argument("--set", type=Path, help="labelled sequences")
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    tracks = split(read_tracks(asked.set).tracks)[1] if asked.set else []
    own = judged(read_checkpoint(asked.checkpoint), SCENES, tracks)
    first = dict(list(SCENES.items())[:1])
    rival = judged(read_checkpoint(asked.rival), first) if asked.rival else None
    answer = {
        "kind": "tracker-words",
        "command": "python tools/tracker_words.py"
        + f" --set {asked.set.name}" * bool(asked.set)
        + " --rival RUN/checkpoint" * bool(asked.rival),
        **own,
        "without_alignment": rival,
        "claims": claims(own, rival),
    }
    write_json(asked.output, answer)
    for claim in answer["claims"]:
        print(claim)


if __name__ == "__main__":
    told(main)
