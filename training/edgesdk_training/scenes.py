"""Tiles to learn to find faces on: cut out of photos, or made by pasting faces into them.

A tile shows a photo enlarged, shrunk and turned so that one of its faces has a size drawn by the
seed, or a place without faces. Into some, aligned faces of other sets are pasted with soft edges,
hidden in part by the occluders of `edgesdk_training.occluders`; then light, colour, blur, noise
and JPEG vary. Where the faces are is known throughout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesdk.core.preprocess import TEMPLATES, similarity
from edgesdk.core.tensors import Array

# A row of a face: x, y, width, height, score, then five points x, y.
ROW, SCORE, POINTS = 15, 4, 5
MOST_ZOOM = 2.2
LEAST_PX, MOST_PX = 9.0, 0.85  # of a face: in pixels, and as a part of the tile
ALIGNED = 112  # side in pixels of the aligned faces that the template's points are given for
STEEP = 0.06  # share of tiles turned by any angle instead of some degrees
SWAP_EYES = [1, 0, 2, 4, 3]


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture with its faces.

    Attributes:
        picture: HxWx3 uint8 RGB.
        faces: float32 [K, ROW].
        group: Pictures of one group, such as a video's frames, count as one.
    """

    picture: Array
    faces: Array
    group: str = ""


@dataclass(frozen=True, slots=True)
class Odds:
    """How tiles are drawn.

    Attributes:
        side: Of a tile in pixels.
        photo: Share of tiles around a photo's own face.
        wrong: Share of the others around what was taken for a face and is none.
        pasted: Share of the rest into which faces are pasted.
        hidden: Share of pasted faces that are hidden in part.
        worn: Share of a photo's own faces that are hidden in part.
        turn: Deviation of the turn in degrees.
        least: Score of the teacher from which a find is a face; below it nothing is learnt there.
    """

    side: int = 160
    photo: float = 0.5
    wrong: float = 0.0
    pasted: float = 0.6
    hidden: float = 0.35
    worn: float = 0.0
    turn: float = 10.0
    least: float = 0.7


