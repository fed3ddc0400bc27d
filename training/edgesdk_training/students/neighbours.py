"""`neighbours`: a picture and noise in, a picture beside it out; what explanations ask about."""

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

SIZES = (32, 64)


@dataclass(frozen=True, slots=True)
class Config:
    """What varies between students of this kind.

    Attributes:
        kind: Kind of pictures it draws, such as faces; a part of the model's name.
        size: Side of the square pictures in pixels.
        latent: Numbers of a code.
    """

    kind: str = "faces"
    size: int = 32
    latent: int = 64

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            sizes = ", ".join(map(str, SIZES))
            raise UsageError(f"the student draws pictures of {sizes} px, found size={self.size}")
        if not self.kind.isidentifier():
            raise UsageError(f"kind is one word, such as faces, found {self.kind!r}")
        if not 1 <= self.latent <= 4096:
            raise UsageError(f"latent must be from 1 to 4096, found {self.latent}")


class NeighboursStudent:
    """The plug-in."""

    name = "neighbours"
    aliases = ()
    extra = "train"
    requires = ("torch", "safetensors")
    task = "picture-neighbours"
    config = Config

    def build(self, config: Config) -> Any:
        """Return the torch module in training form."""
        from edgesdk_training.nets.neighbour_vae import NeighbourVae

        return NeighbourVae(config.size, config.latent)

    def folded(self, module: Any) -> Any:
        """Return a copy for export, BatchNorm folded, without what only training asks."""
        from copy import deepcopy

        from edgesdk_training.nets.common import fold

        copy = deepcopy(module)
        copy.spread = None
        return fold(copy)

    def load(self, checkpoint: Checkpoint) -> Any:
        """Return the folded module with the checkpoint's weights."""
        from edgesdk_training.checkpoint import load_weights

        module = self.folded(self.build(self.config(**checkpoint.student_config)))
        return load_weights(module, checkpoint)

    def example(self, config: Config) -> Arrays:
        """Return one valid batch of two."""
        random, shape = np.random.default_rng(0), (2, 3, config.size, config.size)
        return {
            "image": random.uniform(-1, 1, shape).astype(np.float32),
            "noise": random.standard_normal((2, config.latent)).astype(np.float32),
        }

    def specs(self, config: Config) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Return the input and output tensors."""
        shape = (None, 3, config.size, config.size)
        inputs = (
            TensorSpec("image", shape, layout="NCHW", kind="image"),
            TensorSpec("noise", (None, config.latent), layout="NC", kind="features"),
        )
        outputs = (
            TensorSpec("picture", shape, layout="NCHW", kind="image"),
            TensorSpec("code", (None, config.latent), layout="NC", kind="features"),
        )
        return inputs, outputs

    def preprocess(self, config: Config) -> Mapping[str, Preprocess]:
        """Return the pre-processing by input name."""
        return {"image": Preprocess(size=(config.size, config.size))}

    def postprocess(self, config: Config) -> Mapping[str, Any]:
        """Return how the output is read: the picture is 127.5 + 127.5 times it."""
        return {"kind": "picture", "of": config.kind, "mean": 127.5, "std": 127.5}

    def cost(self, config: Config) -> Mapping[str, int]:
        """Return parameters, multiply-accumulates and activation floats of one picture."""
        from edgesdk_training.cost import measure

        example = {k: v[:1] for k, v in self.example(config).items()}
        return dict(measure(self.folded(self.build(config)), example))

    def model_name(self, config: Config) -> str:
        """Return the name of a bundle of this configuration."""
        return f"{self.name}-{config.kind}" + ("" if config.size == 32 else f"-{config.size}")


PLUGIN: Student = NeighboursStudent()
