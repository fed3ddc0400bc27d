"""The task itself, before and after: do pairs of faces still tell the same people apart?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesdk.core.biometrics import cosine, decided_rightly, drop_interval, unit
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.tensors import Array
from edgesdk.pairs import PairSet, embed_pictures, judge
from edgesdk_export._calibration import tensors_of
from edgesdk_export._source import Run, Source, specs


@dataclass(frozen=True, slots=True)
class Judged:
    """One network on a set of pairs.

    Attributes:
        embeddings: [P, D] of the set's pictures.
        scores: [N] cosines of the pairs.
        correct: bool [N]: decided rightly at the threshold of the other folds.
        accuracy: Mean over the folds.
        tar: far -> value, threshold … as in VerificationMetrics.
    """

    embeddings: Array
    scores: Array
    correct: Array
    accuracy: float
    tar: dict[str, Any]


def check_max_drop(value: float) -> None:
    """Raise UsageError for an allowed loss of accuracy that makes no sense, such as NaN."""
    if not 0 <= value <= 1:
        raise UsageError(f"max_drop is a part of all pairs, 0 to 1, found {value}")


def judge_task(source: Source, runs: Sequence[Run], pairs: PairSet) -> list[Judged]:
    """Judge each of `runs` on the pairs, with the pre-processing of `source`.

    Raises:
        UnsupportedError: the network gives no embedding.
    """
    inputs, outputs = specs(source)
    if source.postprocess.get("kind") != "embedding" or len(inputs) != 1:
        raise UnsupportedError(
            f"pairs of pictures judge embeddings of one picture; {source.model} is for "
            f"{source.task}: leave out --data"
        )

    def embed(pictures: Sequence[Array]) -> Array:
        tensors = tensors_of(source, list(pictures))
        return np.hstack([unit(run(tensors)[outputs[0].name]) for run in runs])

    # Reading and shrinking the pictures takes most of the time: once for all runs.
    every = embed_pictures(embed, pairs)
    return [_judged(unit(part), pairs) for part in np.split(every, len(runs), axis=1)]


def _judged(embeddings: Array, pairs: PairSet) -> Judged:
    metrics = judge(embeddings, pairs)
    scores = cosine(embeddings[pairs.pairs[0]], embeddings[pairs.pairs[1]])
    tar = metrics.tar_all or metrics.tar
    correct = decided_rightly(scores, pairs.same, pairs.fold)
    return Judged(embeddings, scores, correct, metrics.accuracy, dict(tar))


def contrast(
    source: Judged, artefact: Judged, pairs: PairSet, max_drop: float
) -> tuple[dict[str, Any], list[str]]:
    """Return the task block of a verification, and the reasons why it fails.

    Accuracy may drop by `max_drop`. TAR at a fixed FAR is noisier: it fails only where the
    whole 95 % interval of its drop (bootstrap over the same genuine pairs) lies beyond.
    """
    task: dict[str, Any] = {
        "metric": "accuracy",
        **_pair_of(source.accuracy, artefact.accuracy),
        "interval": drop_interval(source.correct, artefact.correct),
        "pairs": len(pairs),
        "data_sha256": pairs.sha256,
        "max_drop": max_drop,
    }
    reasons = []
    if task["drop"] > max_drop:
        reasons.append(_sentence("accuracy", task, max_drop))
    tar = _tar(source, artefact, pairs)
    if tar:
        task["tar"] = tar
        if tar["interval"][0] > max_drop:
            reasons.append(_sentence(f"TAR at {tar['far']}", tar, max_drop))
    return task, reasons


def _tar(source: Judged, artefact: Judged, pairs: PairSet) -> dict[str, Any]:
    """Return TAR at the strictest FAR that the set can tell about, {} for none."""
    for far in sorted(source.tar, key=lambda name: float(name.removeprefix("far_"))):
        sides = [judged.tar[far] for judged in (source, artefact)]
        if all(side["value"] is not None for side in sides):
            accepted = [
                judged.scores[pairs.same] >= side["threshold"]
                for judged, side in zip((source, artefact), sides, strict=True)
            ]
            values = _pair_of(*(float(side["value"]) for side in sides))
            return {"far": far, **values, "interval": drop_interval(*accepted)}
    return {}


def _pair_of(source: float, artefact: float) -> dict[str, float]:
    return {"source": source, "artefact": artefact, "drop": source - artefact}


def _sentence(what: str, values: dict[str, Any], max_drop: float) -> str:
    return (
        f"{what} falls from {values['source']:.4f} to {values['artefact']:.4f}, "
        f"a drop of at most {max_drop:g} is allowed"
    )
