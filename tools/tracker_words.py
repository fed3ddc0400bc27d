"""What a sentence is worth to the tracker among look-alikes, alone and in films: claims 3a to 3c.

    python tools/tracker_words.py --set tracking_train.tar --rival runs/cost-tracker-12345678
    cog -r -I tools docs/tracking.md

Made-up worlds of seeds that no training drew, each followed twice: told the sentence, and silent.
Their first frame is grey, so it does not show the colour that the sentence names. Where objects
"change places" all of them are placed anew every few frames, as behind something that hides them,
so that their way does not tell them apart either.
Retrieval asks which of 16 different sentences belongs to what is seen at the target. `--rival` is
a run that taught the word map without the contrastive alignment (`--set align=0`, all else as the
map that is shipped); its map takes the place of the tracker's, as loud. The oracle is the silent
tracker whose scores are cut off wherever the target is not: no sentence can tell more. Intervals
are of the mean over worlds, 95 %.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgesdk.core.bundle import Checkpoint, read_checkpoint
from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_json, write_json
from edgesdk.core.plugins import STUDENTS, load
from edgesdk.core.shipped import shipped_checkpoint
from edgesdk.core.tensors import Array
from edgesdk.saliency.explained import mean_interval
from edgesdk.sequences import measures, read_tracks
from edgesdk.track import Follower
from edgesdk.track_steps import boxes_in, crop, middle, target_side
from edgesdk.words import sentence_features
from edgesdk.worlds import Scene, World, make_world
from edgesdk_training.track_data import split
from edgesdk_training.track_trial import follow, info_of_checkpoint, runner
from edgesdk_training.track_words import pooled, retrieval
from tools.command import told
from tools.readme_tables import table
from tools.ship_tracker import heard
from tools.zoo import checkpoint_of

RESULT = Path(__file__).resolve().parent.parent / "benchmarks/results/tracker-words.json"
WORLDS, FIRST, FRAMES = 40, 50_000, 12
MOVES = {"jump": 1.2, "rest": 3}
BATCH, BATCHES = 16, 12
CROWD, PLAIN = "look-alikes that change places", "look-alikes"
SCENES = {
    CROWD: Scene(frames=FRAMES, **MOVES),
    PLAIN: Scene(frames=FRAMES),
    f"without {CROWD}": Scene(frames=FRAMES, lookalikes=0, **MOVES),
    f"without {PLAIN}": Scene(frames=FRAMES, lookalikes=0),
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
        "told_each": spoken.round(4).tolist(),
        "gain": mean_interval((spoken - silent).tolist()),
    }


class Oracle(Follower):
    """A tracker whose scores are cut off wherever the target is not."""

    truth: Array

    def _look(self, frame: Array, at: Array, side: float, memory: Array) -> Any:
        answer = super()._look(frame, at, side, memory)
        cell = self._stride * side / self._size
        cells = answer["score"].shape[-1]
        x, y = boxes_in(np.zeros((4, cells, cells)), 1)[:2] * cell + at[:, None]
        away = np.abs([x, y] - (self.truth[:2] + self.truth[2:] / 2)[:, None])
        inside = (away <= (self.truth[2:, None] + cell) / 2).all(0).reshape(cells, cells)
        return {**answer, "score": np.where(inside, answer["score"], np.float32(0))}


def ceiling(oracle: Oracle, films: Sequence[tuple[Sequence[Array], Array, str]]) -> list[float]:
    """Return the AUC of each film where something told which cells hold the target."""
    rows = []
    for frames, boxes, _ in films:
        oracle.truth = boxes[0]
        found = [oracle.start(frames[0], boxes[0]).box]
        for frame, box in zip(frames[1:], boxes[1:], strict=True):
            oracle.truth = box
            found.append(oracle.update(frame).box)
        rows.append(measures(np.array(found), boxes)["auc"])
    return rows


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

    from edgesdk_training.nets.word_map import pixels_of

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


def most(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what an oracle makes of the look-alikes that change places."""
    student = load(STUDENTS, checkpoint.student)
    oracle = Oracle(runner(student.load(checkpoint)), info_of_checkpoint(student, checkpoint))
    return {"count": WORLDS, **mean_interval(ceiling(oracle, films_of(SCENES[CROWD])))}


