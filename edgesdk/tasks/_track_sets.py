"""Sequences that judge a tracker: labelled ones, or worlds made up by seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.files import canonical, sha256_bytes
from edgesdk.core.task import ModelInfo, Samples
from edgesdk.core.tensors import Array
from edgesdk.sequences import Tracks, read_tracks
from edgesdk.tasks._inputs import draw_inputs
from edgesdk.words import sentence_features
from edgesdk.worlds import Scene, World, make_world

MADE = "synthetic"  # in place of a set: worlds made up by seed
WORLDS, FIRST = 24, 10_000
SCENE = Scene(frames=12)
TEXT = "text"  # the input that takes a sentence

Film = tuple[Iterator[Array], Array, str]


@dataclass(frozen=True)
class TrackSet:
    """Labelled sequences of a folder or archive.

    Attributes:
        tracks: The sequences.
    """

    tracks: Tracks
    counted: str = "sequences"

    @property
    def name(self) -> str:
        """Name of the folder or archive."""
        return self.tracks.name

    @property
    def sha256(self) -> str:
        """Hash over boxes, sentences and frames."""
        return self.tracks.sha256

    def __len__(self) -> int:
        return len(self.tracks)

    def hashes(self) -> set[str]:
        """Return the SHA-256 of every frame's file."""
        return self.tracks.hashes()

    def samples(self, info: ModelInfo, count: int, seed: int) -> Samples:
        """Return inputs made of at most `count` frames of the set."""
        rng = np.random.default_rng(seed)
        chosen = [self.tracks.tracks[i] for i in rng.integers(0, len(self), count)]
        frames = [t.read(int(rng.integers(len(t)))) for t in chosen]
        return inputs_of(info, frames, [t.text for t in chosen], seed, "frames of the set")

    def films(self) -> Iterator[Film]:
        """Yield the frames, boxes and sentence of each sequence."""
        for track in self.tracks.tracks:
            yield (track.read(i) for i in range(len(track))), track.boxes, track.text


@dataclass(frozen=True)
class MadeWorlds:
    """Worlds made up by seed, each with look-alikes of its target."""

    name: str = "made-up worlds"
    counted: str = "worlds"

    @property
    def sha256(self) -> str:
        """Hash over all frames and boxes."""
        told = [[sorted(_hashes(world)), world.boxes.tolist(), world.text] for world in _worlds()]
        return sha256_bytes(canonical(told))

    def __len__(self) -> int:
        return WORLDS

    def hashes(self) -> set[str]:
        """Return the SHA-256 of every frame."""
        return {digest for world in _worlds() for digest in _hashes(world)}

    def samples(self, info: ModelInfo, count: int, seed: int) -> Samples:
        """Return inputs made of worlds of another seed."""
        return drawn(info, count, seed)

    def films(self) -> Iterator[Film]:
        """Yield the frames, boxes and sentence of each world."""
        for world in _worlds():
            yield iter(world.frames), world.boxes, world.text


def open_set(place: Path) -> TrackSet | MadeWorlds:
    """Return the sequences at `place`; the word "synthetic" gives made-up worlds."""
    return MadeWorlds() if str(place) == MADE else TrackSet(read_tracks(place))


def drawn(info: ModelInfo, count: int, seed: int) -> Samples:
    """Return inputs made of the second frames of made-up worlds, with their sentences."""
    worlds = [
        make_world(int(s), Scene(width=96, height=96, frames=2, grey=False))
        for s in np.random.default_rng(seed).integers(2**31, size=count)
    ]
    frames, texts = [w.frames[1] for w in worlds], [w.text for w in worlds]
    return inputs_of(info, frames, texts, seed, "made-up frames")


def inputs_of(
    info: ModelInfo, frames: list[Array], texts: list[str], seed: int, what: str
) -> Samples:
    """Return the frames, whole, and their sentences as inputs; memories are drawn."""

    def given(count: int, seed: int, side: int) -> list[Array]:
        return frames

    samples = draw_inputs(info, len(frames), seed, given, what)
    arrays: dict[str, Any] = dict(samples.arrays)
    for spec in info.inputs:
        if spec.name == TEXT and len(spec.shape) == 3 and spec.shape[1] and spec.shape[2]:
            rows = [sentence_features(text, spec.shape[1], spec.shape[2]) for text in texts]
            arrays[TEXT] = np.stack(rows)
    return Samples(
        arrays=arrays, what=what, about=samples.about, pictures=tuple(frames), total=len(frames)
    )


@cache
def _worlds() -> tuple[World, ...]:
    return tuple(make_world(FIRST + i, SCENE) for i in range(WORLDS))


def _hashes(world: World) -> list[str]:
    return [sha256_bytes(frame.tobytes()) for frame in world.frames]