class Scenes:
    """Draws tiles.

    Args:
        photos: Photos with what the teacher found in them.
        crops: Aligned faces, each with its one face.
        layers: Occluders uint8 [K, S, S, 4] that lie on an aligned face; may be none.
        odds: How tiles are drawn.
        mistakes: Photos with what was taken for faces there and is none, [K, 4 and more].
    """

    def __init__(
        self,
        photos: Sequence[Shown],
        crops: Sequence[Shown],
        layers: Array,
        odds: Odds,
        mistakes: Sequence[tuple[Shown, Array]] = (),
    ) -> None:
        self._crops, self._layers, self._odds = crops, layers, odds
        self._mistakes = mistakes
        self._seen = _grouped([p for p in photos if (p.faces[:, SCORE] >= odds.least).any()])
        self._bare = _grouped([p for p in photos if not len(p.faces)]) or _grouped(photos)

    def tile(self, random: np.random.Generator) -> tuple[Array, Array]:
        """Return a tile [side, side, 3] uint8 and its faces [K, ROW]."""
        odds = self._odds
        if self._seen and random.random() < odds.photo:
            shown = self._worn(self._around_a_face(random), random)
        elif self._mistakes and random.random() < odds.wrong:
            shown = self._around_a_mistake(random)
        else:
            shown = self._anywhere(random)
            if self._crops and random.random() < odds.pasted:
                shown = self._pasted(shown, random)
        picture, faces = shown.picture, shown.faces
        if random.random() < 0.5:
            picture, faces = mirrored(picture, faces)
        return vary(picture, random), faces

    def _size(self, random: np.random.Generator) -> float:
        """Return the size of a face in pixels, as often small as large."""
        low, high = math.log(LEAST_PX), math.log(MOST_PX * self._odds.side)
        return math.exp(random.uniform(low, high))

    def _angle(self, random: np.random.Generator) -> float:
        if random.random() < STEEP:
            return float(random.uniform(-180, 180))
        return float(random.normal(0, self._odds.turn))

    def _around_a_face(self, random: np.random.Generator) -> Shown:
        shown = _one(self._seen, random)
        sure = np.flatnonzero(shown.faces[:, SCORE] >= self._odds.least)
        return self._around(shown, shown.faces[random.choice(sure)], random)

    def _worn(self, shown: Shown, random: np.random.Generator) -> Shown:
        """Return a tile in which some of the photo's own faces are hidden in part."""
        if not len(self._layers) or not self._odds.worn:
            return shown
        picture = shown.picture.copy()
        for row in shown.faces[shown.faces[:, SCORE] >= self._odds.least]:
            if random.random() < self._odds.worn:
                wear(picture, row, self._layers[random.integers(len(self._layers))])
        return Shown(picture, shown.faces)

    def _around_a_mistake(self, random: np.random.Generator) -> Shown:
        shown, boxes = self._mistakes[int(random.integers(len(self._mistakes)))]
        return self._around(shown, boxes[int(random.integers(len(boxes)))], random)

    def _around(self, shown: Shown, face: Array, random: np.random.Generator) -> Shown:
        zoom = min(self._size(random) / math.sqrt(face[2] * face[3]), MOST_ZOOM)
        half = self._odds.side / 2
        middle = face[:2] + face[2:4] / 2
        place = random.uniform(-0.8, 0.8, 2) * half
        return cut(shown, middle - place / zoom, zoom, self._angle(random), self._odds.side, random)

    def _anywhere(self, random: np.random.Generator) -> Shown:
        shown = _one(self._bare, random)
        size = np.array(shown.picture.shape[1::-1])
        fits = self._odds.side / float(size.max())
        zoom = math.exp(random.uniform(math.log(fits), math.log(max(1.5, fits))))
        angle = self._angle(random)
        return cut(shown, random.uniform(0.2, 0.8, 2) * size, zoom, angle, self._odds.side, random)

    def _pasted(self, shown: Shown, random: np.random.Generator) -> Shown:
        """Return a tile with one to four pasted faces that do not overlap by much."""
        picture, faces = shown.picture.copy(), [*shown.faces]
        for _ in range(int(random.integers(1, 5))):
            crop = self._crops[int(random.integers(len(self._crops)))]
            size, angle = self._size(random), self._angle(random)
            middle = random.uniform(0.05, 0.95, 2) * self._odds.side
            if any(_near(face, middle, size) for face in faces):
                continue
            cover = self._layers if random.random() < self._odds.hidden else self._layers[:0]
            faces.append(paste_face(picture, crop, cover, middle, size, angle, random))
        return Shown(picture, np.array(faces, np.float32).reshape(-1, ROW))


def _grouped(photos: Sequence[Shown]) -> list[list[Shown]]:
    groups: dict[str, list[Shown]] = {}
    for number, photo in enumerate(photos):
        groups.setdefault(photo.group or f" {number}", []).append(photo)
    return list(groups.values())


def _one(groups: Sequence[Sequence[Shown]], random: np.random.Generator) -> Shown:
    group = groups[int(random.integers(len(groups)))]
    return group[int(random.integers(len(group)))]


def _near(face: Array, middle: Array, size: float) -> bool:
    away = np.abs(face[:2] + face[2:4] / 2 - middle)
    return bool((away < 0.75 * (size + face[2:4]) / 2 * 1.3).all())


def cut(
    shown: Shown, middle: Array, zoom: float, angle: float, side: int, random: np.random.Generator
) -> Shown:
    """Return a square of a photo, with the faces that are seen in it.

    Args:
        shown: The photo.
        middle: x, y of the photo that becomes the tile's middle.
        zoom: Pixels of the tile for one of the photo.
        angle: Turn in degrees.
        side: Of the tile in pixels.
        random: Chooses what lies outside of the photo.
    """
    forward = placed(middle, zoom, angle, side / 2)
    fill = (0, 0, 0) if random.random() < 0.5 else tuple(map(int, random.integers(0, 256, 3)))
    tile = warped(shown.picture, forward, (side, side), fill)
    return Shown(tile, _inside(moved(shown.faces, forward), side))


def placed(middle: Array, zoom: float, angle: float, target: Any) -> Array:
    """Return the 2x3 matrix that turns and zooms and brings `middle` to `target`."""
    turn = math.radians(angle)
    c, s = zoom * math.cos(turn), zoom * math.sin(turn)
    linear = np.array([[c, -s], [s, c]])
    return np.concatenate([linear, (target - linear @ middle)[:, None]], 1)


