"""The two forms of `item-detector`: the whole network, and the head for encoders of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgesdk.core.preprocess import Preprocess
from edgesdk.core.tensors import Arrays, TensorSpec

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
LOGIT = TensorSpec("logit", (None, 1), layout="NC")


class Head:
    """Embeddings of foreign encoders in."""

    def build(self, config: Any) -> Any:
        from edgesdk_training.nets.item_head import ItemHead

        return ItemHead(config.head, config.width, config.objects)

    def example(self, config: Any) -> Arrays:
        shape = (2, 2 + 2 * config.objects, config.width)
        drawn = np.random.default_rng(0).normal(size=shape)
        lengths = np.linalg.norm(drawn, axis=-1, keepdims=True)
        return {"features": (drawn / lengths).astype(np.float32)}

    def specs(self, config: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        end = (3 / config.width) ** 0.5  # values drawn up to it make vectors of about length 1
        shape = (None, 2 + 2 * config.objects, config.width)
        return (TensorSpec("features", shape, kind="features", range=(-end, end)),), (LOGIT,)

    def preprocess(self, config: Any) -> Mapping[str, Preprocess]:
        return {}

    def cost(self, config: Any) -> Mapping[str, int]:
        module = self.build(config)
        layers = [p for p in module.parameters() if p.ndim > 1]
        distances = config.width * (1 + config.objects)
        return {
            "parameters": sum(p.numel() for p in module.parameters()),
            "macs": sum(p.numel() for p in layers) + distances,
            "activation_floats": sum(p.shape[0] for p in layers),
        }

    def name(self, config: Any) -> str:
        head = "" if config.head == "sum" else f"-{config.head}"
        return head + ("" if config.width == 128 else f"-{config.width}")


class Whole:
    """A picture and the tokens of its caption in."""

    def build(self, config: Any) -> Any:
        from edgesdk_training.nets.item_net import ItemNet

        return ItemNet(
            config.head, config.blocks, config.window, config.vocabulary, config.table,
            config.width, config.objects,
        )  # fmt: skip

    def example(self, config: Any) -> Arrays:
        random = np.random.default_rng(0)
        image = random.normal(size=(2, 3, config.size, config.size)).astype(np.float32)
        shape = (2, 1 + config.objects, config.length)
        tokens = random.integers(0, config.vocabulary, shape, np.int32)
        tokens[:, -1] = 0
        return {"image": image, "tokens": tokens}

    def specs(self, config: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        image = TensorSpec(
            "image", (None, 3, config.size, config.size), layout="NCHW", kind="image"
        )
        tokens = TensorSpec(
            "tokens", (None, 1 + config.objects, config.length), dtype="int32", kind="tokens",
            range=(0, config.vocabulary - 1),
        )  # fmt: skip
        distances = TensorSpec("distances", (None, 1 + config.objects), layout="NC")
        return (image, tokens), (LOGIT, distances)

    def preprocess(self, config: Any) -> Mapping[str, Preprocess]:
        return {"image": Preprocess((config.size, config.size), mean=MEAN, std=STD)}

    def cost(self, config: Any) -> Mapping[str, int]:
        from edgesdk_training.cost import measure

        example = {name: array[:1] for name, array in self.example(config).items()}
        return dict(measure(self.build(config).eval().folded(), example))

    def name(self, config: Any) -> str:
        return "" if config.head == "concat" else f"-{config.head}"


FORMS: dict[str, Any] = {"head": Head(), "whole": Whole()}
