"""`item-detector`: embeddings of a picture, its caption, objects and words in, a logit out."""

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

HEADS = ("sum", "concat", "global", "picture")


@dataclass(frozen=True, slots=True)
class Config:
    """What varies between students of this kind.

    Attributes:
        width: Length of the embeddings, as the encoders give them.
        objects: Places for objects of one picture.
        head: sum (global and mean local distance), concat (global, mean and largest local),
            global (the caption alone) or picture (no text: the baseline).
    """

    width: int = 128
    objects: int = 4
    head: str = "sum"

    def __post_init__(self) -> None:
        if self.width < 1 or self.objects < 1:
            raise UsageError(
                f"width and objects are 1 or more, found {self.width} and {self.objects}"
            )
        if self.head not in HEADS:
            raise UsageError(f"there is no head {self.head!r}. {did_you_mean(self.head, HEADS)}")


class ItemDetectorStudent:
    """The plug-in."""

    name = "item-detector"
    aliases = ()
    extra = "train"
    requires = ("torch", "safetensors")
    task = "generated-image-detection"
    config = Config

    def build(self, config: Config) -> Any:
        """Return the torch module in training form."""
        from edgesdk_training.nets.item_head import ItemHead

        return ItemHead(config.head, config.width, config.objects)

    def folded(self, module: Any) -> Any:
        """Return a copy for export, in eval mode."""
        from copy import deepcopy

        return deepcopy(module).eval().requires_grad_(False)

    def load(self, checkpoint: Checkpoint) -> Any:
        """Return the folded module with the checkpoint's weights."""
        from edgesdk_training.checkpoint import load_weights

        module = self.folded(self.build(self.config(**checkpoint.student_config)))
        return load_weights(module, checkpoint)

    def example(self, config: Config) -> Arrays:
        """Return one valid batch of two."""
        shape = (2, 2 + 2 * config.objects, config.width)
        drawn = np.random.default_rng(0).normal(size=shape)
        lengths = np.linalg.norm(drawn, axis=-1, keepdims=True)
        return {"features": (drawn / lengths).astype(np.float32)}

    def specs(self, config: Config) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Return the input and output tensors."""
        end = (3 / config.width) ** 0.5  # values drawn up to it make vectors of about length 1
        shape = (None, 2 + 2 * config.objects, config.width)
        features = TensorSpec("features", shape, kind="features", range=(-end, end))
        return (features,), (TensorSpec("logit", (None, 1), layout="NC"),)

    def preprocess(self, config: Config) -> Mapping[str, Preprocess]:
        """Return nothing: encoders, not pictures, feed it."""
        return {}

    def postprocess(self, config: Config) -> Mapping[str, Any]:
        """Return how the output is read: the sigmoid."""
        return {"kind": "probability", "of": "generated", "prevalence": 0.5}

    def cost(self, config: Config) -> Mapping[str, int]:
        """Return parameters, multiply-accumulates and activation floats of one picture."""
        module = self.build(config)
        layers = [p for p in module.parameters() if p.ndim > 1]
        distances = config.width * (1 + config.objects)
        return {
            "parameters": sum(p.numel() for p in module.parameters()),
            "macs": sum(p.numel() for p in layers) + distances,
            "activation_floats": sum(p.shape[0] for p in layers),
        }

    def model_name(self, config: Config) -> str:
        """Return the name of a bundle of this configuration."""
        head = "" if config.head == "sum" else f"-{config.head}"
        return f"{self.name}{head}" + ("" if config.width == 128 else f"-{config.width}")


PLUGIN: Student = ItemDetectorStudent()
