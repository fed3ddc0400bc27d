"""`class-net`: a small classifier of small pictures, such as clients can train."""

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

SIZES = (8, 12, 16, 20, 24, 28, 32, 48, 64)
MOST = 4096


@dataclass(frozen=True, slots=True)
class Config:
    """What varies between students of this kind.

    Attributes:
        size: Side of the square pictures in pixels.
        classes: Number of classes.
        width: Maps of the first convolution; the second has twice as many.
        hidden: Number of features, which the head reads.
    """

    size: int = 32
    classes: int = 10
    width: int = 32
    hidden: int = 512

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            sizes = ", ".join(map(str, SIZES))
            raise UsageError(f"the student takes pictures of {sizes} px, found size={self.size}")
        for name, least in (("classes", 2), ("width", 1), ("hidden", 1)):
            if not least <= getattr(self, name) <= MOST:
                found = getattr(self, name)
                raise UsageError(f"{name} must be from {least} to {MOST}, found {found}")


class ClassNetStudent:
    """The plug-in."""

    name = "class-net"
    aliases = ()
    extra = "train"
    requires = ("torch", "safetensors")
    task = "image-classification"
    config = Config
    sizes = SIZES

    def build(self, config: Config) -> Any:
        """Return the torch module in training form."""
        from edgesdk_training.nets.class_net import ClassNet

        return ClassNet(config.size, config.classes, config.width, config.hidden)

    def folded(self, module: Any) -> Any:
        """Return a copy for export in eval mode; there is no BatchNorm to fold."""
        from copy import deepcopy

        return deepcopy(module).eval().requires_grad_(False)

    def load(self, checkpoint: Checkpoint) -> Any:
        """Return the network with the checkpoint's weights."""
        from edgesdk_training.checkpoint import load_weights

        return load_weights(self.folded(self.build(checkpoint.config(self))), checkpoint)

    def example(self, config: Config) -> Arrays:
        """Return one valid batch of two."""
        shape = (2, 3, config.size, config.size)
        return {"image": np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)}

    def specs(self, config: Config) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Return the input and output tensors."""
        shape = (None, 3, config.size, config.size)
        image = TensorSpec("image", shape, layout="NCHW", kind="image")
        return (image,), (TensorSpec("scores", (None, config.classes), layout="NC"),)

    def preprocess(self, config: Config) -> Mapping[str, Preprocess]:
        """Return the pre-processing by input name."""
        return {"image": Preprocess(size=(config.size, config.size))}

    def postprocess(self, config: Config) -> Mapping[str, Any]:
        """Return how the output is read: the class of the largest score."""
        return {"kind": "classes"}

    def cost(self, config: Config) -> Mapping[str, int]:
        """Return parameters, multiply-accumulates and activation floats of one picture."""
        from edgesdk_training.cost import measure

        example = {k: v[:1] for k, v in self.example(config).items()}
        return measure(self.folded(self.build(config)), example)

    def model_name(self, config: Config) -> str:
        """Return the name of a bundle of this configuration."""
        return self.name if config.size == 32 else f"{self.name}-{config.size}"


PLUGIN: Student = ClassNetStudent()