def _inverse(forward: Array) -> Array:
    linear = np.linalg.inv(forward[:, :2])
    return np.concatenate([linear, -(linear @ forward[:, 2:])], 1)


def moved(faces: Array, forward: Array) -> Array:
    """Return faces [K, ROW] after a similarity; boxes are set up again around their middle.

    A face's box is that of an upright one: turned, it keeps its middle and becomes square bit
    by bit, as a detector's does.
    """
    result = faces.copy()
    linear, shift = forward[:, :2], forward[:, 2]
    zoom = math.sqrt(abs(float(np.linalg.det(linear))))
    aside = (linear[1, 0] / zoom) ** 2
    size = faces[:, 2:4] * zoom
    size = size * (1 - aside) + size[:, ::-1] * aside
    middle = (faces[:, :2] + faces[:, 2:4] / 2) @ linear.T + shift
    result[:, :2], result[:, 2:4] = middle - size / 2, size
    points = faces[:, POINTS:].reshape(-1, 5, 2) @ linear.T + shift
    result[:, POINTS:] = points.reshape(-1, 10)
    return result


def _inside(faces: Array, side: int) -> Array:
    """Return the faces that are seen; the score of one mostly cut off or tiny tells nothing."""
    low = faces[:, :2].clip(0, side)
    high = (faces[:, :2] + faces[:, 2:4]).clip(0, side)
    part = (high - low).prod(1) / np.maximum(faces[:, 2:4].prod(1), 1e-6)
    seen: Array = faces[part > 0.1]
    unclear = (part[part > 0.1] < 0.65) | (np.sqrt(seen[:, 2:4].prod(1)) < LEAST_PX * 0.85)
    seen[unclear, SCORE] = 0.0
    return seen


def mirrored(picture: Array, faces: Array) -> tuple[Array, Array]:
    """Return a tile and its faces seen in a mirror; the picture's left stays first."""
    result, side = faces.copy(), picture.shape[1]
    result[:, 0] = side - faces[:, 0] - faces[:, 2]
    points = faces[:, POINTS:].reshape(-1, 5, 2)[:, SWAP_EYES]
    points[..., 0] = side - points[..., 0]
    result[:, POINTS:] = points.reshape(-1, 10)
    return np.ascontiguousarray(picture[:, ::-1]), result


def paste_face(
    picture: Array,
    crop: Shown,
    cover: Array,
    middle: Array,
    size: float,
    angle: float,
    random: np.random.Generator,
) -> Array:
    """Paste an aligned face with soft edges into a tile, in place, and return its row [ROW].

    Args:
        picture: The tile.
        crop: The aligned face.
        cover: Occluders uint8 [K, S, S, 4], one of which hides it; none for a bare face.
        middle: x, y of the face's middle.
        size: Square root of the area of its box in pixels.
        angle: Turn in degrees.
        random: Chooses the occluder, the light and the edge.
    """

    face, row = crop.picture, crop.faces[0]
    zoom = size / math.sqrt(row[2] * row[3])
    edge = soft_edge(len(face), random)
    if len(cover):
        face, edge = hidden(face, edge, cover[random.integers(len(cover))])
    forward = placed(row[:2] + row[2:4] / 2, zoom, angle, middle)
    _lay(picture, np.dstack([face, edge]), forward, random.uniform(0, 0.6))
    pasted: Array = _inside(moved(row[None], forward), len(picture))[0]
    return pasted


def wear(picture: Array, row: Array, layer: Array) -> None:
    """Hide a face of a picture in part, in place.

    Args:
        picture: HxWx3 uint8.
        row: The face, [ROW].
        layer: Occluder uint8 [S, S, 4] that lies on an aligned face.
    """
    there = row[POINTS:].reshape(-1, 2)
    _lay(picture, layer, similarity(TEMPLATES["arcface"] * (len(layer) / ALIGNED), there), 0.0)


