"""How detectors of generated pictures look at one: by crops of its pixels, or with its caption."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.captions import INSIDE, Captions
from edgesdk.core.batches import in_batches
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.task import ModelInfo, Run, picture_inputs
from edgesdk.core.tensors import Array
from edgesdk.generated import corners, crops, mirrored_to, pooled, telling
from edgesdk.own_encoders import Encoders
from edgesdk.picture_sets import Pictures
from edgesdk.tasks._captioned import Captioned, Embedded


class Crops:
    """Looks at crops of a picture's own pixels; the logits are averaged."""

    column = "crops"
    told = "crops of pictures"
    caution = ""

    def __init__(self, info: ModelInfo) -> None:
        if len(info.inputs) != 1 or info.inputs[0].name not in info.preprocess:
            raise UnsupportedError(
                f"{info.model} has other inputs than one picture, or a picture and the tokens of "
                "its caption; detectors of generated pictures here look at these"
            )
        self._info = info
        self._side = info.preprocess[info.inputs[0].name].size[0]

    def captions(self, given: Captions | None, places: Sequence[Pictures]) -> Captions:
        """Return no captions: none are looked at.

        Raises:
            UsageError: some were given.
        """
        if given is not None:
            raise UsageError(
                f"{self._info.model} looks at pictures alone; leave --captions out, or take a "
                "detector that reads them: item-detector"
            )
        return Captions({})

    def sample(
        self, picture: Array, said: Sequence[str], random: np.random.Generator
    ) -> tuple[Array, Mapping[str, Array]]:
        """Return one crop of a picture by chance, and what is no picture of the model's inputs."""
        picture = mirrored_to(picture, self._side)
        top, left = (int(random.integers(0, n - self._side + 1)) for n in picture.shape[:2])
        return picture[top : top + self._side, left : left + self._side], {}

    def look(self, run: Run, picture: Array, said: Sequence[str]) -> dict[str, Any]:
        """Return the pooled logit, the number of crops, where each lies with its logit, where flat
        ones lie, which are left out, and a note of what hinders a verdict, "" for nothing."""
        cut = crops(picture, self._side)
        logits, kept = self._each(run, cut), telling(cut)
        height, width = mirrored_to(picture, self._side).shape[:2]
        places = list(zip(corners(height, width, self._side), kept, logits.tolist(), strict=True))
        small = min(picture.shape[:2]) < self._side
        note = f"smaller than a crop of {self._side} px" if small else ""
        return {
            "logit": pooled(logits, cut),
            "crops": int(kept.sum()),
            "note": note if kept.any() else "flat: it shows nothing",
            "map": [(place, logit) for place, tells, logit in places if tells],
            "flat": [place for place, tells, _ in places if not tells],
            "side": self._side,
        }

    def logits(self, run: Run, pictures: Sequence[Array], said: Sequence[str]) -> Array:
        """Return the pooled logit of each picture [N]."""
        every = [crops(picture, self._side) for picture in pictures]
        ends = np.cumsum([len(part) for part in every])[:-1]
        found = self._each(run, np.concatenate(every))
        parts = zip(np.split(found, ends), every, strict=True)
        return np.array([pooled(logits, cut) for logits, cut in parts])

    def _each(self, run: Run, cut: Array) -> Array:
        tensors = picture_inputs(self._info, list(cut))
        found = in_batches(run, tensors, self._info.inputs[0].shape[0])
        return np.asarray(found[self._info.outputs[0].name], np.float64)[:, 0]


def beside(files: Sequence[Path]) -> list[Pictures]:
    """Return the folders named, and those of named pictures, that hold a file of captions."""
    folders = dict.fromkeys(path if path.is_dir() else path.parent for path in files)
    return [Pictures(folder) for folder in folders if any((folder / n).is_file() for n in INSIDE)]


def detector_of(info: ModelInfo, encoders: Encoders | None = None) -> Crops | Captioned | Embedded:
    """Return how a model looks at pictures, by its inputs.

    Args:
        info: Of the model.
        encoders: For a head that takes the embeddings of others.

    Raises:
        UnsupportedError: nobody here knows how to feed it.
    """
    image = [spec for spec in info.inputs if spec.name in info.preprocess]
    tokens = [spec for spec in info.inputs if spec.kind == "tokens"]
    if len(image) == len(tokens) == 1 and len(info.inputs) == 2:
        return Captioned(info, image[0], tokens[0])
    if len(info.inputs) == 1 and info.inputs[0].kind == "features":
        return Embedded(info, encoders)
    return Crops(info)
