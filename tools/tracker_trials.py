"""Trials of the tracker on sequences, as one committed file: what each choice is worth.

    python tools/tracker_trials.py tracking_train.tar --nanotrack FOLDER \\
        --trial "as shipped" --trial "window=0.2" --trial "window=0.2 back=0.5 encoder=0"
    cog -r -I tools docs/tracking.md

A trial is a list of NAME=VALUE: fields of the tracker's policy; `back`, how far the correlation
head is drawn back to NanoTrack's weights from where the checkpoint has it; `encoder=0`, without
what joins [OBJ], picture and words. It is one pass over each sequence, and `--moves` more with the
first box moved by a tenth of its sides; the mean success AUC of both is told for the sequences of
scenes that training held out and for those it learnt from; `--dev` tells that of a set that no
choice is made on. Rows that are there are made anew, the others stay.
"""

import argparse
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgesdk.core.bundle import Checkpoint, read_checkpoint
from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_json, write_json
from edgesdk.core.plugins import STUDENTS, load
from edgesdk.core.shipped import shipped_checkpoint
from edgesdk.core.task import ModelInfo
from edgesdk.core.tensors import Array, Arrays
from edgesdk.sequences import Track, Tracks, measures, read_tracks
from edgesdk.track import Follower, policy_of
from edgesdk.track_steps import Policy
from edgesdk_training.nano_track import NanoTrack
from edgesdk_training.track_data import split
from edgesdk_training.track_trial import follow, info_of_checkpoint
from tools.command import told
from tools.readme_tables import table

RESULT = Path(__file__).resolve().parent.parent / "training/results/tracker-trials.json"
SHIPPED = "as shipped"
NOISE = 0.1  # of the first box's sides
SHAPE = ("back", "encoder")
NAMES = ("score", "box", "features")
Row = dict[str, Any]


def parsed(trial: str) -> dict[str, float]:
    """Return the settings of a trial.

    Raises:
        UsageError: a word is no NAME=VALUE of a known name.
    """
    known = {*SHAPE, *(f.name for f in fields(Policy))}
    given: dict[str, float] = {}
    for word in trial.split() if trial != SHIPPED else ():
        name, _, value = word.partition("=")
        try:
            given[name] = float(value)
        except ValueError:
            given[""] = 0.0
    if set(given) - known:
        raise UsageError(f"{trial!r}: a trial is NAME=VALUE of {', '.join(sorted(known))}")
    return given


def silent(model: Any) -> Any:
    """Return the tracker without its encoder, as a module that `torch.onnx` takes."""
    import torch

    from edgesdk_training.nets.tracker import SCALE

    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, image: Any, memory: Any, text: Any) -> Any:
            features = model.backbone(image)
            score, box, _ = model.head(memory * SCALE, features)
            return torch.sigmoid(score + 0 * text.mean()), box.exp(), features / SCALE

    return Plain()


def network(source: Checkpoint, nanotrack: Path | None, back: float, encoder: bool) -> Any:
    """Return what runs the network in ONNX Runtime, on one thread."""
    import onnxruntime
    import torch

    student = load(STUDENTS, source.student)
    model, config = student.load(source), student.config(**source.student_config)
    if back:
        if nanotrack is None:
            raise UsageError("back= needs NanoTrack V2's files; give --nanotrack FOLDER")
        first = student.load(source)
        NanoTrack(nanotrack).begin(first)
        begun = first.head.state_dict()
        mixed = {k: v.lerp(begun[k], back) for k, v in model.head.state_dict().items()}
        model.head.load_state_dict(mixed)
    example = [torch.from_numpy(v[:1]) for v in student.example(config).values()]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    with TemporaryDirectory() as place:
        path = Path(place) / "model.onnx"
        torch.onnx.export(
            model if encoder else silent(model).eval(), tuple(example), path, dynamo=True,
            input_names=list(student.example(config)), output_names=list(NAMES), verbose=False,
        )  # fmt: skip
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])

    def run(arrays: Arrays) -> Arrays:
        return dict(zip(NAMES, session.run(list(NAMES), arrays), strict=True))

    return run


def moved(box: Array, *seed: int) -> Array:
    """Return a box whose edges are up to a tenth of its sides off."""
    off = np.random.default_rng(seed).uniform(-NOISE, NOISE, 4)
    shifted: Array = box + off * box[[2, 3, 2, 3]]
    return shifted


