"""Encoders of pictures and text that the user has: any CLIP, as one pair of functions.

`open_encoders` reads open_clip's and transformers' models from the user's own files, and a pair
of ONNX files. Nothing is ever fetched. `tools/embed_pairs.py` writes what recipe `item` trains on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgesdk.captions import Tokenizer, noun_phrases
from edgesdk.core.biometrics import unit
from edgesdk.core.errors import UnsupportedError, UsageError, did_you_mean
from edgesdk.core.files import read_json, sha256_bytes, sha256_file
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.tensors import Array, Arrays

CLIP_MEAN, CLIP_STD = (122.771, 116.747, 104.094), (68.5, 66.632, 70.323)
GRID = 3  # windows a side, each half as wide as the picture
Captioner = Callable[[Array], str]
# A picture and a phrase in, boxes (left, top, right, bottom) in pixels out: where it may be.
Finder = Callable[[Array, str], Sequence[tuple[int, int, int, int]]]


class Encoders(Protocol):
    """A joint space of pictures and text.

    Attributes:
        name: What it is called.
        files: Name -> SHA-256 of the files behind it: the companions of a head.
    """

    name: str
    files: Mapping[str, str]

    def pictures(self, pictures: Sequence[Array]) -> Array:
        """Return float32 [N, D] of HxWx3 uint8 RGB pictures."""

    def texts(self, sentences: Sequence[str]) -> Array:
        """Return float32 [N, D] of sentences."""


class OnnxPair:
    """`picture.onnx` and `text.onnx` of a folder, each with one output [N, D].

    `encoders.json` beside them tells `mean` and `std` on the 0..255 scale (CLIP's own where it
    tells none) and `length`, the tokens of a sentence; `vocabulary.txt` holds WordPiece's pieces,
    or `tokenizer.json` what the package tokenizers reads.
    """

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        paths = [folder / name for name in ("picture.onnx", "text.onnx")]
        for path in paths:
            if not path.is_file():
                raise UsageError(f"{folder} lacks {path.name}; a pair of encoders is two files")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._seer, self._reader = (
            onnxruntime.InferenceSession(p, options, providers=["CPUExecutionProvider"])
            for p in paths
        )
        beside = folder / "encoders.json"
        told: Mapping[str, Any] = read_json(beside, "encoders") if beside.is_file() else {}
        side = int(self._seer.get_inputs()[0].shape[2])
        mean, std = (tuple(told.get(key, own)) for key, own in
                     (("mean", CLIP_MEAN), ("std", CLIP_STD)))  # fmt: skip
        self._preprocess = Preprocess.from_json(
            Preprocess((side, side)).to_json() | {"mean": list(mean), "std": list(std)}
        )
        self._tokens = _tokenizer(folder, int(told.get("length", 77)))
        self.name = folder.name
        self.files = {path.name: sha256_file(path) for path in paths}

    def pictures(self, pictures: Sequence[Array]) -> Array:
        """See Encoders."""
        fed = {self._seer.get_inputs()[0].name: self._preprocess(list(pictures))}
        return np.asarray(self._seer.run(None, fed)[0], np.float32)

    def texts(self, sentences: Sequence[str]) -> Array:
        """See Encoders."""
        numbers = self._tokens(sentences)
        kinds = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}
        fed = {}
        for number, tensor in enumerate(self._reader.get_inputs()):
            value = numbers if number == 0 else (numbers > 0)  # the second one is the mask
            fed[tensor.name] = value.astype(kinds.get(tensor.type, np.int64))
        return np.asarray(self._reader.run(None, fed)[0], np.float32)


def _tokenizer(folder: Path, length: int) -> Callable[[Sequence[str]], Array]:
    pieces = folder / "vocabulary.txt"
    if pieces.is_file():
        return Tokenizer(pieces.read_text("utf-8").splitlines(), length)
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise UsageError(f"{folder} holds neither vocabulary.txt nor tokenizer.json; add one")
    try:
        from tokenizers import Tokenizer as Foreign
    except ImportError:
        raise _missing("tokenizer.json", "tokenizers") from None
    reader = Foreign.from_file(str(file))
    reader.enable_truncation(length)
    reader.enable_padding(length=length)
    return lambda texts: np.array([e.ids for e in reader.encode_batch(list(texts))], np.int64)


class TransformersClip:
    """A folder that transformers wrote: a model with picture and text features."""

    def __init__(self, folder: Path) -> None:
        try:
            import transformers as library
        except ImportError:
            raise _missing("encoders of transformers", "transformers") from None
        made: Any = library
        try:
            self._model = made.AutoModel.from_pretrained(folder, local_files_only=True).eval()
            self._processor = made.AutoProcessor.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            why = str(error).splitlines()[0][:150]
            raise UsageError(f"{folder} holds no model of transformers ({why})") from None
        self.name = folder.name
        weights = sorted(p for p in folder.iterdir() if p.suffix in (".safetensors", ".bin"))
        self.files = {path.name: sha256_file(path) for path in weights}

    def pictures(self, pictures: Sequence[Array]) -> Array:
        """See Encoders."""
        fed = self._processor(images=list(pictures), return_tensors="pt")
        return _features(self._model.get_image_features, fed)

    def texts(self, sentences: Sequence[str]) -> Array:
        """See Encoders."""
        fed = self._processor(
            text=list(sentences), return_tensors="pt", padding=True, truncation=True
        )
        return _features(self._model.get_text_features, fed)


def _features(of: Any, fed: Any) -> Array:
    import torch

    with torch.inference_mode():
        found = of(**fed)
    # From version 5 on these functions return a record.
    return np.asarray(getattr(found, "pooler_output", found).float().numpy())


class OpenClip:
    """A model of open_clip by its name, with weights from a file."""

    def __init__(self, model: str, weights: str) -> None:
        try:
            import open_clip
        except ImportError:
            raise _missing("encoders of open_clip", "open_clip_torch") from None
        known = open_clip.list_models()
        if model not in known:
            raise UsageError(f"open_clip knows no model {model!r}. {did_you_mean(model, known)}")
        if not Path(weights).is_file():
            raise UsageError(f"weights {weights} do not exist; name a file, nothing is fetched")
        made = open_clip.create_model_and_transforms(model, pretrained=weights)
        self._model, self._see = made[0].eval(), made[2]
        self._tokens = open_clip.get_tokenizer(model)
        self.name, self.files = model, {Path(weights).name: sha256_file(Path(weights))}

    def pictures(self, pictures: Sequence[Array]) -> Array:
        """See Encoders."""
        import torch
        from PIL import Image

        batch = torch.stack([self._see(Image.fromarray(p)) for p in pictures])
        with torch.inference_mode():
            return np.asarray(self._model.encode_image(batch).float().numpy())

    def texts(self, sentences: Sequence[str]) -> Array:
        """See Encoders."""
        import torch

        with torch.inference_mode():
            return np.asarray(self._model.encode_text(self._tokens(list(sentences))).numpy())


def _missing(what: str, package: str) -> UnsupportedError:
    return UnsupportedError(f"{what} needs {package}; install it with: pip install {package}")


OPENERS: Mapping[str, Callable[[str], Any]] = {
    "onnx": lambda where: OnnxPair(Path(where)),
    "transformers": lambda where: TransformersClip(Path(where)),
    "open_clip": lambda where: OpenClip(*where.partition(":")[::2]),
}


def open_encoders(where: str) -> Encoders:
    """Return the encoders that KIND:PLACE names.

    Args:
        where: onnx:FOLDER, transformers:FOLDER or open_clip:MODEL:WEIGHTS.

    Raises:
        UsageError: there are none.
        UnsupportedError: the package that reads them is not installed.
    """
    kind, _, place = where.partition(":")
    if kind not in OPENERS or not place:
        raise UsageError(
            f"encoders {where!r} are none of onnx:FOLDER, transformers:FOLDER, "
            f"open_clip:MODEL:WEIGHTS. {did_you_mean(kind, tuple(OPENERS))}"
        )
    found: Encoders = OPENERS[kind](place)
    return found


def grid(picture: Array, phrase: str) -> list[tuple[int, int, int, int]]:
    """Return windows over the whole picture: the substitute for a detector of objects."""
    height, width = picture.shape[:2]
    tall, wide = (max(1, n // 2) for n in (height, width))
    tops, lefts = (np.linspace(0, n - n // 2, GRID).astype(int) for n in (height, width))
    return [(int(x), int(y), int(x) + wide, int(y) + tall) for y in tops for x in lefts]


def embedded(
    encoders: Encoders, picture: Array, caption: str, objects: int, finder: Finder = grid
) -> dict[str, Array]:
    """Return what the head is shown of one picture, by name, without the first axis.

    Args:
        encoders: The joint space.
        picture: HxWx3 uint8 RGB.
        caption: What is said of it, by hand, from a file or by a captioner.
        objects: Places for objects; a phrase takes the crop of its own that it fits best.
        finder: Tells where a phrase may be.
    """
    phrases = noun_phrases(caption, objects)
    boxes = [list(finder(picture, phrase)) for phrase in phrases]
    cut = [picture[y:b, x:r] for found in boxes for x, y, r, b in found]
    seen = unit(encoders.pictures([picture, *cut]))
    said = unit(encoders.texts([caption, *phrases]))
    width, place = seen.shape[1], 1
    chosen, words = np.zeros((2, objects, width), np.float32)
    present = np.zeros(objects, np.float32)
    for number, found in enumerate(boxes):
        crops = seen[place : place + len(found)]
        place += len(found)
        if len(crops):
            chosen[number] = crops[int(np.argmax(crops @ said[1 + number]))]
            words[number], present[number] = said[1 + number], 1
    return {
        "image": seen[0], "caption": said[0], "objects": chosen, "words": words,
        "present": present,
    }  # fmt: skip


def packed(arrays: Arrays) -> Array:
    """Return the head's input [N, 2 + 2K, D]: picture, caption, objects, words; float32."""
    here = arrays["present"][..., None]
    pair = np.stack([arrays["image"], arrays["caption"]], 1)
    return np.concatenate([pair, arrays["objects"] * here, arrays["words"] * here], 1)


def companions(encoders: Encoders) -> Array:
    """Return names and hashes of the files behind encoders, as an array of text."""
    return np.array([f"{name} {sha256}" for name, sha256 in sorted(encoders.files.items())])


def fingerprint(encoders: Encoders) -> str:
    """Return one hash for all files behind encoders."""
    return sha256_bytes(" ".join(companions(encoders)).encode())
