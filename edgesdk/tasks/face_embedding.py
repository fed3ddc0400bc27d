"""Faces to vectors: two pictures show one person where their embeddings point the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.biometrics import FARS, cosine, decided_rightly, far_key, refusal, unit
from edgesdk.core.errors import UnsupportedError
from edgesdk.core.files import sha256_bytes
from edgesdk.core.jobs import RunJob
from edgesdk.core.protocols import Task
from edgesdk.core.question import Question
from edgesdk.core.samples import synthetic_faces
from edgesdk.core.session import Session
from edgesdk.core.table import table
from edgesdk.core.task import (
    Evaluation,
    Headline,
    Judged,
    Metric,
    ModelInfo,
    Run,
    Samples,
    measured,
    picture_inputs,
)
from edgesdk.core.tensors import Array, TensorSpec
from edgesdk.pairs import PairSet, embed_pictures, impostor_scores, judge, read_pairs, thresholds
from edgesdk.strata import split
from edgesdk.tasks._inputs import draw_inputs, read_pictures

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle
    from edgesdk.tasks._photos import Photos

ABOUT = "Synthetic faces drawn from a normal distribution in eigenface space; nobody is shown."
STRATUM = "stratum"  # column of pairs.csv whose words split the accuracy
LFW_FOLDS_1_TO_5 = 3000


@dataclass(frozen=True, slots=True)
class FacePairs:
    """Pairs of pictures of faces with the truth about each.

    Attributes:
        pairs: The set as it was read.
    """

    pairs: PairSet
    counted: str = "pairs"

    @property
    def name(self) -> str:
        """Name of the folder or archive."""
        return self.pairs.path.stem

    @property
    def sha256(self) -> str:
        """Hash over the pairs and the content of every picture."""
        return self.pairs.sha256

    def __len__(self) -> int:
        return len(self.pairs)

    def hashes(self) -> set[str]:
        """Return the SHA-256 of every picture's file."""
        return {sha256_bytes(self.pairs.source.bytes(name)) for name in self.pairs.pictures}

    def samples(self, info: ModelInfo, count: int, seed: int) -> Samples:
        """Return inputs made of at most `count` pictures of the set."""
        order = np.random.default_rng(seed).permutation(len(self.pairs.pictures))
        read = [self.pairs.read(int(number)) for number in order[:count]]
        return Samples(arrays=picture_inputs(info, read), what="faces of the set")