def _lay(picture: Array, layer: Array, forward: Array, lit: float) -> None:
    """Lay colours and opacity [S, S, 4] on a picture, in place; `lit` as in `_lit`."""
    # Only where the layer comes to lie is anything computed.
    corners = np.array([[0, 0, 1, 1], [0, 1, 0, 1]]) * len(layer)
    corners = forward[:, :2] @ corners + forward[:, 2:]
    left, top = np.floor(corners.min(1)).astype(int).clip(0)
    high, wide = picture.shape[:2]
    right, bottom = np.minimum(np.ceil(corners.max(1)).astype(int), (wide, high))
    if right <= left or bottom <= top:
        return
    moved_by = forward - [[0, 0, left], [0, 0, top]]
    shown = warped(layer, moved_by, (right - left, bottom - top))
    window = picture[top:bottom, left:right]
    colours, opacity = shown[..., :3].astype(np.float32), shown[..., 3:] / np.float32(255)
    colours = _lit(colours, window, opacity, lit)
    window[:] = (window + (colours - window) * opacity).clip(0, 255)


def warped(picture: Array, forward: Array, size: tuple[int, int], fill: Any = None) -> Array:
    """Return a picture after a similarity, width and height `size`; shrunk ones are averaged."""
    from PIL import Image

    image, back = Image.fromarray(picture), _inverse(forward)
    shrink = max(1, int(math.hypot(*back[:, 0]) + 0.3))
    if shrink > 1:
        image, back = image.reduce(shrink), back / shrink
    way = Image.Transform.AFFINE
    kind = Image.Resampling.BILINEAR
    return np.asarray(image.transform(size, way, back.ravel().tolist(), kind, fillcolor=fill))


def _lit(face: Array, picture: Array, opacity: Array, share: float) -> Array:
    """Return the face in a light that is drawn to that of the place where it is pasted."""
    weight = max(float(opacity.sum()), 1.0)
    here = (picture * opacity).sum((0, 1)) / weight
    own = (face * opacity).sum((0, 1)) / weight
    lit: Array = face + (here - own) * share
    return lit


def soft_edge(side: int, random: np.random.Generator) -> Array:
    """Return opacity uint8 [side, side] of a head-like ellipse, or of the whole crop."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side * 2 - 1
    power = 2.0 if random.random() < 0.7 else 6.0
    wide, high = random.uniform(0.72, 0.95, 2) if power == 2.0 else (0.93, 0.93)
    radius = (np.abs(x / wide) ** power + np.abs((y - 0.03) / high) ** power) ** (1 / power)
    softness = random.uniform(0.04, 0.2)
    opacity: Array = ((1 - radius) / softness + 0.5).clip(0, 1) * 255
    return opacity.astype(np.uint8)


def hidden(face: Array, edge: Array, layer: Array) -> tuple[Array, Array]:
    """Return an aligned face with an occluder on it, and its edge, which the occluder widens."""
    from PIL import Image

    side = len(face)
    top = np.asarray(Image.fromarray(layer).resize((side, side))).astype(np.float32)
    opacity = top[..., 3:] / 255
    mixed = (face + (top[..., :3] - face) * opacity).clip(0, 255).astype(np.uint8)
    return mixed, np.maximum(edge, (opacity[..., 0] * 255).astype(np.uint8))


def vary(picture: Array, random: np.random.Generator) -> Array:
    """Return a tile in another light, with blur, noise and JPEG by chance, uint8."""
    from PIL import Image, ImageFilter

    from edgesdk_training.soft import jpeg

    image = Image.fromarray(picture)
    if random.random() < 0.25:
        image = image.filter(ImageFilter.BoxBlur(random.uniform(0.3, 1.4)))
    if random.random() < 0.15:
        image = image.convert("L").convert("RGB")
    gain, shift = random.uniform(0.6, 1.45), random.uniform(-35, 35)
    levels = (np.arange(256) - 127.5) * gain + 127.5 + shift
    tables = (levels + random.uniform(-12, 12, (3, 1))).clip(0, 255)
    varied = np.asarray(image.point(tables.astype(int).ravel().tolist()))
    if random.random() < 0.3:
        noise = random.standard_normal((*varied.shape[:2], 1), np.float32) * random.uniform(2, 14)
        varied = (varied + noise).clip(0, 255).astype(np.uint8)
    return jpeg(varied, int(random.integers(35, 95))) if random.random() < 0.3 else varied
