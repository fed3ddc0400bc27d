"""Follow a target through frames: `Tracker`, and the steps behind it for any session.

tracker = edgesdk.Tracker()
tracker.start(frame, (x, y, width, height), "the red car")
found = tracker.update(next_frame)
found.box, found.score, found.lost
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.preprocess import check_picture
from edgesdk.core.task import ModelInfo, info_of
from edgesdk.core.tensors import Array, Arrays
from edgesdk.track_steps import Policy, boxes_in, choose, crop, middle, target_side
from edgesdk.words import sentence_features

AROUND = 0.35  # of the crop's side: how far off the squares lie that an unsure frame looks at
SMALLEST = 4.0  # pixels: no box gets smaller
TILES = 2  # of the whole frame looked at per frame while the target is lost
FARTHEST = 1e6  # pixels

Box = tuple[float, float, float, float]
Run = Callable[[Arrays], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Found:
    """What one frame tells of the target.

    Attributes:
        box: x, y, width, height in pixels of the frame; of a lost target the last known one.
        score: How sure, 0..1.
        lost: Whether the target has not been seen for some frames.
    """

    box: Box
    score: float
    lost: bool


def policy_of(info: ModelInfo) -> Policy:
    """Return the policy that travels with a model, the default where none does."""
    told = info.postprocess.get("policy", {})
    known = {f.name for f in fields(Policy)}
    return Policy(**{key: value for key, value in dict(told).items() if key in known})


class Follower:
    """The state of one target: place, speed, memory and sentence; the graph keeps nothing.

    Args:
        run: Takes and gives the tensors of `info`, a batch of one.
        info: Of a model of the task `tracking`.
        policy: How scores become boxes; the model's own where None.
    """

    def __init__(self, run: Run, info: ModelInfo, policy: Policy | None = None) -> None:
        self._run, self.policy = run, policy or policy_of(info)
        shapes = {spec.name: spec.shape for spec in info.inputs}
        self._size = int(shapes["image"][2] or 0)
        self._memory_side = int(shapes["memory"][2] or 0)
        self._places = (int(shapes["text"][1] or 0), int(shapes["text"][2] or 0))
        self._nothing = np.zeros((1, *map(int, shapes["memory"][1:])), np.float32)  # type: ignore[arg-type]
        self._stride = int(info.postprocess.get("stride", 16))
        # What the memory holds is target and surroundings; the crop is that much larger.
        self._wide = self._size / (self._memory_side * self._stride)
        self.seconds = {"crop": 0.0, "network": 0.0, "rest": 0.0}
        self._started = False

    def start(self, frame: Array, box: Any, text: str = "") -> Found:
        """Remember a target.

        Args:
            frame: HxWx3 uint8 RGB.
            box: x, y, width, height in pixels.
            text: What it is, in a sentence; "" leaves it out.

        Raises:
            UsageError: the box is none or lies outside the frame, or the sentence is none.
        """
        height, width = check_picture(frame).shape[:2]
        if not isinstance(text, str):
            raise UsageError(f"a sentence is a string, found {text!r}; leave it out for none")
        self._box = check_box(box, width, height)
        self._centre = np.array(self._box[:2]) + np.array(self._box[2:]) / 2
        self._sides = np.array(self._box[2:])
        self._speed, self._misses, self._tile = np.zeros(2), 0, 0
        self._text = sentence_features(text, *self._places)[None]
        answer = self._look(frame, self._centre, self._side(), self._nothing)
        self._first = self._memory = self._middle(answer["features"])
        self._started = True
        return Found(self._box, 1.0, False)

    def update(self, frame: Array | None) -> Found:
        """Find the target in the next frame; a frame that could not be read is None.

        Raises:
            UsageError: `start` was not called, or the frame is no picture.
        """
        if not self._started:
            raise UsageError("there is no target yet; call start(frame, box) first")
        if frame is None:
            return self._missed(0.0)
        height, width = check_picture(frame).shape[:2]
        side = self._side()
        awaited = self._awaited(side)
        centre, sides, score, rate, answer = self._find(frame, awaited, side)
        for square in self._more(awaited, side, score, (width, height)):
            other = self._find(frame, square, side)
            if other[2] > score:
                centre, sides, score, rate, answer = other
        if score < self.policy.lost:
            return self._missed(score)
        with self._clock("rest"):
            self._take(centre, sides, rate, (width, height))
            if self.policy.update and score >= self.policy.sure:
                self._remember(answer, awaited, side)
        return Found(self._box, score, False)

    @property
    def lost(self) -> bool:
        """Whether the target has not been seen for some frames."""
        return self._misses > self.policy.patience

    def _side(self) -> float:
        """Return the side of the crop in pixels of the frame."""
        return self._wide * target_side(*self._sides)

    def _awaited(self, side: float) -> Array:
        """Return where the target's middle is awaited; short steps are but a box that trembles."""
        far = np.abs(self._speed).max() > self.policy.still * side
        awaited: Array = self._centre + (self.policy.motion if far else 0.0) * self._speed
        return awaited

    def _more(
        self, awaited: Array, side: float, score: float, frame: tuple[int, int]
    ) -> list[Array]:
        """Return the middles of further squares to look at, none where the first one is sure."""
        if self.lost:
            return self._next_tiles(*frame, side)
        if score >= self.policy.look:
            return []
        corners = [(-1, -1), (1, -1), (-1, 1), (1, 1)]
        return [awaited + self._speed, *(awaited + AROUND * side * np.array(c) for c in corners)]

    def _find(
        self, frame: Array, at: Array, side: float
    ) -> tuple[Array, Array, float, float, Mapping[str, Any]]:
        """Return middle, sides, score, rate of taking over and the answer of one crop."""
        answer = self._look(frame, at, side, self._memory)
        with self._clock("rest"):
            scale = self._size / side
            boxes = boxes_in(np.asarray(answer["box"][0], np.float64), self._stride)
            scores = np.asarray(answer["score"], np.float64).ravel()
            target = (float(self._sides[0] * scale), float(self._sides[1] * scale))
            best, rate = choose(scores, boxes, target, self.policy)
            found = boxes[:, best] / scale
        return at + found[:2], found[2:], float(scores[best]), rate, answer

    def _look(self, frame: Array, at: Array, side: float, memory: Array) -> Mapping[str, Any]:
        with self._clock("crop"):
            image = crop(frame, (float(at[0]), float(at[1])), side, self._size)[None]
        with self._clock("network"):
            return self._run({"image": image, "memory": memory, "text": self._text})

    def _take(self, centre: Array, sides: Array, rate: float, frame: tuple[int, int]) -> None:
        centre = np.clip(centre, 0, frame)
        self._speed = centre - self._centre if self._misses == 0 else np.zeros(2)
        self._centre, self._misses = centre, 0
        self._sides = np.clip(self._sides * (1 - rate) + sides * rate, SMALLEST, frame)
        self._box = _as_box(self._centre, self._sides)

    def _missed(self, score: float) -> Found:
        self._misses += 1
        self._speed = self._speed * 0
        return Found(self._box, score, self.lost)

    def _middle(self, features: Array) -> Array:
        return np.ascontiguousarray(middle(features, self._memory_side))

    def _remember(self, answer: Mapping[str, Any], awaited: Array, side: float) -> None:
        """Mix the target's new features into the memory, from where it stands in the crop."""
        shift = np.round((self._centre - awaited) * self._size / side / self._stride).astype(int)
        moved = np.roll(answer["features"], (-shift[1], -shift[0]), (2, 3))
        part = self.policy.update
        self._memory = (1 - part) * self._memory + part * self._middle(moved)

    def _next_tiles(self, width: int, height: int, side: float) -> list[Array]:
        """Return the middles of the next few squares of a grid over the whole frame."""
        columns, rows = (max(1, round(2 * n / side)) for n in (width, height))
        numbers = [(self._tile + i) % (columns * rows) for i in range(min(TILES, columns * rows))]
        self._tile += TILES
        return [
            np.array([(n % columns + 0.5) * width / columns, (n // columns + 0.5) * height / rows])
            for n in numbers
        ]

    @contextmanager
    def _clock(self, stage: str) -> Any:
        begin = time.perf_counter()
        yield
        self.seconds[stage] += time.perf_counter() - begin


class Tracker:
    """Follows one target; a context manager. Frames come in order, from one thread.

    Args:
        bundle: Shipped name, folder or bundle of a model for tracking.
        runtime: Runtime; default: the first one of the bundle that works here.
        device: cpu or cuda:0.
        threads: Threads of the CPU.
        allow_fallback: Accept another device than the one asked for.
        policy: How scores become boxes, an `edgesdk.track_steps.Policy`; the model's own where
            None.

    Raises:
        UsageError: the bundle is for another task, or the policy is none.
    """

    def __init__(
        self,
        bundle: Any = "tracker",
        *,
        runtime: str | None = None,
        device: str = "cpu",
        threads: int = 1,
        allow_fallback: bool = False,
        policy: Policy | None = None,
    ) -> None:
        from edgesdk.core.shipped import open_bundle
        from edgesdk_runtimes._open import open_session

        if policy is not None and not isinstance(policy, Policy):
            raise UsageError(f"a policy is an edgesdk.track_steps.Policy, found {policy!r}")
        opened = open_bundle(bundle if not isinstance(bundle, Path | str) else str(bundle))
        check_task(opened)
        self._session = open_session(opened, runtime, device, threads, allow_fallback)
        self._follower = Follower(self._session.run, info_of(opened), policy)

    def start(self, frame: Array, box: Any, text: str = "") -> Found:
        """Remember a target; see `Follower.start`."""
        return self._follower.start(frame, box, text)

    def update(self, frame: Array | None) -> Found:
        """Find it in the next frame; see `Follower.update`."""
        return self._follower.update(frame)

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds spent so far on crop, network and the rest."""
        return dict(self._follower.seconds)

    def close(self) -> None:
        """Free the session."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def check_task(bundle: Any) -> None:
    """Raise UsageError for a bundle of another task."""
    if bundle.task != "tracking":
        raise UsageError(
            f"{bundle.name} is for {bundle.task}; give a bundle for tracking, such as tracker"
        )


def check_box(box: Any, width: int, height: int) -> Box:
    """Return a box as floats.

    Raises:
        UsageError: it is not four numbers with a size, or does not touch the frame.
    """
    try:
        x, y, w, h = (float(value) for value in box)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"a box is four numbers x, y, width, height, found {box!r}") from None
    if not np.isfinite([x, y, w, h]).all() or w <= 0 or h <= 0 or max(w, h) > FARTHEST:
        raise UsageError(
            f"a box has a width and a height above 0 and up to {FARTHEST:.0f} pixels, found {box!r}"
        )
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise UsageError(f"the box {box!r} lies outside the frame of {width}x{height} pixels")
    return (x, y, w, h)


def _as_box(centre: Array, sides: Array) -> Box:
    x, y = centre - sides / 2
    return float(x), float(y), float(sides[0]), float(sides[1])
