"""`item-detector`: does a picture show what its caption says? A logit of "generated" out.

Its form `whole` takes a picture and tokens; `head` takes embeddings that foreign encoders give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.tensors import Arrays, TensorSpec
from edgesdk_training.students._item_forms import FORMS

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
        form: head (embeddings in) or whole (picture and tokens in); what follows is for that.
        size: Side of the picture in pixels.
        blocks: Blocks of MobileNetV2 that are kept, 15 to 18.
        window: Side of an object's window, in places of the last map.
        vocabulary: Pieces of words.
        table: Length of a piece's vector.
        length: Tokens of a caption.
    """

    width: int = 128
    objects: int = 4
    head: str = "sum"
    form: str = "head"
    size: int = 160
    blocks: int = 17
    window: int = 3
    vocabulary: int = 4500
    table: int = 32
    length: int = 24

    def __post_init__(self) -> None:
        if self.width < 1 or self.objects < 1:
            raise UsageError(
                f"width and objects are 1 or more, found {self.width} and {self.objects}"
            )
        for what, value, known in (("head", self.head, HEADS), ("form", self.form, tuple(FORMS))):
            if value not in known:
                raise UsageError(f"there is no {what} {value!r}. {did_you_mean(value, known)}")
        if not 15 <= self.blocks <= 18 or not 1 <= self.window <= self.size // 32:
            raise UsageError(
                f"15 to 18 blocks are kept and a window has 1 to {self.size // 32} places, found "
                f"blocks={self.blocks} and window={self.window}"
            )


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
        return FORMS[config.form].build(config)

    def folded(self, module: Any) -> Any:
        """Return a copy for export, in eval mode."""
        from copy import deepcopy

        return deepcopy(module).eval().folded().requires_grad_(False)

    def load(self, checkpoint: Checkpoint) -> Any:
        """Return the folded module with the checkpoint's weights."""
        from edgesdk_training.checkpoint import load_weights

        module = self.folded(self.build(self.config(**checkpoint.student_config)))
        return load_weights(module, checkpoint)

    def example(self, config: Config) -> Arrays:
        """Return one valid batch of two."""
        found: Arrays = FORMS[config.form].example(config)
        return found

    def specs(self, config: Config) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Return the input and output tensors."""
        inputs, outputs = FORMS[config.form].specs(config)
        return inputs, outputs

    def preprocess(self, config: Config) -> Mapping[str, Preprocess]:
        """Return the pre-processing by input name; embeddings have none."""
        found: Mapping[str, Preprocess] = FORMS[config.form].preprocess(config)
        return found

    def postprocess(self, config: Config) -> Mapping[str, Any]:
        """Return how the output is read: the sigmoid."""
        return {"kind": "probability", "of": "generated", "prevalence": 0.5}

    def cost(self, config: Config) -> Mapping[str, int]:
        """Return parameters, multiply-accumulates and activation floats of one picture."""
        found: Mapping[str, int] = FORMS[config.form].cost(config)
        return found

    def model_name(self, config: Config) -> str:
        """Return the name of a bundle of this configuration."""
        return f"{self.name}{FORMS[config.form].name(config)}"


PLUGIN: Student = ItemDetectorStudent()
