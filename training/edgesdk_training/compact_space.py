"""What the compact joint space of ITEM is taught on, and the features that it gives."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.captions import (
    EMPTY,
    UNKNOWN,
    Tokenizer,
    caption_tokens,
    captions_inside,
    noun_phrases,
)
from edgesdk.core.errors import UsageError
from edgesdk.core.files import sha256_bytes
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.tensors import Array
from edgesdk.generated import kind_of
from edgesdk_training import encoders
from edgesdk_training.data import parts_of
from edgesdk_training.joint_space import Features

if TYPE_CHECKING:
    from torch import Tensor

    from edgesdk.core.protocols import RunContext

SEEN = 16  # pictures that the backbone sees at once
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
GIVEN, FOUND = "given", "found"


@dataclass
class Photos:
    """Pictures with what is said of each.

    Attributes:
        names: Paths inside their sets.
        captions: Sentences of each.
        generated: Whether each is generated, for sets that tell.
        maps: [N, C, h, w] of the frozen backbone.
    """

    names: list[str]
    captions: list[list[str]]
    generated: Array
    maps: Tensor

    def chosen(self, which: Array) -> Photos:
        """Return those that a mask [N] chooses."""
        import torch

        places = np.flatnonzero(which)
        return Photos(
            [self.names[i] for i in places],
            [self.captions[i] for i in places],
            self.generated[places],
            self.maps[torch.from_numpy(places)],
        )


def held_out(names: Sequence[str], every: int) -> Array:
    """Return which names are held out: the same ones whatever else is there."""
    return np.array([zlib.crc32(PurePosixPath(n).stem.encode()) % every == 0 for n in names], bool)


class Seer:
    """The frozen backbone: pictures in, maps [N, C, S / 32, S / 32] out, kept on disk.

    Args:
        context: Where maps are kept.
        backbone: Folded network.
        preprocess: How a picture becomes its input.
        sha256: Hash of its weights.
    """

    def __init__(
        self, context: RunContext, backbone: Any, preprocess: Preprocess, sha256: str
    ) -> None:
        self._context, self._backbone, self._preprocess = context, backbone, preprocess
        self.sha256 = sha256
        self._about = f"{sha256} {preprocess.size} {len(backbone.features)}"

    def __call__(self, pictures: Any, names: Sequence[str]) -> Tensor:
        """Return the maps of some pictures of a set."""
        import torch

        told = " ".join([self._about, *(pictures.hashes[name] for name in names)])
        path = (
            self._context.folder.parent / "cache" / f"maps-{sha256_bytes(told.encode())[:16]}.f32"
        )
        side = self._preprocess.size[0] // 32
        shape = (len(names), self._backbone.width, side, side)
        return torch.from_numpy(encoders.kept(path, shape, lambda: self._see(pictures, names)))

    def _see(self, pictures: Any, names: Sequence[str]) -> Array:
        import torch

        found = []
        with torch.inference_mode():
            for start in range(0, len(names), SEEN):
                batch = [pictures.read(name) for name in names[start : start + SEEN]]
                found.append(self._backbone(torch.from_numpy(self._preprocess(batch))).numpy())
                self._context.progress(start + len(batch), len(names), "see pictures")
        return np.concatenate(found)


def read_photos(context: RunContext, role: str, seer: Seer) -> Photos:
    """Return the captioned pictures given for a role.

    Raises:
        UsageError: no picture has a caption.
    """
    import torch

    data = context.data(role)
    names, captions, maps = list[str](), list[list[str]](), []
    for part in parts_of(data):
        pictures = getattr(part, "pictures", None)
        if pictures is None:
            raise UsageError(f"{part.name} holds no pictures; give a folder or archive of photos")
        said = captions_inside(pictures)
        kept = [name for name in part.names if said.of(name)]
        names += kept
        captions += [said.of(name) for name in kept]
        maps += [seer(pictures, kept)] if kept else []
    if not names:
        raise UsageError(f"{data.name} brings no captions; put a captions.json beside the pictures")
    kinds = [kind_of(PurePosixPath(name).parent.as_posix()) for name in names]
    generated = np.array([kind is not None and kind.generated for kind in kinds], bool)
    return Photos(names, captions, generated, torch.cat(maps))


def choose_vocabulary(known: Sequence[str], sentences: Sequence[str], size: int) -> list[str]:
    """Return the pieces of words that a small table holds.

    Args:
        known: All pieces, the more frequent ones mostly first.
        sentences: Whose pieces are kept before all others.
        size: Number of pieces.
    """
    cut = Tokenizer(known, encoders.LONGEST)
    used = np.bincount(cut(sentences).ravel(), minlength=len(known))
    used[0] = 0
    wanted = [EMPTY, UNKNOWN, *LETTERS, *("##" + letter for letter in LETTERS)]
    wanted += [known[i] for i in np.argsort(-used, kind="stable") if used[i]]
    wanted += [piece for piece in known if piece.removeprefix("##").isalpha() and piece.isascii()
               and len(piece) > 2]  # fmt: skip
    return list(dict.fromkeys(wanted))[:size]


def lessons(sentences: Sequence[str], vocabulary: Sequence[str], seed: int) -> list[str]:
    """Return what the table of pieces is taught on: sentences, their phrases, words, mixtures."""
    random = np.random.default_rng(seed)
    phrases = list(dict.fromkeys(p for s in sentences for p in noun_phrases(s, 4)))
    words = [w for w in vocabulary if w.isalpha() and len(w) > 2]
    pairs = [f"{a} and {b}" for a, b in random.choice([*phrases, *words], (len(words) // 3, 2))]
    return list(dict.fromkeys([*sentences, *phrases, *words, *pairs]))


def features(net: Any, tokenizer: Tokenizer, photos: Photos, bank: Sequence[str], name: str,
             objects: int) -> Features:  # fmt: skip
    """Return two rows per picture: with its own caption, and with the nearest one of a bank.

    The second captions both sides alike, as one captioner would: what people say of photos and
    the prompts of generators differ in style, which alone would tell the sides apart.
    """
    import torch

    with torch.inference_mode():
        whole, windows = net.pictures(photos.maps)
        known = net.texts(torch.from_numpy(tokenizer(bank)))
        nearest = (whole @ known.T).argmax(1).tolist()
        said = [c[0] for c in photos.captions] + [bank[i] for i in nearest]
        rows = np.concatenate([caption_tokens(tokenizer, s, objects)[None] for s in said])
        texts = net.texts(torch.from_numpy(rows))
        whole, windows = whole.repeat(2, 1), windows.repeat(2, 1, 1)
        best = (texts[:, 1:] @ windows.transpose(1, 2)).argmax(2)
        chosen = windows.gather(1, best[..., None].expand(-1, -1, windows.shape[2]))
        present = (texts[:, 1:] ** 2).sum(2)
    arrays = {
        "image": whole, "caption": texts[:, 0], "objects": chosen, "words": texts[:, 1:],
        "present": present.round(),
    }  # fmt: skip
    count = len(photos.names)
    return Features(
        name,
        {key: value.numpy() for key, value in arrays.items()},
        np.tile(photos.generated, 2),
        np.tile(np.arange(count), 2),
        [GIVEN] * count + [FOUND] * count,
    )
