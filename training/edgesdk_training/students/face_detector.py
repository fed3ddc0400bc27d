"""`face-detector`: pictures of any size in, maps of faces with five points out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.tensors import Arrays, TensorSpec

if TYPE_CHECKING:
    from edgesdk.core.bundle import Checkpoint
    from edgesdk.core.protocols import Student

COARSEST = 32
STRIDES = (8, 16, COARSEST)
HEADS = {"score": 1, "box": 4, "points": 10}
# The score: some false finds in a hundred photos held out, seen once; see training/README.md.
SCORE, OVERLAP = 0.52, 0.3


@dataclass(frozen=True, slots=True)
class Config:
    """What varies between students of this kind.

    Attributes:
        size: Side in pixels of the square picture that fixed-size targets take.
    """

    size: int = 320

    def __post_init__(self) -> None:
        if not COARSEST <= self.size <= 1280 or self.size % COARSEST:
            raise UsageError(
                f"the student takes pictures of 32 to 1280 px, a multiple of {COARSEST}, found "
                f"size={self.size}"
            )


class FaceDetectorStudent:
    """The plug-in."""

    name = "face-detector"
    aliases = ()
    extra = "train"
    requires = ("torch", "safetensors")
    task = "face-detection"
    config = Config

    def build(self, config: Config) -> Any:
        """Return the torch module in training form."""
        from edgesdk_training.nets.face_detector import FaceDetector

        return FaceDetector()

    def folded(self, module: Any) -> Any:
        """Return a copy for export, BatchNorm folded, in eval mode."""
        from copy import deepcopy

        from edgesdk_training.nets.common import fold

        return fold(deepcopy(module))

    def load(self, checkpoint: Checkpoint) -> Any:
        """Return the folded module with the checkpoint's weights."""
        from edgesdk_training.checkpoint import load_weights

        module = self.folded(self.build(self.config(**checkpoint.student_config)))
        return load_weights(module, checkpoint)

    def example(self, config: Config) -> Arrays:
        """Return one valid batch of two."""
        shape = (2, 3, config.size, config.size)
        return {"image": np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)}

    def specs(self, config: Config) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Return the input and output tensors."""
        side = config.size
        image = TensorSpec("image", (None, 3, side, side), layout="NCHW", kind="image")
        return (image,), tuple(
            TensorSpec(f"{head}_{s}", (None, n, side // s, side // s), layout="NCHW")
            for s in STRIDES
            for head, n in HEADS.items()
        )

    def preprocess(self, config: Config) -> Mapping[str, Preprocess]:
        """Return the pre-processing by input name."""
        return {"image": Preprocess(size=(config.size, config.size))}

    def postprocess(self, config: Config) -> Mapping[str, Any]:
        """Return how the outputs are read, see `edgesdk.boxes.decode`."""
        return {"kind": "faces", "strides": list(STRIDES), "score": SCORE, "overlap": OVERLAP}

    def cost(self, config: Config) -> Mapping[str, int]:
        """Return parameters, multiply-accumulates and activation floats of one picture."""
        from edgesdk_training.cost import measure

        example = {k: v[:1] for k, v in self.example(config).items()}
        return measure(self.folded(self.build(config)), example)

    def model_name(self, config: Config) -> str:
        """Return the name of a bundle of this configuration."""
        return self.name + ("" if config.size == 320 else f"-{config.size}")


PLUGIN: Student = FaceDetectorStudent()
