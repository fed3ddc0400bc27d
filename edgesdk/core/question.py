"""What a model is asked about a picture, so that its answer can be explained from outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.errors import UnsupportedError
from edgesdk.core.preprocess import resize
from edgesdk.core.tensors import Array

if TYPE_CHECKING:
    from edgesdk.core.session import Session

Ask = Callable[[Sequence[Array]], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One picture and a black box that answers of any picture in its place.

    Attributes:
        name: What the picture is called, such as its file.
        picture: HxWx3 uint8 RGB; explanations vary it.
        answers: Words for the K answers there are, such as ("same person", "different people").
        ask: HxWx3 uint8 pictures of the same size -> [N, K], the share of each answer, 0..1; the
            largest is the decision.
        kind: Kind of pictures, such as "faces": whose neighbours are drawn.
        about: Sentence on what is held fixed, "" for nothing.
    """

    name: str
    picture: Array
    answers: tuple[str, ...]
    ask: Ask
    kind: str = "pictures"
    about: str = ""


def questions_of(task: Any, session: Session, files: Sequence[Path]) -> list[Question]:
    """Return what an open bundle decides about pictures, as its task tells.

    Raises:
        UnsupportedError: the task tells of no decision.
        UsageError: a picture cannot be read, or there are too few of them.
    """
    ask = getattr(task, "questions", None)
    if ask is None:
        raise UnsupportedError(
            f"{session.bundle.name} is for {session.bundle.task!r}, which tells of no class and "
            "no decision that could be explained; a task does by a method `questions`"
        )
    found: list[Question] = ask(session, files)
    return found


def no_larger(picture: Array, size: Sequence[int]) -> Array:
    """Return a picture whose sides are not far above (height, width), which is all a model sees.

    It keeps its proportions; both sides stay at least as long as asked.
    """
    scale = max(new / old for new, old in zip(size, picture.shape[:2], strict=True))
    if scale >= 1:
        return picture
    height, width = (round(old * scale) for old in picture.shape[:2])
    return np.asarray(resize(picture, (height, width)).round(), np.uint8)
