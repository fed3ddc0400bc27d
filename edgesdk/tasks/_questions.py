"""What models are asked of pictures when their decisions are to be explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.biometrics import unit
from edgesdk.core.errors import UsageError
from edgesdk.core.notes import note
from edgesdk.core.question import Ask, Question, no_larger
from edgesdk.core.task import ModelInfo, info_of
from edgesdk.core.tensors import Array
from edgesdk.face import FacePipeline
from edgesdk.generated import probability, told
from edgesdk.images import read_image
from edgesdk.tasks._classes import picture_files
from edgesdk.tasks._detectors import beside, detector_of

if TYPE_CHECKING:
    from edgesdk.core.session import Session

# Similarity by which a pair must lie beyond the threshold for odds of e to 1.
SOFTNESS = 0.05
ASKED = 2  # crops along each side of the part that is asked about
SAME = ("same person", "different people")


def of_faces(session: Session, files: Sequence[Path]) -> list[Question]:
    """Ask of each face whether it shows the first one's person; of the first, the second's.

    Raises:
        UsageError: there is one picture alone, one shows no face, or the bundle stores no
            threshold.
    """
    paths = picture_files(files)
    if len(paths) < 2:
        raise UsageError(
            f"{session.bundle.name} decides whether two pictures show one person; give two "
            f"pictures, found {len(paths)}"
        )
    pipeline = FacePipeline(session.bundle, session=session)
    crops = [pipeline.cut(path).crop for path in paths]
    rows = pipeline.embed(crops)
    found = pipeline.decide(rows[0], rows[1])
    if found.threshold is None:
        raise UsageError(found.reason)
    others = [1, *[0] * (len(paths) - 1)]
    return [
        Question(
            name=str(path),
            picture=crop,
            answers=SAME,
            ask=_same_as(pipeline, rows[other], found.threshold),
            kind="faces",
            about=f"compared with {paths[other].name}, which stays as it is",
        )
        for path, crop, other in zip(paths, crops, others, strict=True)
    ]


def _same_as(pipeline: FacePipeline, other: Array, threshold: float) -> Ask:
    def ask(pictures: Sequence[Array]) -> Array:
        beyond = (unit(pipeline.embed(pictures)) @ other - threshold) / SOFTNESS
        same = probability(beyond)
        return np.stack([same, 1 - same], 1)

    return ask


def of_generated(session: Session, files: Sequence[Path]) -> list[Question]:
    """Ask of each picture whether it was generated, with its caption where the model reads one.

    Of a picture that is seen by crops the part that tells most is asked about. What `run` skips
    or gives no verdict for what hinders one is left out, and a note tells why.

    Raises:
        UsageError: no picture is left.
    """
    info = info_of(session.bundle)
    detector = detector_of(info)
    said = detector.captions(None, beside(files))
    found, left = [], []
    for path in picture_files(files):
        try:
            found.append(_generated(session, info, detector, path, said.of(path)))
        except UsageError as error:
            left.append(str(error) if path.name in str(error) else f"{path}: {error}")
            note(f"left out {left[-1]}")
    if not found:
        raise UsageError(
            f"no picture gets a verdict that could be explained ({left[0]}); give others"
        )
    return found


def _image(info: ModelInfo) -> str:
    return next(spec.name for spec in info.inputs if spec.name in info.preprocess)


def _generated(
    session: Session, info: ModelInfo, detector: Any, path: Path, sentences: Sequence[str]
) -> Question:
    picture = read_image(path)
    seen = detector.look(session.run, picture, sentences)
    if seen["note"]:
        raise UsageError(seen["note"])
    chance, verdict = told(seen["logit"], "", info.thresholds)
    about = f"verdict on the whole picture: {verdict}, probability {chance:.3f}"
    if "map" in seen:
        picture, where = telling(picture, seen)
        about += f"; explained are {where}"
    else:
        picture = no_larger(picture, info.preprocess[_image(info)].size)

    def ask(pictures: Sequence[Array]) -> Array:
        chances = probability(detector.logits(session.run, pictures, sentences))
        return np.stack([chances, 1 - chances], 1)

    return Question(
        name=str(path), picture=picture, answers=("generated", "real"), ask=ask, about=about
    )


def telling(picture: Array, seen: Mapping[str, Any]) -> tuple[Array, str]:
    """Return the square of ASKED crops a side around the crop that decides most, and where it is.

    Args:
        picture: HxWx3 uint8, no smaller than a crop.
        seen: "map" [((top, left), logit)], "side" of the crops and the pooled "logit".
    """
    side, sign = seen["side"], 1 if seen["logit"] >= 0 else -1
    most, _ = max(seen["map"], key=lambda row: sign * row[1])
    top, left = (
        int(np.clip(at - (ASKED - 1) * side // 2, 0, max(0, length - ASKED * side)))
        for at, length in zip(most, picture.shape[:2], strict=True)
    )
    part = picture[top : top + ASKED * side, left : left + ASKED * side]
    height, width = part.shape[:2]
    return part, f"the {width}x{height} pixels at {left}, {top}, which tell most"
