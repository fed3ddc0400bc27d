"""How detectors of generated pictures look at one: by crops of its pixels, or with its caption."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.captions import (
    INSIDE,
    Captions,
    Tokenizer,
    caption_tokens,
    captions_inside,
    noun_phrases,
    words_of,
)
from edgesdk.core.batches import in_batches
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.task import ModelInfo, Run, picture_inputs
from edgesdk.core.tensors import Array, TensorSpec
from edgesdk.generated import corners, crops, mirrored_to
from edgesdk.picture_sets import Pictures

KNOWN = 0.5  # part of a caption's words that a verdict wants
WITHOUT = "nothing is said of it; --captions FILE tells of each picture a sentence"


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
        """Return the pooled logit, the number of crops, where each lies with its logit, and a
        note of what hinders a verdict, "" for nothing."""
        logits = self._each(run, crops(picture, self._side))
        height, width = mirrored_to(picture, self._side).shape[:2]
        places = corners(height, width, self._side)
        small = min(picture.shape[:2]) < self._side
        return {
            "logit": float(logits.mean()),
            "crops": len(logits),
            "note": f"smaller than a crop of {self._side} px" if small else "",
            "map": list(zip(places, logits.tolist(), strict=True)),
            "side": self._side,
        }

    def logits(self, run: Run, pictures: Sequence[Array], said: Sequence[str]) -> Array:
        """Return the pooled logit of each picture [N]."""
        every = [crops(picture, self._side) for picture in pictures]
        ends = np.cumsum([len(part) for part in every])[:-1]
        found = self._each(run, np.concatenate(every))
        return np.array([part.mean() for part in np.split(found, ends)])

    def _each(self, run: Run, cut: Array) -> Array:
        tensors = picture_inputs(self._info, list(cut))
        found = in_batches(run, tensors, self._info.inputs[0].shape[0])
        return np.asarray(found[self._info.outputs[0].name], np.float64)[:, 0]


class Captioned:
    """Looks at a whole picture and what is said of it; several sentences are averaged."""

    column = "caption"
    told = "pictures with captions"
    caution = (
        " It tells how far a picture lies from its caption: a caption of another style lies far "
        "as well, so fit the thresholds on pictures and captions like your own."
    )

    def __init__(self, info: ModelInfo, image: TensorSpec, tokens: TensorSpec) -> None:
        vocabulary = str(info.postprocess.get("vocabulary", "")).split()
        if len(tokens.shape) != 3 or not vocabulary:
            raise UnsupportedError(
                f"{info.model} does not tell the words that its tokens number; export it again"
            )
        self._info, self._image, self._tokens = info, image, tokens
        self._tokenizer = Tokenizer(vocabulary, tokens.shape[2] or 1)
        self._objects = (tokens.shape[1] or 1) - 1

    def captions(self, given: Captions | None, places: Sequence[Pictures]) -> Captions:
        """Return the captions that were given, else those that lie beside the pictures.

        Raises:
            UsageError: there are none.
        """
        inside = [given] if given is not None else map(captions_inside, places)
        found = next((captions for captions in inside if len(captions)), None)
        if found is None:
            empty = "" if given is None else f"{given.origin} says nothing of any picture. "
            raise UsageError(
                f"{empty}{self._info.model} judges a picture by what is said of it; give "
                '--captions FILE, JSON such as {"name.jpg": "a dog on a beach"}, or put '
                "captions.json beside them"
            )
        return found

    def sample(
        self, picture: Array, said: Sequence[str], random: np.random.Generator
    ) -> tuple[Array, Mapping[str, Array]]:
        """Return a picture and the tokens of a caption."""
        chosen = str(random.choice(self._said(said)))
        return picture, {self._tokens.name: self._numbers(chosen)}

    def look(self, run: Run, picture: Array, said: Sequence[str]) -> dict[str, Any]:
        """Return the mean logit, the first caption, how far it and its objects lie away, and a
        note of what hinders a verdict, "" for nothing.

        Raises:
            UsageError: nothing is said of the picture.
        """
        said = self._said(said)
        image = self._info.preprocess[self._image.name]([picture])
        tensors = {
            self._image.name: image.repeat(len(said), 0),
            self._tokens.name: np.stack([self._numbers(sentence) for sentence in said]),
        }
        found = in_batches(run, tensors, self._image.shape[0])
        logits = np.asarray(found[self._info.outputs[0].name], np.float64)[:, 0]
        return {
            "logit": float(logits.mean()), "caption": said[0], "note": self._unknown(said),
            **self._far(found, said[0]),
        }  # fmt: skip

    def logits(self, run: Run, pictures: Sequence[Array], said: Sequence[str]) -> Array:
        """Return the mean logit of each picture with what is said of it [N]."""
        return np.array([self.look(run, picture, said)["logit"] for picture in pictures])

    def _far(self, found: Mapping[str, Array], sentence: str) -> dict[str, Any]:
        if "distances" not in found:
            return {}
        whole, *apart = np.asarray(found["distances"], np.float64)[0].tolist()
        phrases = noun_phrases(sentence, self._objects)
        rows = [{"phrase": p, "distance": d} for p, d in zip(phrases, apart, strict=False)]
        return {"distance": whole, "objects": rows}

    def _unknown(self, said: Sequence[str]) -> str:
        """Return what hinders a verdict: too few words of what is said are known."""
        words = [word for sentence in said for word in words_of(sentence)]
        known = sum(word in self._tokenizer for word in words)
        few = known < KNOWN * len(words) or not words
        return f"the model knows {known} of {len(words)} words; it reads English" if few else ""

    def _said(self, said: Sequence[str]) -> list[str]:
        if not said:
            raise UsageError(WITHOUT)
        return list(said)

    def _numbers(self, sentence: str) -> Array:
        numbers = caption_tokens(self._tokenizer, sentence, self._objects)
        return numbers.astype(self._tokens.dtype)


def beside(files: Sequence[Path]) -> list[Pictures]:
    """Return the folders named, and those of named pictures, that hold a file of captions."""
    folders = dict.fromkeys(path if path.is_dir() else path.parent for path in files)
    return [Pictures(folder) for folder in folders if any((folder / n).is_file() for n in INSIDE)]


def detector_of(info: ModelInfo) -> Crops | Captioned:
    """Return how a model looks at pictures, by its inputs.

    Raises:
        UnsupportedError: nobody here knows how to feed it.
    """
    image = [spec for spec in info.inputs if spec.name in info.preprocess]
    tokens = [spec for spec in info.inputs if spec.kind == "tokens"]
    if len(image) == len(tokens) == 1 and len(info.inputs) == 2:
        return Captioned(info, image[0], tokens[0])
    return Crops(info)
