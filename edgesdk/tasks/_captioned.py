"""Detectors that read what is said of a picture: whole networks, and heads for own encoders."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesdk.captions import (
    Captions,
    Tokenizer,
    caption_tokens,
    captions_inside,
    noun_phrases,
    words_of,
)
from edgesdk.core.batches import in_batches
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.notes import note
from edgesdk.core.task import ModelInfo, Run
from edgesdk.core.tensors import Array, TensorSpec
from edgesdk.generated import telling
from edgesdk.own_encoders import Encoders, embedded, packed
from edgesdk.picture_sets import Pictures

LEAST = 32  # pixels of a picture's shorter side that a verdict wants
KNOWN = 0.5  # part of a caption's words that a verdict wants
WITHOUT = (
    "nothing is said of it; captions.json beside it, or --captions FILE of `edgesdk run`, tells of "
    "each picture a sentence"
)


class Reader:
    """What detectors share that read what is said of a picture."""

    column = "caption"
    told = "pictures with captions"
    caution = (
        " It tells how far a picture lies from its caption: a caption of another style lies far "
        "as well, so fit the thresholds on pictures and captions like your own."
    )

    def __init__(self, info: ModelInfo) -> None:
        self._info = info

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
                f"{empty}{self._info.model} judges a picture by what is said of it; put "
                'captions.json beside them, JSON such as {"name.jpg": "a dog on a beach"}, or give '
                "`edgesdk run` such a file by --captions FILE"
            )
        return found


class Captioned(Reader):
    """Looks at a whole picture and what is said of it; several sentences are averaged."""

    def __init__(self, info: ModelInfo, image: TensorSpec, tokens: TensorSpec) -> None:
        vocabulary = str(info.postprocess.get("vocabulary", "")).split()
        if len(tokens.shape) != 3 or not vocabulary:
            raise UnsupportedError(
                f"{info.model} does not tell the words that its tokens number; export it again"
            )
        super().__init__(info)
        self._image, self._tokens = image, tokens
        self._tokenizer = Tokenizer(vocabulary, tokens.shape[2] or 1)
        self._objects = (tokens.shape[1] or 1) - 1

    def sample(
        self, picture: Array, said: Sequence[str], random: np.random.Generator
    ) -> tuple[Array, Mapping[str, Array]]:
        """Return a picture and the tokens of a caption."""
        chosen = str(random.choice(_some(said)))
        return picture, {self._tokens.name: self._numbers(chosen)}

    def look(self, run: Run, picture: Array, said: Sequence[str]) -> dict[str, Any]:
        """Return the mean logit, the first caption, how far it and its objects lie away, and a
        note of what hinders a verdict, "" for nothing.

        Raises:
            UsageError: nothing is said of the picture.
        """
        said = _some(said)
        image = self._info.preprocess[self._image.name]([picture])
        tensors = {
            self._image.name: image.repeat(len(said), 0),
            self._tokens.name: np.stack([self._numbers(sentence) for sentence in said]),
        }
        found = in_batches(run, tensors, self._image.shape[0])
        logits = np.asarray(found[self._info.outputs[0].name], np.float64)[:, 0]
        return {
            "logit": float(logits.mean()), "caption": said[0],
            "note": hindrance(picture) or self._unknown(said), **self._far(found, said[0]),
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

    def _numbers(self, sentence: str) -> Array:
        numbers = caption_tokens(self._tokenizer, sentence, self._objects)
        return numbers.astype(self._tokens.dtype)


class Embedded(Reader):
    """Looks with encoders that the user has; the model is the head alone."""

    def __init__(self, info: ModelInfo, encoders: Encoders | None) -> None:
        super().__init__(info)
        self._encoders, self._features = encoders, info.inputs[0]
        self._objects = ((self._features.shape[1] or 2) - 2) // 2

    def sample(
        self, picture: Array, said: Sequence[str], random: np.random.Generator
    ) -> tuple[Array, Mapping[str, Array]]:
        """Return a picture and its features with a caption."""
        chosen = str(random.choice(_some(said)))
        return picture, {self._features.name: self._embedded(picture, chosen)[0]}

    def look(self, run: Run, picture: Array, said: Sequence[str]) -> dict[str, Any]:
        """Return what `Captioned.look` does; all words are known.

        Raises:
            UsageError: nothing is said of the picture, or the encoders are not the model's.
        """
        rows = [self._embedded(picture, sentence) for sentence in _some(said)]
        found = in_batches(run, {self._features.name: np.stack([r[0] for r in rows])}, None)
        logits = np.asarray(found[self._info.outputs[0].name], np.float64)[:, 0]
        note_of = hindrance(picture)
        return {"logit": float(logits.mean()), "caption": said[0], "note": note_of, **rows[0][1]}

    def logits(self, run: Run, pictures: Sequence[Array], said: Sequence[str]) -> Array:
        """Return the mean logit of each picture with what is said of it [N]."""
        return np.array([self.look(run, picture, said)["logit"] for picture in pictures])

    def _embedded(self, picture: Array, sentence: str) -> tuple[Array, dict[str, Any]]:
        """Return the features of a picture, and how far it and its objects lie away."""
        if self._encoders is None:
            raise UsageError(
                f"{self._info.model} is a head for encoders of your own; `edgesdk run` takes "
                "them by --encoders KIND:PLACE, such as onnx:FOLDER"
            )
        found = embedded(self._encoders, picture, sentence, self._objects)
        row = packed({name: array[None] for name, array in found.items()})[0]
        if row.shape != self._features.shape[1:]:
            raise UsageError(
                f"{self._info.model} takes embeddings of {self._features.shape[2]} numbers, "
                f"{self._encoders.name} gives {row.shape[1]}; name the encoders it was taught on"
            )
        apart = 1 - (found["objects"] * found["words"]).sum(1)
        objects = [
            {"phrase": phrase, "distance": float(distance)}
            for phrase, distance in zip(noun_phrases(sentence, self._objects), apart, strict=False)
        ]
        whole = 1 - float(found["image"] @ found["caption"])
        return row.astype(np.float32), {"distance": whole, "objects": objects}


def _some(said: Sequence[str]) -> list[str]:
    if not said:
        raise UsageError(WITHOUT)
    return list(said)


def tell_misnamed(captions: Captions, skipped: Sequence[Mapping[str, str]]) -> None:
    """Tell of captions that belong to no picture, where pictures lack some: a name may be wrong."""
    lacking = sum(row["why"] == WITHOUT for row in skipped)
    if lacking and (left := captions.unasked()):
        note(
            f"{captions.origin} says nothing of {lacking} of the pictures, and names "
            f"{len(left)} that are none of them, such as {left[0]!r}"
        )


def without_captions(captions: Captions, error: UsageError) -> UsageError:
    """Return the error of pictures none of which could be judged; names that fit none are told."""
    left = captions.unasked()
    if WITHOUT not in str(error) or not left:
        return error
    return UsageError(
        f"{captions.origin} says nothing of any of these pictures: it names {left[0]!r}"
        f"{f' and {len(left) - 1} more' if len(left) > 1 else ''}; name the files, or their paths, "
        "as they are called"
    )


def hindrance(picture: Array) -> str:
    """Return what of a picture itself hinders a verdict, "" for nothing."""
    height, width = picture.shape[:2]
    if min(height, width) < LEAST:
        return f"{width}x{height} px: too small to be looked at, {LEAST} are needed"
    return "" if telling(picture[None])[0] else "flat: it shows nothing"


def check_companions(bundle: str, wanted: Sequence[str], encoders: Encoders | None) -> None:
    """Raise UsageError where encoders are given that a head does not belong to, or to none."""
    if encoders is None:
        return
    if not wanted:
        raise UsageError(f"{bundle} brings all it needs; leave --encoders out")
    missing = sorted(set(wanted) - set(encoders.files.values()))
    if missing:
        raise UsageError(
            f"{bundle} belongs to encoders whose files have the hashes "
            f"{', '.join(h[:12] for h in missing)}; those of {encoders.name} have "
            f"{', '.join(h[:12] for h in encoders.files.values())}"
        )
