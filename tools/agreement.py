"""How far students agree with their teacher about faces of several kinds, without any label.

    python tools/agreement.py --data celeba.tar --data faces48.npz --crops generated9.npz \
        --photos mfr2.tar --model bridge-face-plus-32 --model runs/… -o agreement.json

Of every kind of faces the centred embeddings of teacher and student are compared pair by
pair: the agreement is the correlation of their cosines, over all pairs of faces. A student
agrees less about faces unlike those it was taught with, which accuracy on people of the
training sets cannot tell. `--data` are the training sets, of which the people held out are
looked at; `--crops` are aligned faces, in `--photos` faces are found and aligned first.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.biometrics import unit
from edgesdk.core.errors import UsageError
from edgesdk.core.files import check_target, write_json
from edgesdk.core.preprocess import Align, align, resize
from edgesdk.core.shipped import open_checkpoint
from edgesdk.core.tensors import Array
from edgesdk.detect import YuNet
from edgesdk_benchmarks._models import checkpoint_model
from edgesdk_training.data import join
from edgesdk_training.teachers import sface
from tools.command import told
from tools.held_out import embedded, groups

SIDE, MOST, LEAST = 112, 500, 20


def crop(picture: Array, side: int) -> Array:
    """Return an aligned face at another size, uint8."""
    if picture.shape[:2] == (side, side):
        return picture
    return resize(picture, (side, side)).round().clip(0, 255).astype(np.uint8)


def spread(count: int) -> Array:
    """Return at most MOST numbers below `count`, evenly spread."""
    return np.linspace(0, count - 1, min(count, MOST)).astype(int)


def found(photos: Any) -> list[Array]:
    """Return the first face of every photo that shows one, aligned."""
    find, faces = YuNet(), []
    for number in spread(len(photos)):
        seen = find(photos[int(number)])
        faces += [align(photos[int(number)], seen[0].points, Align())] if seen else []
    return faces


def kinds(asked: argparse.Namespace) -> Iterator[tuple[str, list[Array]]]:
    """Yield the name of every kind, and its aligned faces."""
    if asked.data:
        dataset = join(asked.data)
        items = groups(dataset)["held out"].items
        yield "people held out", [dataset[int(items[i])] for i in spread(len(items))]
    for path in asked.crops:
        dataset = join([path])
        yield path.name, [dataset[int(i)] for i in spread(len(dataset))]
    for path in asked.photos:
        yield path.name, found(join([path]))


def cosines(rows: Array) -> Array:
    """Return the cosines of all pairs of the centred rows."""
    vectors = unit(rows - rows.mean(0))
    return (vectors @ vectors.T)[np.triu_indices(len(rows), 1)]


def agreement(student: Array, teacher: Array) -> float:
    """Return the correlation of two networks' cosines; rows are the same faces."""
    return float(np.corrcoef(cosines(student), cosines(teacher))[0, 1])


def judged(model: str, faces: dict[str, list[Array]], wanted: dict[str, Array]) -> dict[str, Any]:
    """Return a student's row: its agreement by kind."""
    checkpoint = open_checkpoint(model)
    with ExitStack() as stack:
        opened = checkpoint_model(str(checkpoint.path), 1, stack)
        rows = {
            k: embedded(opened.embed, [crop(p, opened.side) for p in v]) for k, v in faces.items()
        }
    return {
        "model": checkpoint.model,
        "weights_sha256": checkpoint.weights_sha256,
        "agreement": {k: agreement(v, wanted[k]) for k, v in rows.items()},
    }


def compare(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the result of all models and kinds."""
    faces = {name: [crop(p, SIDE) for p in pictures] for name, pictures in kinds(asked)}
    for name, pictures in faces.items():
        if len(pictures) < LEAST:
            raise UsageError(f"{name} has {len(pictures)} faces; give {LEAST} or more")
    teacher = sface()
    wanted = {name: embedded(teacher, pictures) for name, pictures in faces.items()}
    rows = []
    for label, _, model in (word.rpartition("=") for word in asked.model):
        rows.append({"run": label or model, **judged(model, faces, wanted)})
        print(
            rows[-1]["run"], {k: round(v, 4) for k, v in rows[-1]["agreement"].items()}, flush=True
        )
    return {
        "command": command(asked),
        "teacher": teacher.name,
        "faces": {name: len(pictures) for name, pictures in faces.items()},
        "rows": rows,
    }


def command(asked: argparse.Namespace) -> str:
    """Return the command line, paths by their last part."""
    words = [f"--{k} {p.name}" for k in ("data", "crops", "photos") for p in getattr(asked, k)]
    words += [f"--model {word.rpartition('=')[0] or Path(word).name}" for word in asked.model]
    return " ".join(["python tools/agreement.py", *words, "-o", asked.output.name])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", action="append", type=Path, default=[], help="training set; repeatable")
    add("--crops", action="append", type=Path, default=[], help="aligned faces; repeatable")
    add("--photos", action="append", type=Path, default=[], help="pictures; repeatable")
    add("--model", action="append", required=True, help="[LABEL=]shipped name or run; repeatable")
    add("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    if not (asked.data or asked.crops or asked.photos):
        parser.error("no faces to look at; give --data, --crops or --photos")
    check_target(asked.output)
    write_json(asked.output, compare(asked))


if __name__ == "__main__":
    told(main)
