"""Explanations beside each other: relabel, LIME, RISE and a map drawn by chance, alike in queries.

    python tools/judge_explanations.py --faces lfw.tar --model bridge-face \
        --classes digits/ --classifier bundles/digits-onnx-fp32 -o training/results/explain.json

Of the faces, pairs that the model takes for one person are explained, of the classes pictures that
the classifier names rightly; both by chance and seed. Every figure is a mean over pictures with its
95 % interval by bootstrap, every difference one over pairs of the same picture.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import edgesdk
from edgesdk.core.files import write_json
from edgesdk.core.question import Question
from edgesdk.core.session import Session
from edgesdk.core.task import task_of
from edgesdk.core.tensors import Array
from edgesdk.pairs import read_pairs
from edgesdk.picture_sets import Pictures
from edgesdk.saliency.curves import curves
from edgesdk.saliency.explained import GRID, METHODS, decided, explained, mean_interval
from edgesdk.saliency.found import Found
from edgesdk.saliency.neighbours import Neighbours
from tools.command import told

QUERIES, SEED = 400, 2026
FIGURES = (
    "fidelity", "above_commonest", "deletion", "insertion", "shifted_share", "cpu_s",
)  # fmt: skip
HALF, MORE, POINTS = 0.5, 0.15, 0.05


def same_faces(session: Session, place: str) -> Iterator[Question]:
    """Yield questions about pairs of one person that the model takes for one."""
    pairs = read_pairs(place)
    order = np.random.default_rng(SEED).permutation(np.flatnonzero(pairs.same))
    for number in order:
        files = [Path(place) / pairs.pictures[i] for i in pairs.pairs[:, number]]
        question = task_of(session.bundle.task).questions(session, files)[0]
        if decided(question)[0] == 0:
            yield question


def right_classes(session: Session, place: str) -> Iterator[Question]:
    """Yield questions about pictures whose folder's name is the class that the model tells."""
    pictures = Pictures(Path(place))
    for name in np.random.default_rng(SEED).permutation(pictures.names):
        (question,) = task_of(session.bundle.task).questions(session, [pictures.file(name)])
        if question.answers[decided(question)[0]] == Path(name).parent.name:
            yield question


def rows_of(question: Question, neighbours: Neighbours) -> dict[str, dict[str, float | None]]:
    """Return the figures of every method for one picture."""
    rows = {}
    for method in METHODS:
        begin = time.process_time()
        found = explained(question, neighbours, method=method, queries=QUERIES, seed=SEED)
        spent = time.process_time() - begin
        rows[method] = {
            "fidelity": found.found.fidelity,
            "above_commonest": above_commonest(found.found),
            "cpu_s": spent,
            "deletion": found.curves.deletion,
            "insertion": found.curves.insertion,
            "shifted_share": found.found.shifted_share,
        }
    rows["chance"] = by_chance(question)
    return rows


def above_commonest(found: Found) -> float | None:
    """Return by how much the student beats one that says the commoner answer of all neighbours."""
    if found.fidelity is None:
        return None
    return found.fidelity - max(found.shifted_share, 1 - found.shifted_share)


def by_chance(question: Question) -> dict[str, float | None]:
    """Return the figures of a map that knows nothing."""
    answer = decided(question)[0]

    def score(pictures: Array) -> Array:
        return np.asarray(question.ask(list(pictures)))[:, answer]

    grid = min(GRID, *question.picture.shape[:2])
    found = curves(question.picture, np.random.default_rng(SEED).random((grid, grid)), score)
    told = {"deletion": found.deletion, "insertion": found.insertion}
    return {**dict.fromkeys(FIGURES), **told}


def judged(questions: Iterator[Question], neighbours: Neighbours, count: int) -> dict[str, Any]:
    """Return means with intervals of every method, and what the claims say."""
    rows = [
        rows_of(question, neighbours) for question, _ in zip(questions, range(count), strict=False)
    ]
    methods = {
        name: {
            figure: mean_interval(values)
            for figure in FIGURES
            if (values := column(rows, name, figure))
        }
        for name in rows[0]
    }
    return {"pictures": len(rows), "methods": methods, "claims": claims(rows)}


def column(rows: Sequence[Any], method: str, figure: str) -> list[float]:
    return [row[method][figure] for row in rows if row[method][figure] is not None]


def claims(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Return each target with the mean of what is left above it, its interval, and its verdict."""
    mine, lime, chance = (
        {figure: np.array(column(rows, name, figure)) for figure in FIGURES}
        for name in ("relabel", "lime", "chance")
    )
    left = {
        "fidelity is LIME's + 5 points, each on its own neighbours": mine["fidelity"]
        - lime["fidelity"]
        - POINTS,
        "fidelity above the commonest answer is LIME's + 5 points": mine["above_commonest"]
        - lime["above_commonest"]
        - POINTS,
        "deletion is half of chance or less": HALF * chance["deletion"] - mine["deletion"],
        "insertion is chance + 0.15": mine["insertion"] - chance["insertion"] - MORE,
        "deletion is no worse than LIME's": lime["deletion"] - mine["deletion"],
        "insertion is no worse than LIME's": mine["insertion"] - lime["insertion"],
    }
    found = {claim: mean_interval(values.tolist()) for claim, values in left.items()}
    return [
        {"claim": claim, "left": row, "holds": row["mean"] >= 0, "proven": row["low"] >= 0}
        for claim, row in found.items()
    ]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", help="aligned faces with pairs.txt, a folder")
    parser.add_argument("--model", default="bridge-face")
    parser.add_argument("--classes", help="folder of pictures with a folder per class")
    parser.add_argument("--classifier", help="bundle of an image classifier")
    parser.add_argument("--neighbours", default="digits", help="of the classifier's pictures")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--skip", type=int, default=0, help="pictures that choices were made on")
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    sets = {
        "faces": (asked.model, same_faces, asked.faces, "faces"),
        asked.neighbours: (asked.classifier, right_classes, asked.classes, asked.neighbours),
    }
    found = {}
    for name, (model, questions, place, kind) in sets.items():
        if place is None:
            continue
        with edgesdk.load(model) as session, Neighbours(kind) as neighbours:
            found[name] = {
                "model": session.bundle.name,
                "sha256": session.bundle.sha256,
                "data": Path(place).name,
                "neighbours": neighbours.bundle.model,
                **judged(
                    islice(questions(session, place), asked.skip, None), neighbours, asked.count
                ),
            }
        print(name, found[name]["methods"])
    command = f"python tools/judge_explanations.py --count {asked.count} --skip {asked.skip} "
    command += f"(sets: {', '.join(found)})"
    write_json(
        asked.output,
        {"schema_version": 1, "command": command, "queries": QUERIES, "seed": SEED, "sets": found},
    )


if __name__ == "__main__":
    told(main)
