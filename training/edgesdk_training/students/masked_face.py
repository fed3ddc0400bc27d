"""`masked-face`: finds and completes what a mask hides, then recognises; one graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.tensors import Arrays, TensorSpec
from edgesdk_training.students._face import EMBEDDING, FaceStudent

if TYPE_CHECKING:
    from edgesdk.core.protocols import Student

SIZES = (32, 64, 112)
KINDS = ("", "masked", "bare")
MOBILE_SIZE, MOBILE_EMBEDDING = 112, 192


@dataclass(frozen=True, slots=True)
class Config:
    """What varies between students of this kind.

    Attributes:
        size: Side of the square input in pixels; above 64 px it is halved first.
        complete: Whether the hidden part is found and completed before the face is recognised.
        given: Whether the mask is a second input instead of found in the picture.
        views: Whether the mask and the completed picture are outputs beside the embedding.
        deep: Whether the recogniser has a deeper branch beside the trunk of bridge-face-plus.
        aside: Whether the completion is only shown: the recogniser reads the face as it came.
        mobile: Whether the recogniser is a MobileFaceNet, which reads all of 112 px and begins
            with weights of others (`tools/mobile_face.py`).
        gated: Which faces the MobileFaceNet corrects by small layers of their own: "masked", "bare"
            or "" for none.
        mirrored: Whether the face is recognised twice, as it came and mirrored, and the mean of
            both is the embedding: a little surer, and twice the recogniser's time.
    """

    size: int = 112
    complete: bool = True
    given: bool = False
    views: bool = True
    deep: bool = True
    aside: bool = False
    mobile: bool = False
    gated: str = ""
    mirrored: bool = False

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            sizes = ", ".join(map(str, SIZES))
            raise UsageError(f"the student takes faces of {sizes} px, found size={self.size}")
        if self.given and not self.complete:
            raise UsageError("given=true hands a mask to the completion; leave complete at true")
        if self.mobile and self.size != MOBILE_SIZE:
            raise UsageError(
                f"mobile=true reads faces of {MOBILE_SIZE} px, found size={self.size}; leave it out"
            )
        if self.gated not in KINDS:
            raise UsageError(f'gated is "masked", "bare" or left out, found {self.gated}')
        if self.gated and not (self.mobile and self.complete and self.aside):
            raise UsageError(
                f"gated={self.gated} corrects a MobileFaceNet by the mask found; "
                "set mobile=true, aside=true and leave complete at true"
            )


def width(config: Config) -> int:
    """Return the length of the embedding."""
    return MOBILE_EMBEDDING if config.mobile else EMBEDDING


class MaskedFaceStudent(FaceStudent):
    """The plug-in: a face embedding like `bridge-face`, with more to show."""

    name = "masked-face"
    config = Config

    def build(self, config: Config) -> Any:
        """Return the torch module in training form."""
        from edgesdk_training.nets.masked_face import MaskedFace

        return MaskedFace(
            config.size,
            config.complete,
            config.given,
            config.views,
            config.deep,
            config.aside,
            config.mobile,
            config.gated,
            config.mirrored,
        )

    def example(self, config: Config) -> Arrays:
        """Return one valid batch of two."""
        generator, side = np.random.default_rng(0), config.size
        found = {"image": generator.uniform(-1, 1, (2, 3, side, side)).astype(np.float32)}
        if config.given:
            found["mask"] = generator.uniform(0, 1, (2, 1, side, side)).astype(np.float32)
        return found

    def specs(self, config: Config) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Return the input and output tensors."""
        (image,), _ = super().specs(config)
        embedding = TensorSpec("embedding", (None, width(config)), layout="NC", kind="embedding")
        mask = TensorSpec("mask", (None, 1, config.size, config.size), layout="NCHW", kind="mask")
        inputs = (image, mask) if config.given else (image,)
        if not (config.complete and config.views):
            return inputs, (embedding,)
        found = TensorSpec("mask", mask.shape, layout="NCHW", kind="mask")
        whole = TensorSpec("completed", image.shape, layout="NCHW", kind="image")
        # One graph has no two tensors of a name: a mask that is given is not given back.
        return inputs, (embedding, whole) if config.given else (embedding, found, whole)

    def preprocess(self, config: Config) -> Mapping[str, Preprocess]:
        """Return the pre-processing by input name; a mask in 0..1 is given as it is."""
        return {"image": super().preprocess(config)["image"]}

    def postprocess(self, config: Config) -> Mapping[str, Any]:
        """Return how the embedding is read."""
        return {**super().postprocess(config), "dim": width(config)}

    def model_name(self, config: Config) -> str:
        """Return the name of a bundle of this configuration."""
        marks = [
            "" if config.size == 112 else str(config.size),
            "" if config.complete else "mobile-plain" if config.mobile else "plain",
            "given" if config.given else "",
        ]
        return "-".join(filter(None, [self.name, *marks]))


PLUGIN: Student = MaskedFaceStudent()
