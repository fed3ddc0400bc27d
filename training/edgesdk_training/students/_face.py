"""What students of aligned faces share, whatever varies between their configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.preprocess import Align, Preprocess
from edgesdk.core.tensors import Arrays, TensorSpec

if TYPE_CHECKING:
    from edgesdk.core.bundle import Checkpoint

EMBEDDING = 128


class FaceStudent:
    """All of a student but its name, its configuration with a `size`, and `build`."""

    aliases = ()
    extra = "train"
    requires = ("torch", "safetensors")
    task = "face-embedding"
    config: type

    def build(self, config: Any) -> Any:
        """Return the torch module in training form."""
        raise NotImplementedError

    def folded(self, module: Any) -> Any:
        """Return a copy for export, BatchNorm folded, in eval mode."""
        from copy import deepcopy

        from edgesdk_training.nets.common import fold

        return fold(deepcopy(module))

    def load(self, checkpoint: Checkpoint) -> Any:
        """Return the folded module with the checkpoint's weights."""
        from edgesdk_training.checkpoint import load_weights

        module = self.folded(self.build(checkpoint.config(self)))
        return load_weights(module, checkpoint)

    def example(self, config: Any) -> Arrays:
        """Return one valid batch of two."""
        shape = (2, 3, config.size, config.size)
        return {"image": np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)}

    def specs(self, config: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Return the input and output tensors."""
        shape = (None, 3, config.size, config.size)
        image = TensorSpec("image", shape, layout="NCHW", kind="image")
        return (image,), (
            TensorSpec("embedding", (None, EMBEDDING), layout="NC", kind="embedding"),
        )

    def preprocess(self, config: Any) -> Mapping[str, Preprocess]:
        """Return the pre-processing by input name."""
        return {"image": Preprocess(size=(config.size, config.size), align=Align())}

    def postprocess(self, config: Any) -> Mapping[str, Any]:
        """Return how the output is read."""
        return {"kind": "embedding", "dim": EMBEDDING, "normalised": True, "metric": "cosine"}

    def cost(self, config: Any) -> Mapping[str, int]:
        """Return parameters, multiply-accumulates and activation floats of one face.

        Activation floats count the maps of all convolutions and the mimic vector, which is
        the counting that gives the published 0.057 MB (57.0 KiB) at 16 px.
        """
        from edgesdk_training.cost import measure

        example = {k: v[:1] for k, v in self.example(config).items()}
        return measure(self.folded(self.build(config)), example)
