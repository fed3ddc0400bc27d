"""Pairs for a tracker: the target in one frame, where it is in another, and its sentence."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgesdk.core.tensors import Array
from edgesdk.sequences import Track
from edgesdk.track_steps import crop, middle, target_side
from edgesdk.words import sentence_features, words_of
from edgesdk.worlds import COLOURS, Scene, make_world

HELD_OUT = 6  # every sixth scene judges, and teaches nothing
SHIFT, GROW = 0.3, 0.18  # of the crop's half and of its logarithm: how the search is displaced
WIDE = 0.8  # of the crop's half, instead of SHIFT
STRANGER, FAR = 0.08, 0.1  # chances of a search without the target, and of a far displacement
GAP = 20  # frames between both
FILMED = 0.1  # of the pairs that teach words
ALONE, IDLE = 0.1, 0.3  # of those from worlds: without look-alikes, and with idle words
FRAMES = 4  # of a made-up world: one to remember, the others to search


@dataclass(frozen=True, slots=True)
class Pair:
    """What a step learns from.

    Attributes:
        memory: Crop around the target, float32 [3, S, S].
        close: Half of it as the teacher wants it, [3, 127, 127].
        search: Crop that may hold it again.
        box: x, y of the middle from the crop's middle, width, height, pixels of the crop; NaN
            where it is absent.
        text: The sentence, "" for none.
        real: Whether it was filmed.
    """

    memory: Array
    close: Array
    search: Array
    box: Array
    text: str
    real: bool


def scene_of(name: str) -> str:
    """Return what related sequences share: "wakeboard" of "wakeboard5"."""
    return name.split("-")[0].rstrip("0123456789_") or name


def split(tracks: Sequence[Track]) -> tuple[list[Track], list[Track]]:
    """Return the sequences to learn from and those of scenes held out."""
    parts: tuple[list[Track], list[Track]] = ([], [])
    for track in tracks:
        parts[zlib.crc32(scene_of(track.name).encode()) % HELD_OUT == 0].append(track)
    return parts


class Pairs:
    """Draws pairs from sequences and made-up worlds.

    Args:
        tracks: Sequences; all their frames are kept in memory.
        size: Side of the crops in pixels.
        made: Part of the pairs that comes from made-up worlds.
        silent: Part of the sentences that is left out.
        wide: Side of the crops in sides of the target with its surroundings.
        shake: How far the box to remember is off, in its sides.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        size: int,
        made: float,
        silent: float,
        wide: float = 2.0,
        shake: float = 0.0,
    ) -> None:
        self._films = [[t.read(i) for i in range(len(t))] for t in tracks]
        self._tracks, self._size, self._silent = list(tracks), size, silent
        self._made, self._wide, self._shake = made if tracks else 1.0, wide, shake
        said = [word for track in tracks for word in words_of(track.text)]
        self._chatter = [word for word in said if word not in COLOURS]
        self._photos = [film[len(film) // 2] for film in self._films]

    def draw(self, rng: np.random.Generator) -> list[Pair]:
        """Return the next pairs, of one memory."""
        if rng.random() < self._made:
            scene = Scene(
                frames=FRAMES,
                lookalikes=int(rng.integers(0, 4)),
                grey=bool(rng.random() < 0.5),
                largest=70.0,
                occlusion=0.05,
            )
            return self._from_world(rng, scene)
        return [self._from_film(rng)]

    def hard(self, rng: np.random.Generator) -> list[Pair]:
        """Return pairs of one memory in which nothing but the words tells the target.

        The grey first frame does not show its colour, and its look-alikes jump about with it.
        Some sentences hold words of the sequences' as well, of no meaning here.
        """
        if self._tracks and rng.random() < FILMED:
            return [self._from_film(rng)]
        scene = Scene(
            frames=FRAMES,
            lookalikes=0 if rng.random() < ALONE else int(rng.integers(1, 5)),
            grey=bool(rng.random() < 0.9),
            largest=70.0,
            occlusion=0.05,
            jump=float(rng.uniform(0.7, 1.6)),
        )
        pairs = self._from_world(rng, scene)
        if not self._chatter or rng.random() >= IDLE:
            return pairs
        first, last = (" ".join(rng.choice(self._chatter, rng.integers(0, 5))) for _ in range(2))
        return [replace(pair, text=f"{first} {pair.text} {last}") for pair in pairs]

    def _from_film(self, rng: np.random.Generator) -> Pair:
        which = int(rng.integers(len(self._tracks)))
        track, film = self._tracks[which], self._films[which]
        known = np.nonzero(np.isfinite(track.boxes).all(1))[0]
        first = int(rng.choice(known))
        near = known[np.abs(known - first) <= GAP]
        second = int(rng.choice(near))
        seen, box = film[second], track.boxes[second]
        if rng.random() < STRANGER:
            other = int(rng.integers(len(self._tracks)))
            seen = self._films[other][int(rng.integers(len(self._films[other])))]
            box = box if other == which else np.full(4, np.nan)
            centre_box = track.boxes[second]
        else:
            centre_box = box
        return self._pair(
            rng, film[first], track.boxes[first], seen, box, centre_box, track.text, True
        )

    def _from_world(self, rng: np.random.Generator, scene: Scene) -> list[Pair]:
        photos = self._photos if rng.random() < 0.6 else []
        cuts = [self._cut(rng)] if self._photos and rng.random() < 0.4 else []
        world = make_world(int(rng.integers(2**31)), scene, photos, cuts)
        frames, boxes = world.frames, world.boxes
        return [
            self._pair(rng, frames[0], boxes[0], frames[i], boxes[i], boxes[i], world.text, False)
            for i in range(1, FRAMES)
        ]

    def _cut(self, rng: np.random.Generator) -> tuple[str, Array]:
        """Return an ellipse cut out of a labelled box."""
        which = int(rng.integers(len(self._tracks)))
        track, film = self._tracks[which], self._films[which]
        x, y, w, h = track.boxes[0].round().astype(int)
        height, width = film[0].shape[:2]
        part = film[0][max(y, 0) : min(y + h, height), max(x, 0) : min(x + w, width)]
        v, u = (np.linspace(-1, 1, n) for n in part.shape[:2])
        alpha = 255 * (np.hypot(u, v[:, None]) <= 1)
        return "thing", np.dstack([part, alpha.astype(np.uint8)])

    def _pair(
        self,
        rng: np.random.Generator,
        first: Array,
        first_box: Array,
        second: Array,
        second_box: Array,
        around: Array,
        text: str,
        real: bool,
    ) -> Pair:
        size = self._size
        if self._shake:
            off = rng.uniform(-self._shake, self._shake, 4) * first_box[[2, 3, 2, 3]]
            first_box = first_box + off
        around_it = target_side(*first_box[2:])
        centre = _middle(first_box)
        memory = crop(first, centre, self._wide * around_it, size)
        close = crop(first, centre, around_it, 127)
        # Among look-alikes being near the middle must not tell the target.
        reach = WIDE if not real or rng.random() < FAR else SHIFT
        wide = self._wide * target_side(*around[2:]) * float(np.exp(rng.uniform(-GROW, GROW)))
        shift = rng.uniform(-reach, reach, 2) * wide / 2
        at = np.array(_middle(around)) + shift
        search = _lit(rng, crop(second, (float(at[0]), float(at[1])), wide, size))
        box = np.concatenate([_middle(second_box) - at, second_box[2:]]) * size / wide
        if np.abs(box[:2]).max() > 0.48 * size:
            box = np.full(4, np.nan)
        # A mirrored pair would belie "left" and "right".
        if rng.random() < 0.5 and not {"left", "right"} & set(text.split()):
            memory, close, search = (a[..., ::-1].copy() for a in (memory, close, search))
            box = box * [-1, 1, 1, 1]
        told = "" if rng.random() < self._silent else text
        return Pair(memory, close, search, box, told, real)


def _middle(box: Array) -> tuple[float, float]:
    return float(box[0] + box[2] / 2), float(box[1] + box[3] / 2)


def _lit(rng: np.random.Generator, picture: Array) -> Array:
    """Return a crop in another light, some of them blurred."""
    lit = picture * rng.uniform(0.85, 1.15) + rng.uniform(-12, 12)
    if rng.random() < 0.15:
        lit = (lit + np.roll(lit, 1, 1) + np.roll(lit, 1, 2) + np.roll(lit, (1, 1), (1, 2))) / 4
    clipped: Array = lit.clip(0, 255).astype(np.float32)
    return clipped


def gather(
    pairs: Pairs,
    count: int,
    seed: int,
    see: Callable[[Array], Array],
    teach: Callable[[Array, Array], Array] | None,
    places: tuple[int, int],
    held: int,
    progress: Any,
) -> dict[str, Array]:
    """Return pairs as arrays of features, so that the frozen backbone runs once.

    Args:
        pairs: Draws them.
        count: How many.
        seed: Of the draw.
        see: Crop [1, 3, S, S] to features [1, C, H, W].
        teach: (close crop, features of the search) to the teacher's logits [H, W].
        places: Words and length of a word's vector.
        held: Cells of the memory along a side.
        progress: Called with (done, total, label).

    Returns:
        memory, search, box, text, real, teacher; float16 but for the boxes.
    """
    rng = np.random.default_rng([seed, 0xC057])
    rows: dict[str, list[Array]] = {
        k: [] for k in ("memory", "search", "box", "text", "real", "teacher")
    }
    while len(rows["box"]) < count:
        for pair in pairs.draw(rng):
            memory, search = see(pair.memory[None])[0], see(pair.search[None])[0]
            rows["memory"].append(middle(memory, held).astype(np.float16))
            rows["search"].append(search.astype(np.float16))
            rows["box"].append(pair.box.astype(np.float32))
            rows["text"].append(sentence_features(pair.text, *places).astype(np.float16))
            rows["real"].append(np.array(pair.real))
            logits = np.zeros(search.shape[1:]) if teach is None else teach(pair.close, search)
            rows["teacher"].append(logits.astype(np.float16))
        progress(min(len(rows["box"]), count), count, "see pairs")
    return {key: np.stack(values[:count]) for key, values in rows.items()}


def fresh(pairs: Pairs, places: tuple[int, int]) -> Callable[[Any, Any], dict[str, Any]]:
    """Return what draws a batch of crops for a backbone that learns: nothing is kept."""

    def draw(order: Any, generator: Any) -> dict[str, Any]:
        import torch

        seed = torch.randint(2**62, (), generator=generator, device=generator.device)
        rng = np.random.default_rng(int(seed))
        drawn: list[Pair] = []
        while len(drawn) < len(order):
            drawn += pairs.draw(rng)
        drawn = drawn[: len(order)]
        arrays = {
            "memory": np.stack([p.memory for p in drawn]),
            "search": np.stack([p.search for p in drawn]),
            "box": np.stack([p.box for p in drawn]).astype(np.float32),
            "text": np.stack([sentence_features(p.text, *places) for p in drawn]),
        }
        return {key: torch.from_numpy(value).to(order.device) for key, value in arrays.items()}

    return draw