class FaceEmbedding:
    """Aligned faces in, vectors out, compared by the cosine."""

    aliases = ("face", "face-recognition")
    extra = ""
    requires: tuple[str, ...] = ()
    item = "face"
    live = "live"

    def reads(self, outputs: Sequence[TensorSpec]) -> dict[str, Any]:
        """Return that the only output [N, D] is an embedding, whose length is not known."""
        if len(outputs) != 1 or len(outputs[0].shape) != 2 or outputs[0].shape[1] is None:
            return {}
        dim = outputs[0].shape[1]
        return {"kind": "embedding", "dim": dim, "normalised": False, "metric": "cosine"}

    def pictures(self, count: int, seed: int, side: int) -> list[Array]:
        """Return aligned face-like crops; nobody is shown."""
        return synthetic_faces(count, seed, side)

    def draw(self, info: ModelInfo, count: int, seed: int) -> Samples:
        """Return pre-processed crops that nobody is shown on."""
        return draw_inputs(info, count, seed, synthetic_faces, "synthetic faces", ABOUT)

    def read(self, info: ModelInfo, place: Path, count: int, seed: int) -> Samples:
        """Return pre-processed aligned crops of a folder or tar archive."""
        return read_pictures(info, place, count, seed, "aligned face crops")

    def evaluation(self, place: Path) -> Evaluation:
        """Open a folder or tar archive with pairs.txt or pairs.csv, see `edgesdk.pairs`."""
        return FacePairs(read_pairs(place))

    def judge(self, info: ModelInfo, runs: Sequence[Run], data: FacePairs) -> list[Judged]:
        """Judge runs by the accuracy on the pairs and TAR at a fixed FAR.

        Raises:
            UnsupportedError: the network gives no embedding of one picture.
        """
        if info.postprocess.get("kind") != "embedding" or len(info.inputs) != 1:
            raise UnsupportedError(
                f"pairs of pictures judge embeddings of one picture; {info.model} is for "
                f"{info.task}: leave out --data"
            )

        def embed(pictures: Sequence[Array]) -> Array:
            tensors = picture_inputs(info, pictures)
            return np.hstack([unit(run(tensors)[info.outputs[0].name]) for run in runs])

        # Reading and shrinking the pictures takes most of the time: once for all runs.
        every = embed_pictures(embed, data.pairs)
        return [_judged(unit(part), data.pairs) for part in np.split(every, len(runs), axis=1)]

    def headline(self, metrics: Mapping[str, Any]) -> Headline | None:
        """Return the accuracy on pairs; before there were tasks it was called lfw_accuracy."""
        value, sha256 = metrics.get("lfw_accuracy"), str(metrics.get("data_sha256") or "")
        if not isinstance(value, int | float):
            return measured(metrics)
        if sha256:
            return measured({"metric": "accuracy", "value": value, "data_sha256": sha256})
        folds = " folds 1-5" if metrics.get("lfw_pairs") == LFW_FOLDS_1_TO_5 else ""
        size = f" at {metrics['lfw_face_px']} px" if "lfw_face_px" in metrics else ""
        return Headline("accuracy", f"LFW{folds}{size}", float(value))

    def from_files(
        self, bundle: Bundle, runtime: str, device: str, threads: int, files: Sequence[Path]
    ) -> AbstractContextManager[Photos]:
        """Open the way from photos to embeddings, to be timed; no files: drawn photos."""
        from edgesdk.tasks._photos import photos

        return photos(bundle, runtime, device, threads, files)

    def questions(self, session: Session, files: Sequence[Path]) -> list[Question]:
        """Ask of two or more pictures whether they show the first one's person."""
        from edgesdk.tasks._questions import of_faces

        return of_faces(session, files)

    def run(
        self,
        job: RunJob,
        *,
        aligned: bool | None = None,
        all_faces: bool = False,
        every: float = 1.0,
        strict: bool = False,
        detector: str | None = None,
    ) -> dict[str, Any]:
        """Embed the faces of pictures and compare the first one with each other one.

        Args:
            aligned: Pictures are aligned crops (or are not); default: small squares are looked at.
            all_faces: All faces of each photo, instead of the largest one.
            detector: What finds the faces of photos: yunet or face-detector; default: yunet where
                the extra teachers is installed.
            every: Seconds between the pictures of a video; 0 for all.
            strict: Refuse pictures that cannot be read; default: they are left out and named.

        Returns:
            "faces" (embedding, box, taken, quality), "comparisons" (similarity, same) and
            "skipped" (picture, why).
        """
        from edgesdk.tasks._faces import run_pictures

        return run_pictures(job, aligned, all_faces, every, strict, detector)

    def show(self, result: Mapping[str, Any]) -> str:
        """Return similarities and decisions as a table."""
        from edgesdk.tasks._faces import lines, notes

        body, face = lines(result), result["faces"][0]
        if body:
            first = table(["picture", "compared with", "similarity", "decision", "taken as"], body)
            taken = f"{Path(face['picture']).name}: {face['taken']}, {face['quality']['note']}"
            return "\n".join([first, taken, *notes(result)])
        values = ", ".join(f"{v:.4f}" for v in face["embedding"][:6])
        taken = f"{face['taken']}, {face['quality']['note']}"
        size = len(face["embedding"])
        about = f"{face['picture']}: embedding of {size}: [{values}, ...] ({taken})"
        return "\n".join([about, *notes(result)])


def _judged(embeddings: Array, pairs: PairSet) -> Judged:
    found = judge(embeddings, pairs)
    scores = cosine(embeddings[pairs.pairs[0]], embeddings[pairs.pairs[1]])
    right = decided_rightly(scores, pairs.same, pairs.fold)
    fitted = thresholds(embeddings, pairs)
    impostors = len(impostor_scores(embeddings, pairs))
    return Judged(
        metrics=(
            Metric(key="accuracy", value=found.accuracy, items=right),
            *_strata(right, pairs),
            *_tar(dict(found.tar_all or found.tar), scores[pairs.same]),
        ),
        thresholds=fitted,
        unfitted={
            far_key(far): why for far in FARS if (why := refusal(far, impostors)) is not None
        },
        numbers={"auc": found.auc, "eer": found.eer},
    )


def _strata(right: Array, pairs: PairSet) -> list[Metric]:
    """Return the accuracy on each stratum that a column "stratum" of the list tells."""
    if STRATUM not in pairs.columns:
        return []
    return [
        Metric(key=f"accuracy, {name}", value=float(right[keep].mean()), items=right[keep])
        for name, keep in split(pairs, STRATUM).items()
    ]


def _tar(points: dict[str, Any], genuine: Array) -> list[Metric]:
    """Return TAR at the strictest FAR that the set can tell about, [] for none."""
    for far in sorted(points, key=lambda name: float(name.removeprefix("far_"))):
        point = points[far]
        if point["value"] is not None:
            accepted = genuine >= point["threshold"]
            value = float(point["value"])
            return [Metric(key="tar", value=value, items=accepted, facts={"far": far})]
    return []


PLUGIN: Task = FaceEmbedding()
