"""`f2c-detector`: crops of a picture's own pixels in, the logit of "generated" out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.tensors import Arrays, TensorSpec

if TYPE_CHECKING:
    from edgesdk.core.bundle import Checkpoint
    from edgesdk.core.protocols import Student

CLUES = ("f2c", "high-pass", "top-band", "npr", "raw")
SIZES = (32, 64, 96, 128, 224, 256)


@dataclass(frozen=True, slots=True)
class Config:
    """What varies between students of this kind.

    Attributes:
        size: Side of the square crop in pixels.
        clue: What the classifier is shown: f2c (the spectrum, weighed), high-pass (its plain
            rival), top-band (above 0.25 cycles per pixel), npr (differences of neighbours) or raw.
    """

    size: int = 64
    clue: str = "f2c"

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            sizes = ", ".join(map(str, SIZES))
            raise UsageError(f"the student takes crops of {sizes} px, found size={self.size}")
        if self.clue not in CLUES:
            raise UsageError(f"there is no clue {self.clue!r}. {did_you_mean(self.clue, CLUES)}")


class F2cDetectorStudent:
    """The plug-in."""

    name = "f2c-detector"
    aliases = ()
    extra = "train"
    requires = ("torch", "safetensors")
    task = "generated-image-detection"
    config = Config

    def build(self, config: Config) -> Any:
        """Return the torch module in training form."""
        from edgesdk_training.nets.clue_net import ClueNet

        return ClueNet(config.clue, config.size)

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
        shape = (None, 3, config.size, config.size)
        image = TensorSpec("image", shape, layout="NCHW", kind="image")
        return (image,), (TensorSpec("logit", (None, 1), layout="NC", kind="logits"),)

    def preprocess(self, config: Config) -> Mapping[str, Preprocess]:
        """Return the pre-processing by input name."""
        return {"image": Preprocess(size=(config.size, config.size))}

    def postprocess(self, config: Config) -> Mapping[str, Any]:
        """Return how the output is read: the mean logit of all crops, then the sigmoid."""
        return {"kind": "probability", "of": "generated", "pool": "mean", "prevalence": 0.5}

    def cost(self, config: Config) -> Mapping[str, int]:
        """Return parameters, multiply-accumulates and activation floats of one crop.

        The products of the filter are counted too: four of size^3 for each colour.
        """
        from edgesdk_training.cost import measure

        example = {k: v[:1] for k, v in self.example(config).items()}
        found = dict(measure(self.folded(self.build(config)), example))
        if config.clue in ("f2c", "high-pass", "top-band"):
            found["macs"] += 3 * 4 * config.size**3
        return found

    def model_name(self, config: Config) -> str:
        """Return the name of a bundle of this configuration."""
        clue = "" if config.clue == "f2c" else f"-{config.clue}"
        return f"{self.name}{clue}" + ("" if config.size == 64 else f"-{config.size}")


PLUGIN: Student = F2cDetectorStudent()