def unaligned(own: Checkpoint, run: Checkpoint, folder: Path) -> Checkpoint:
    """Return the tracker with the map of a run that was taught without the alignment.

    Raises:
        UsageError: the run's settings differ in more than the alignment, or in nothing.
    """
    kept = own.provenance["words"]
    other = run.provenance["settings"]
    changed = {key for key in kept["settings"] if kept["settings"][key] != other.get(key)}
    if changed - {"init"} != {"align"}:
        raise UsageError(f"{run.path} differs from the shipped word map in {sorted(changed)}")
    return heard(own, run, kept["loud"], folder)


def claims(own: Any, rival: Any) -> list[dict[str, Any]]:
    """Return claims 3a to 3c with what was measured; `low` is the interval's lower end."""
    found = []
    for crowd in (CROWD, PLAIN):
        gain, single = (own["rows"][name]["gain"] for name in (crowd, f"without {crowd}"))
        found.append(_claim(f"3a gain by the sentence among {crowd}", gain, CLAIM_3A))
        more = {"mean": gain["mean"] - single["mean"]}
        found.append(_claim(f"3b that gain less the one without {crowd}", more, CLAIM_3B))
    times = {k: v / own["r_at_1"]["chance"] for k, v in own["r_at_1"].items() if k in ENDS}
    found.append(_claim("3c R@1 in times of chance", times, CLAIM_3C_TIMES))
    if rival is not None:
        told = (np.array(side["rows"][CROWD]["told_each"]) for side in (own, rival))
        points = mean_interval(np.subtract(*told).tolist())
        found.append(_claim("3c AUC with the alignment less without", points, CLAIM_3C_POINTS))
    return found


ENDS = ("mean", "low", "high")


def _claim(what: str, measured: Any, wanted: float) -> dict[str, Any]:
    told = {key: measured[key] for key in ENDS if key in measured}
    return {"claim": what, **told, "wanted": wanted, "holds": bool(told["mean"] >= wanted)}


def markdown() -> str:
    """Return the table of the committed file."""
    rows = read_json(RESULT, "what words are worth")["rows"]
    lines: list[list[object]] = [
        [name, row["count"], f"{row['told']:.3f}", f"{row['silent']:.3f}",
         f"{row['gain']['mean']:+.3f} ({row['gain']['low']:+.3f} to {row['gain']['high']:+.3f})"]
        for name, row in rows.items()
    ]  # fmt: skip
    most = read_json(RESULT, "what words are worth")["oracle"]
    lines.append([f"{CROWD}, an oracle", most["count"], f"{most['mean']:.3f}", "", ""])
    return table(["films", "count", "AUC, told", "AUC, silent", "gain, 95 %"], lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, default=shipped_checkpoint("tracker"))
    parser.add_argument("--rival", type=Path)
    parser.add_argument("--set", type=Path, help="labelled sequences")
    parser.add_argument("-o", "--output", type=Path, default=RESULT)
    asked = parser.parse_args()
    tracks = split(read_tracks(asked.set).tracks)[1] if asked.set else []
    shown = read_checkpoint(asked.checkpoint)
    own, rival = judged(shown, SCENES, tracks), None
    if asked.rival:
        with TemporaryDirectory() as place:
            other = unaligned(shown, checkpoint_of(asked.rival), Path(place) / "rival")
            rival = judged(other, {CROWD: SCENES[CROWD]})
    answer = {
        "kind": "tracker-words",
        "command": "python tools/tracker_words.py"
        + (f" --set {asked.set.name}" if asked.set else "")
        + " --rival RUN" * bool(asked.rival),
        **own,
        "oracle": most(shown),
        "without_alignment": rival,
        "claims": claims(own, rival),
    }
    write_json(asked.output, answer)
    for claim in answer["claims"]:
        print(claim)


if __name__ == "__main__":
    told(main)