def films_of(data: Tracks) -> list[tuple[Track, list[Array]]]:
    """Return each sequence with its frames, which are kept in memory."""
    return [(track, [track.read(i) for i in range(len(track))]) for track in data.tracks]


def followed(follower: Follower, films: Any, moves: int) -> dict[str, list[float]]:
    """Return the AUC of each sequence: as labelled, then with a moved first box."""
    found: dict[str, list[float]] = {}
    for number, (track, frames) in enumerate(films):
        begun = [track.boxes[0], *(moved(track.boxes[0], number, i) for i in range(moves))]
        found[track.name] = [
            measures(follow(follower, frames, box, track.text), track.boxes)["auc"] for box in begun
        ]
    return found


def row(rows: dict[str, list[float]], held: set[str]) -> Row:
    """Return the means over the sequences held out, and over those learnt from."""
    parts = {"held_out": [], "learnt": []}  # type: dict[str, list[list[float]]]
    for name, values in rows.items():
        parts["held_out" if name in held else "learnt"].append(values)
    means = {
        part: {"auc": float(np.mean([v[0] for v in values])),
               "auc_moved_box": float(np.mean([v[1:] for v in values]))}
        for part, values in parts.items() if values
    }  # fmt: skip
    return {**means, "sequences": {k: [round(v, 3) for v in values] for k, values in rows.items()}}


def markdown() -> str:
    """Return the table of the committed file."""
    data = read_json(RESULT, "trials of the tracker")

    def line(name: str, row: Row) -> list[str]:
        held, learnt = row["held_out"], row["learnt"]
        dev = row.get("dev", {})
        return [name, *(f"{part[key]:.3f}" if part else "" for part in (held, learnt, dev)
                        for key in ("auc", "auc_moved_box"))]  # fmt: skip

    heads = ["trial", "held out", "held out, box moved", "learnt", "learnt, box moved", "dev",
             "dev, box moved"]  # fmt: skip
    return table(heads, [line(name, row) for name, row in data["trials"].items()])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sequences", type=Path)
    parser.add_argument("--dev", type=Path, help="sequences to tell of besides")
    parser.add_argument("--trial", action="append", default=[])
    parser.add_argument("--nanotrack", type=Path)
    parser.add_argument("--checkpoint", type=Path, default=shipped_checkpoint("tracker"))
    parser.add_argument("--label", default="", help="put before the names of the trials")
    parser.add_argument("--moves", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=RESULT)
    asked = parser.parse_args()
    trials = {asked.label + trial: parsed(trial) for trial in asked.trial or [SHIPPED]}
    source, data = read_checkpoint(asked.checkpoint), read_tracks(asked.sequences)
    films = films_of(data)
    more = films_of(read_tracks(asked.dev)) if asked.dev else []
    held = {track.name for track in split(data.tracks)[1]}
    made = cache(lambda back, encoder: network(source, asked.nanotrack, back, encoder))
    info = info_of_checkpoint(load(STUDENTS, source.student), source)
    answer = read_json(asked.output, "trials") if asked.output.is_file() else {"trials": {}}
    for name, settings in trials.items():
        run = made(settings.get("back", 0.0), bool(settings.get("encoder", 1.0)))
        follower = Follower(run, info, policy(info, settings))
        rows, besides = (followed(follower, part, asked.moves) for part in (films, more))
        answer["trials"][name] = {
            "settings": settings, "weights_sha256": source.weights_sha256, **row(rows, held),
            **({"dev": row(besides, set(besides))["held_out"]} if besides else {}),
        }  # fmt: skip
        told_of = {"kind": "tracker-trials", "command": "python tools/tracker_trials.py"}
        about = {"data": data.name, "data_sha256": data.sha256, "moves": asked.moves}
        write_json(asked.output, {**told_of, **about, "trials": answer["trials"]})
        shown = answer["trials"][name]
        print(name, shown["held_out"], shown["learnt"], flush=True)


def policy(info: ModelInfo, settings: dict[str, float]) -> Policy:
    """Return the checkpoint's policy with the trial's changes."""
    given = {k: v for k, v in settings.items() if k not in SHAPE}
    return replace(policy_of(info), **given)


if __name__ == "__main__":
    told(main)
