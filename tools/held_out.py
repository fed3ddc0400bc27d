"""What the teacher and the shipped students are worth on the people held out, as one file.

    python tools/held_out.py --data celeba6k3_aligned112_q90.tar --data ... \
        -o training/results/held-out.json

The people are those that the shipped runs kept out (`holdout=400`, seed 0), and as many that
they were trained on. Each model sees the faces shrunk to its row's size and rounded; the
teacher enlarges them. Its cosine is that to its own embedding of the whole face, both
centred: how much of the target can be told from so few pixels by a network that never saw
small faces.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import edgesdk
from edgesdk.core.biometrics import cosine
from edgesdk.core.files import write_json
from edgesdk.core.preprocess import resize
from edgesdk.core.shipped import shipped
from edgesdk.core.tensors import Array
from edgesdk_training.data import join, people
from edgesdk_training.holdout import Holdout, hold_out
from edgesdk_training.teachers import sface
from tools.command import told

PEOPLE, SIZES, BATCH = 400, (16, 24, 32), 16


def groups(dataset: Any) -> dict[str, Holdout]:
    """Return the people held out, and as many of the others."""
    known = np.asarray(people(dataset))
    held = hold_out(known, PEOPLE, 0)
    rest = known.copy()
    rest[held.items] = -1
    return {"held out": held, "trained on": hold_out(rest, PEOPLE, 1)}


def shrunk(dataset: Any, items: Array, size: int | None) -> list:
    """Return the pictures as a camera of `size` px would give them; as they are for None."""
    pictures = [dataset[int(i)] for i in items]
    if size is None:
        return pictures
    return [resize(p, (size, size)).round().astype(np.uint8) for p in pictures]


def embedded(embed: Callable[[list], Array], pictures: list) -> Array:
    """Return [N, D], a batch at a time."""
    parts = (pictures[i : i + BATCH] for i in range(0, len(pictures), BATCH))
    return np.concatenate([embed(part) for part in parts])


def judged(held: Holdout, rows: Array) -> dict:
    """Return accuracy and AUC of the pairs."""
    place = {int(item): n for n, item in enumerate(held.items)}
    found = held.judge(lambda items: rows[[place[int(i)] for i in items]])
    return {"accuracy": found.accuracy, "auc": found.auc}


def teacher_rows(dataset: Any, held: Holdout) -> list[dict]:
    """Return the teacher's rows: the whole face first, as stored or asked, then smaller ones."""
    teacher = sface()
    whole = embedded(teacher, shrunk(dataset, held.items, None))
    stored = dataset.embeddings[held.items]
    known = np.isfinite(stored).all(1)
    whole[known] = stored[known]
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)
    rows = [{"model": teacher.name, "face_px": None, **judged(held, whole)}]
    for size in SIZES:
        small = embedded(teacher, shrunk(dataset, held.items, size))
        small /= np.linalg.norm(small, axis=1, keepdims=True)
        like = cosine(small - small.mean(0), whole - whole.mean(0)).mean()
        rows.append(
            {"model": teacher.name, "face_px": size, **judged(held, small), "cosine": float(like)}
        )
    return rows


def student_row(name: str, dataset: Any, held: Holdout) -> dict:
    """Return a shipped student's row at its own size."""
    with edgesdk.FacePipeline(name) as pipeline:
        bundle = pipeline.bundle
        size = bundle.preprocess[bundle.inputs[0].name].size[0]
        rows = embedded(pipeline.embed, shrunk(dataset, held.items, size))
    return {"model": name, "face_px": size, **judged(held, rows)}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", action="append", required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    dataset = join([Path(path) for path in asked.data])
    rows = []
    for who, held in groups(dataset).items():
        found = [student_row(name, dataset, held) for name in shipped("face-embedding")]
        found += teacher_rows(dataset, held) if who == "held out" else []
        rows += [{"people": who, "pairs": len(held.same), **row} for row in found]
    words = [f"--data {Path(path).name}" for path in asked.data]
    command = " ".join(["python tools/held_out.py", *words, "-o", asked.output.name])
    write_json(asked.output, {"command": command, "rows": rows})
    for row in rows:
        print(row)


if __name__ == "__main__":
    told(main)
