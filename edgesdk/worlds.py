"""A made-up world for trackers: objects that move over a background, and what tells one apart.

Drawn shapes or cut-out pictures move with changes of size, turns, motion blur, changes of light
and occlusion, some as small as 6 to 14 pixels; look-alikes have the target's shape in other
colours, so that the sentence names what the first frame, grey and noisy, cannot show.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgesdk.core.preprocess import resize
from edgesdk.core.tensors import Array

COLOURS = {
    "red": (205, 40, 40), "green": (45, 165, 60), "blue": (45, 75, 205), "yellow": (225, 205, 50),
    "purple": (145, 55, 175), "orange": (235, 130, 35), "white": (238, 238, 238),
    "black": (22, 22, 22),
}  # fmt: skip
SHAPES = ("circle", "square", "triangle", "cross", "ring")
GRAIN = 24.0  # of the first frame's noise, grey levels
NEAR = 1.6  # sides of the target: how far its look-alikes are
PULL = 0.02  # per frame, towards the target
BLUR = 3  # places of an object within one exposure


@dataclass(frozen=True, slots=True)
class Scene:
    """How a world is made.

    Attributes:
        width: Of its frames in pixels.
        height: Likewise.
        frames: How many.
        lookalikes: Objects of the target's shape in other colours.
        smallest: Side of the target in pixels, at least.
        largest: At most.
        grey: Whether the first frame is grey and noisy.
        occlusion: Chance that a bar passes before everything.
        jump: Sides of the target that every object jumps from frame to frame, so that its way
            does not tell which one it is.
        rest: Frames between two such jumps in which every object goes its way.
    """

    width: int = 240
    height: int = 180
    frames: int = 20
    lookalikes: int = 2
    smallest: float = 8.0
    largest: float = 48.0
    grey: bool = True
    occlusion: float = 0.2
    jump: float = 0.0
    rest: int = 0


@dataclass(frozen=True, slots=True)
class World:
    """A made-up sequence.

    Attributes:
        frames: HxWx3 uint8 RGB each.
        boxes: float [frames, 4] of x, y, width, height.
        text: The sentence that tells the target apart.
    """

    frames: tuple[Array, ...]
    boxes: Array
    text: str


@dataclass(slots=True)
class _Mover:
    """An object on its way: place, speed, side and turn, and how each drifts."""

    shape: str
    colour: Array
    place: Array
    speed: Array
    side: float
    growth: float
    angle: float
    turn: float
    stripes: float
    cut: Array | None = None

    def step(self, rng: np.random.Generator, bounds: Array) -> None:
        self.place = self.place + self.speed
        out = (self.place < self.side) | (self.place > bounds - self.side)
        self.speed = np.where(out, -self.speed, self.speed + rng.normal(0, 0.25, 2))
        self.place = np.clip(self.place, self.side / 2, bounds - self.side / 2)
        self.side *= self.growth
        self.angle += self.turn


def make_world(
    seed: int,
    scene: Scene | None = None,
    photos: Sequence[Array] = (),
    cuts: Sequence[tuple[str, Array]] = (),
) -> World:
    """Return the world of a seed.

    Args:
        seed: Equal seeds give equal worlds.
        scene: How it is made; the default one where None.
        photos: HxWx3 uint8 RGB backgrounds, drawn clutter where there are none.
        cuts: Names and HxWx4 uint8 RGBA cut-outs that move in place of drawn shapes, the
            look-alikes in other tints.
    """
    scene = scene or Scene()
    rng = np.random.default_rng([seed, 0x77A1])
    ground = _ground(rng, scene, photos)
    names = [str(name) for name in rng.permutation(list(COLOURS))[: scene.lookalikes + 1]]
    bounds = np.array([scene.width, scene.height], float)
    cut = cuts[int(rng.integers(len(cuts)))] if cuts else None
    shape = str(rng.choice(SHAPES))
    side = float(np.exp(rng.uniform(np.log(scene.smallest), np.log(scene.largest))))
    movers = [_mover(rng, shape, COLOURS[name], side, bounds, cut) for name in names]
    for other in movers[1:]:  # they stay near, and cross its way
        away = movers[0].place + rng.normal(0, NEAR, 2) * side
        other.place = np.clip(away, side, np.maximum(bounds - side, side + 1))
        other.speed = movers[0].speed + rng.normal(0, 0.04 * side + 0.5, 2)
    bar = _bar(rng, scene)
    light = 1 + rng.uniform(-0.012, 0.012) * np.arange(scene.frames)
    frames, boxes = [], []
    for number in range(scene.frames):
        canvas = ground.copy()
        for mover in reversed(movers):
            box = _paint(canvas, mover)
        boxes.append(box)  # the target is painted last
        if bar is not None:
            _cover(canvas, bar, number)
        if number == 0 and scene.grey:
            canvas[:] = canvas.mean(2, keepdims=True) + rng.normal(0, GRAIN, canvas.shape)
        noisy = canvas * light[number] + rng.normal(0, 3, canvas.shape)
        frames.append(noisy.clip(0, 255).astype(np.uint8))
        for mover in movers:
            mover.step(rng, bounds)
        for other in movers[1:]:
            other.speed += PULL * (movers[0].place - other.place)
        if scene.jump and (number + 1) % (scene.rest + 1) == 0:
            _jump(rng, movers, scene.jump, bounds)
    noun = shape if cut is None else cut[0]
    text = f"the {_size(side)}{names[0]} {noun}"
    return World(tuple(frames), np.array(boxes), text)


def _jump(rng: np.random.Generator, movers: list[_Mover], far: float, bounds: Array) -> None:
    """Place all objects anew around the middle of the group."""
    middle = np.mean([mover.place for mover in movers], 0)
    for mover in movers:
        place = middle + rng.uniform(-far, far, 2) * mover.side
        mover.place = np.clip(place, mover.side / 2, bounds - mover.side / 2)


def _size(side: float) -> str:
    return "small " if side < 14 else "large " if side > 34 else ""


def _mover(
    rng: np.random.Generator,
    shape: str,
    colour: tuple[int, int, int],
    side: float,
    bounds: Array,
    cut: tuple[str, Array] | None,
) -> _Mover:
    tint = np.array(colour) + rng.normal(0, 8, 3)
    return _Mover(
        shape=shape,
        colour=tint,
        place=rng.uniform(side, np.maximum(bounds - side, side + 1)),
        speed=rng.normal(0, 0.06 * side + 0.8, 2),
        side=side * float(rng.uniform(0.85, 1.15)),
        growth=float(rng.uniform(0.985, 1.015)),
        angle=float(rng.uniform(0, 2 * np.pi)),
        turn=float(rng.normal(0, 0.06)),
        stripes=float(rng.uniform(0, 0.25)),
        cut=None if cut is None else cut[1],
    )


def _ground(rng: np.random.Generator, scene: Scene, photos: Sequence[Array]) -> Array:
    size = (scene.height, scene.width)
    if photos:
        return resize(photos[int(rng.integers(len(photos)))], size)
    ground = np.full((*size, 3), 127.5, np.float32) + rng.uniform(-50, 50, 3)
    for grain in (3, 7, 19, 47):
        noise = rng.normal(127.5, rng.uniform(5, 30), (grain, grain, 3)).clip(0, 255)
        ground += resize(noise.astype(np.float32), size) - 127.5
    clipped: Array = ground.clip(0, 255).astype(np.float32)
    return clipped


def _paint(canvas: Array, mover: _Mover) -> Array:
    """Paint the object, blurred along its way, and return its box."""
    reach = mover.side * 0.75 + 2 + np.abs(mover.speed).max()
    low = np.maximum(np.floor(mover.place - reach), 0).astype(int)
    high = np.ceil(mover.place + reach).astype(int)
    part = canvas[low[1] : high[1], low[0] : high[0]]
    y, x = np.mgrid[: part.shape[0], : part.shape[1]]
    alpha = np.zeros(part.shape[:2])
    colour = np.zeros(part.shape)
    for share in np.linspace(-0.25, 0.25, BLUR):
        place = mover.place + share * mover.speed - low
        one, tint = _appearance(mover, x + 0.5 - place[0], y + 0.5 - place[1])
        alpha += one / BLUR
        colour += one[..., None] * tint / BLUR
    part[:] = part * (1 - alpha[..., None]) + colour
    return _box(alpha, low)


def _box(alpha: Array, low: Array) -> Array:
    """Return the box of what is at least half there; a lost object has one of no size."""
    rows, columns = np.nonzero((alpha > 0.5).any(1))[0], np.nonzero((alpha > 0.5).any(0))[0]
    if not len(rows) or not len(columns):
        return np.array([*low, 1.0, 1.0], float)
    corner = np.array([columns[0], rows[0]]) + low
    box: Array = np.array([*corner, np.ptp(columns) + 1, np.ptp(rows) + 1], float)
    return box


def _appearance(mover: _Mover, x: Array, y: Array) -> tuple[Array, Array]:
    """Return the cover [H, W] and the colour [H, W, 3] at places relative to the middle."""
    cos, sin = np.cos(mover.angle), np.sin(mover.angle)
    u, v = (cos * x + sin * y) / mover.side, (cos * y - sin * x) / mover.side
    if mover.cut is not None:
        return _cut_out(mover, u, v)
    cover = np.clip(0.5 - _outside(mover.shape, u, v) * mover.side, 0, 1)
    shade = 1 - mover.stripes * (np.sin(u * 18) > 0)
    return cover, mover.colour * shade[..., None]


def _cut_out(mover: _Mover, u: Array, v: Array) -> tuple[Array, Array]:
    assert mover.cut is not None
    height, width = mover.cut.shape[:2]
    scale = max(height, width)
    row, column = (v * scale + height / 2).astype(int), (u * scale + width / 2).astype(int)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    seen = mover.cut[row.clip(0, height - 1), column.clip(0, width - 1)].astype(float)
    grey = seen[..., :3].mean(2, keepdims=True) / 160
    return inside * seen[..., 3] / 255, (0.35 * seen[..., :3] + 0.65 * mover.colour * grey)


def _outside(shape: str, u: Array, v: Array) -> Array:
    """Return the signed distance from the shape's edge, in sides of the object."""
    if shape == "circle":
        found = np.hypot(u, v) - 0.5
    elif shape == "square":
        found = np.maximum(np.abs(u), np.abs(v)) - 0.42
    elif shape == "triangle":
        found = np.maximum(0.866 * np.abs(u) + 0.5 * v, -v) - 0.29
    elif shape == "ring":
        found = np.abs(np.hypot(u, v) - 0.36) - 0.14
    else:
        arms = np.minimum(
            np.maximum(np.abs(u) - 0.5, np.abs(v) - 0.17),
            np.maximum(np.abs(v) - 0.5, np.abs(u) - 0.17),
        )
        found = arms
    edge: Array = found
    return edge


def _bar(rng: np.random.Generator, scene: Scene) -> tuple[float, float, float, Array] | None:
    """Return place, speed, width and colour of an upright bar, or None."""
    if rng.random() >= scene.occlusion:
        return None
    speed = float(rng.choice([-1, 1]) * rng.uniform(4, 9))
    return (
        float(rng.uniform(0, scene.width)),
        speed,
        float(rng.uniform(6, 20)),
        rng.uniform(40, 210, 3),
    )


def _cover(canvas: Array, bar: tuple[float, float, float, Array], number: int) -> None:
    place, speed, width, colour = bar
    left = int(place + speed * number)
    canvas[:, max(left, 0) : max(left + int(width), 0)] = colour
