"""What the face pipeline gives: a face cut out, a face embedded, two faces compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgesdk.core.tensors import Array
from edgesdk.quality import Quality

if TYPE_CHECKING:
    from edgesdk.detect import Detection

Picture = Array | Path | str


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """One face of a picture, cut out.

    Attributes:
        detection: Where it is; None for a picture that was an aligned crop.
        crop: Aligned face, [S, S, 3] uint8 RGB.
        taken: What the picture was taken for, and why.
        quality: How much of the face there is to see.
        unsure: Why a comparison with it would be a guess; "" where it is none.
    """

    detection: Detection | None
    crop: Array
    taken: str
    quality: Quality
    unsure: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face of a picture.

    Attributes:
        detection: Where it is; None for a picture that was an aligned crop.
        crop: Aligned face, [S, S, 3] uint8 RGB.
        embedding: float32 [D], unit length.
        taken: What the picture was taken for, and why.
        quality: How much of the face there is to see.
        unsure: Why a comparison with it would be a guess; "" where it is none.
    """

    detection: Detection | None
    crop: Array
    embedding: Array
    taken: str = ""
    quality: Quality | None = None
    unsure: str = ""

    @classmethod
    def of(cls, cut: Cut, embedding: Array) -> Face:
        """Join a face that was cut out and its embedding."""
        return cls(cut.detection, cut.crop, embedding, cut.taken, cut.quality, cut.unsure)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether two faces show one person.

    Attributes:
        similarity: Cosine of the embeddings, -1..1.
        same: The decision; None where the bundle stores no threshold for `far`, or a face shows
            too little to tell.
        threshold: Pairs at or above it count as the same person.
        far: False accept rate that the threshold was fitted for.
        reason: Sentence on where the decision comes from, or why there is none.
    """

    similarity: float
    same: bool | None
    threshold: float | None
    far: float
    reason: str

    @property
    def decision(self) -> str:
        """The decision in words."""
        return {True: "same person", False: "different people", None: "undecided"}[self.same]
