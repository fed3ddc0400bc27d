"""Pictures to classes: the label of the largest score."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.batches import in_batches
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.jobs import RunJob
from edgesdk.core.protocols import Task
from edgesdk.core.question import Question, no_larger
from edgesdk.core.session import Session
from edgesdk.core.table import table
from edgesdk.core.task import (
    Headline,
    Judged,
    Metric,
    ModelInfo,
    Run,
    Samples,
    info_of,
    measured,
    picture_inputs,
)
from edgesdk.core.tensors import Array
from edgesdk.images import read_image
from edgesdk.tasks._classes import LabelledPictures, picture_files, read_labelled
from edgesdk.tasks._each import each_picture
from edgesdk.tasks._inputs import draw_inputs, read_pictures, textures
from edgesdk.tasks._output import PICTURES, check_suffix, write_picture
from edgesdk.tasks._sheet import sheet

TOP = 5
DIGITS = frozenset("0123456789")  # labels of pictures of digits
BLOCK = 64
MOST_IN_TABLE = 100  # classes, of a confusion table in results


class ImageClassification:
    """Pictures in, one score per class out."""

    aliases = ("classification", "classifier")
    extra = ""
    requires: tuple[str, ...] = ()
    item = "picture"
    live = ""

    def pictures(self, count: int, seed: int, side: int) -> list[Array]:
        """Return coloured clutter."""
        return textures(count, seed, side)

    def draw(self, info: ModelInfo, count: int, seed: int) -> Samples:
        """Return pre-processed coloured clutter."""
        return draw_inputs(info, count, seed, textures, "drawn pictures")

    def read(self, info: ModelInfo, place: Path, count: int, seed: int) -> Samples:
        """Return pre-processed pictures of a folder or tar archive."""
        return read_pictures(info, place, count, seed, "pictures like those it will see")

    def evaluation(self, place: Path) -> LabelledPictures:
        """Open a folder or tar archive with a folder per class, or a CSV of path,label."""
        return read_labelled(place)

    def judge(self, info: ModelInfo, runs: Sequence[Run], data: LabelledPictures) -> list[Judged]:
        """Judge runs by the share of pictures whose largest score is the right one.

        Raises:
            UsageError: the set has a class that the model does not know.
        """
        truth = data.numbers(info)
        rows: list[list[Array]] = [[] for _ in runs]
        for block in data.blocks(BLOCK):
            tensors = picture_inputs(info, block)
            for mine, run in zip(rows, runs, strict=True):
                mine.append(_scores(info, run(tensors)))
        return [_judged(np.concatenate(mine), truth) for mine in rows]

    def headline(self, metrics: Mapping[str, Any]) -> Headline | None:
        """Return what a gate or a training run stored."""
        return measured(metrics)

    def questions(self, session: Session, files: Sequence[Path]) -> list[Question]:
        """Ask which class each picture shows."""
        info = info_of(session.bundle)
        classes = range(info.outputs[0].shape[-1] or len(info.labels))
        return [
            Question(
                name=str(path),
                picture=no_larger(read_image(path), info.preprocess[info.inputs[0].name].size),
                answers=tuple(_label(info, index) for index in classes),
                ask=lambda pictures: _shares(info, session.run, pictures),
                kind="digits" if DIGITS.issuperset(info.labels or ("none",)) else "pictures",
            )
            for path in picture_files(files)
        ]

    def run(self, job: RunJob, *, top: int = TOP) -> dict[str, Any]:
        """Tell the likeliest classes of each picture.

        Args:
            top: Number of classes to tell.

        Returns:
            "pictures" (picture, top: label, index, probability) and "skipped" (picture, why).
        """
        from edgesdk_runtimes._open import open_session

        check_suffix(job.output, PICTURES)
        if top < 1:
            raise UsageError(f"top is a number of classes, 1 or more, found {top}")
        info = info_of(job.bundle)
        read, skipped = each_picture(job, lambda path, picture: (str(path), picture))
        names, pictures = zip(*read, strict=True)
        with open_session(
            job.bundle, job.runtime, job.device, job.threads, job.allow_fallback
        ) as session:
            shares = _shares(info, session.run, pictures)
        rows = [
            {"picture": name, "top": _top(info, row, top)}
            for name, row in zip(names, shares, strict=True)
        ]
        if job.output is not None:
            write_picture(job.output, sheet(pictures, [_caption(row) for row in rows]))
        return {
            "bundle": job.bundle.name,
            "runtime": session.runtime,
            "pictures": rows,
            "skipped": skipped,
            "output": None if job.output is None else str(job.output),
        }

    def show(self, result: Mapping[str, Any]) -> str:
        """Return the likeliest classes, a block per picture."""
        body = [
            [
                "/".join(Path(row["picture"]).parts[-2:]) if not rank else "",
                c["label"],
                f"{c['probability']:.4f}",
            ]
            for row in result["pictures"]
            for rank, c in enumerate(row["top"])
        ]
        lines = [table(["picture", "class", "probability"], body)]
        lines += [f"skipped {s['picture']}: {s['why']}" for s in result["skipped"]]
        return "\n".join([*lines, *([f"sheet {result['output']}"] if result["output"] else [])])


def _shares(info: ModelInfo, run: Run, pictures: Sequence[Array]) -> Array:
    """Return the probability of each class for each picture [N, classes]."""
    found = in_batches(run, picture_inputs(info, pictures), info.inputs[0].shape[0])
    return _probabilities(info, _scores(info, found))


def _scores(info: ModelInfo, outputs: Mapping[str, Array]) -> Array:
    scores = np.asarray(outputs[info.outputs[0].name], np.float64)
    if scores.ndim != 2:
        raise UnsupportedError(
            f"output {info.outputs[0].name!r} of {info.model} has shape {scores.shape}; a "
            "classifier gives one score per class, [N, classes]"
        )
    return scores


def _probabilities(info: ModelInfo, scores: Array) -> Array:
    """Return scores as probabilities; postprocess {"scores": "probabilities"} tells they are."""
    if info.postprocess.get("scores") == "probabilities":
        return scores
    raised = np.exp(scores - scores.max(1, keepdims=True))
    shares: Array = raised / raised.sum(1, keepdims=True)
    return shares


def _top(info: ModelInfo, row: Array, count: int) -> list[dict[str, Any]]:
    best = np.argsort(-row, kind="stable")[:count]
    return [{"label": _label(info, i), "index": int(i), "probability": float(row[i])} for i in best]


def _label(info: ModelInfo, index: int) -> str:
    return info.labels[index] if index < len(info.labels) else f"class {index}"


def _caption(row: Mapping[str, Any]) -> str:
    first = row["top"][0]
    return f"{first['probability']:.2f} {first['label']}"


def _judged(scores: Array, truth: Array) -> Judged:
    classes = scores.shape[1]
    found = scores.argmax(1)
    right = found == truth
    ranked = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
    numbers: dict[str, Any] = {"top-5 accuracy": float((ranked == truth[:, None]).any(1).mean())}
    if classes <= MOST_IN_TABLE:
        confusion = np.zeros((classes, classes), int)
        np.add.at(confusion, (truth, found), 1)
        numbers["confusion"] = confusion.tolist()
    metric = Metric(key="top-1 accuracy", value=float(right.mean()), items=right)
    return Judged(metrics=(metric,), numbers=numbers)


PLUGIN: Task = ImageClassification()
