"""`tracker`: one frame's crop, the memory of a target and a sentence in, scores and boxes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.tensors import Arrays, TensorSpec
from edgesdk.words import sentence_features

if TYPE_CHECKING:
    from edgesdk.core.bundle import Checkpoint
    from edgesdk.core.protocols import Student

FORMS = ("light", "faithful")
CHANNELS = 48


@dataclass(frozen=True, slots=True)
class Config:
    """What varies between students of this kind.

    Attributes:
        form: light (stride 16, a correlation head that the words correct) or faithful (stride 8,
            two streams, 400 visual and 40 language tokens and [OBJ]).
        size: Side of the square crop in pixels.
        words: Places for words of the sentence.
        dims: Length of a word's hashed vector.
        width: Of all tokens.
        layers: Transformer layers of the fusion.
        memory: Cells of the memory along a side, 0 for half of the crop's: what the crop holds
            beyond them is searched.
        hears: Width of the map that tells where the crop looks like what is said, 0 for none;
            of the light form.
    """

    form: str = "light"
    size: int = 256
    words: int = 16
    dims: int = 64
    width: int = 64
    layers: int = 1
    memory: int = 0
    hears: int = 0

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise UsageError(f"there is no form {self.form!r}. {did_you_mean(self.form, FORMS)}")
        if self.size % 32 or not 64 <= self.size <= 512:
            raise UsageError(
                f"the crop is a multiple of 32 px from 64 to 512, found size={self.size}"
            )
        if self.width % 4 or min(self.words, self.dims, self.width, self.layers) < 1:
            raise UsageError(f"words, dims and layers are 1 or more, width goes by 4, found {self}")

        if self.hears and self.form != "light":
            raise UsageError("the word map belongs to the light form; leave hears out")
        if not 0 <= self.memory <= self.whole or (self.whole - self.held) % 2:
            raise UsageError(
                f"the memory is the middle of the crop's {self.whole} cells, found {self.memory}"
            )

    @classmethod
    def faithful(cls) -> Config:
        """Return the published layout: 400 visual and 40 language tokens and [OBJ]."""
        return cls("faithful", size=192, words=40, width=128, layers=2)

    @property
    def stride(self) -> int:
        """Pixels of the crop from cell to cell."""
        return 16 if self.form == "light" else 8

    @property
    def whole(self) -> int:
        """Cells of the features along a side."""
        return self.size // self.stride

    @property
    def held(self) -> int:
        """Cells of the memory along a side."""
        return self.memory or self.whole // 2

    @property
    def cells(self) -> int:
        """Cells of the answer along a side; the faithful form loses two on each side."""
        return self.whole - (0 if self.form == "light" else 4)


class TrackerStudent:
    """The plug-in."""

    name = "tracker"
    aliases = ()
    extra = "train"
    requires = ("torch", "safetensors")
    task = "tracking"
    config = Config

    def build(self, config: Config) -> Any:
        """Return the torch module in training form."""
        from edgesdk_training.nets import tracker

        sizes = (
            config.size, config.words, config.dims, config.width, config.layers, config.held
        )  # fmt: skip
        if config.form == "light":
            return tracker.LightTracker(*sizes, config.hears)
        return tracker.FaithfulTracker(*sizes)

    def folded(self, module: Any) -> Any:
        """Return a copy for export, in eval mode; there is nothing to fold."""
        from copy import deepcopy

        return deepcopy(module).eval().requires_grad_(False)

    def load(self, checkpoint: Checkpoint) -> Any:
        """Return the module with the checkpoint's weights."""
        from edgesdk_training.checkpoint import load_weights

        module = self.folded(self.build(self.config(**checkpoint.student_config)))
        return load_weights(module, checkpoint)

    def example(self, config: Config) -> Arrays:
        """Return one valid batch of two."""
        rng = np.random.default_rng(0)
        held = config.held
        text = sentence_features("the red car", config.words, config.dims)
        return {
            "image": rng.uniform(0, 255, (2, 3, config.size, config.size)).astype(np.float32),
            "memory": rng.uniform(-1, 1, (2, CHANNELS, held, held)).astype(np.float32),
            "text": np.stack([text, text]),
        }

    def specs(self, config: Config) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Return the input and output tensors."""
        whole, held, cells = config.whole, config.held, config.cells
        inputs = (
            TensorSpec("image", (None, 3, config.size, config.size), layout="NCHW", kind="image"),
            TensorSpec("memory", (None, CHANNELS, held, held), layout="NCHW", kind="features",
                       range=(-1, 1)),
            TensorSpec("text", (None, config.words, config.dims), kind="features", range=(-1, 1)),
        )  # fmt: skip
        outputs = (
            TensorSpec("score", (None, 1, cells, cells), layout="NCHW"),
            TensorSpec("box", (None, 4, cells, cells), layout="NCHW"),
            TensorSpec("features", (None, CHANNELS, whole, whole), layout="NCHW", kind="features"),
        )
        return inputs, outputs

    def preprocess(self, config: Config) -> Mapping[str, Preprocess]:
        """Return the pre-processing of the crop: raw RGB."""
        size = (config.size, config.size)
        return {"image": Preprocess(size, mean=(0.0,) * 3, std=(1.0,) * 3)}

    def postprocess(self, config: Config) -> Mapping[str, Any]:
        """Return how the outputs are read; the policy of the tracker lies beside."""
        return {"kind": "tracking", "stride": config.stride}

    def cost(self, config: Config) -> Mapping[str, int]:
        """Return parameters, multiply-accumulates and activation floats of one frame."""
        from edgesdk_training.cost import measure

        example = {k: v[:1] for k, v in self.example(config).items()}
        return dict(measure(self.folded(self.build(config)), example))

    def model_name(self, config: Config) -> str:
        """Return the name of a bundle of this configuration."""
        form = "" if config.form == "light" else f"-{config.form}"
        usual = Config().size if config.form == "light" else Config.faithful().size
        return f"{self.name}{form}" + ("" if config.size == usual else f"-{config.size}")


PLUGIN: Student = TrackerStudent()
