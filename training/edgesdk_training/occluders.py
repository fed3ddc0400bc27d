"""What hides a face: pasted mask templates, and masks, sunglasses, hands and scarves drawn here.

A bank of pictures with transparency is drawn once, each already where it lies on an aligned face;
a batch takes some of them, moves, mirrors and colours them anew and pastes them. Templates come as
MaskTheFace (A. Anwar 2020, MIT licence) stores them: pictures with transparency and, in
`masks.cfg`, six points each, that lie on fixed points of an aligned face.
"""

from __future__ import annotations

import configparser
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.preprocess import resize
from edgesdk.core.tensors import Array
from edgesdk.picture_sets import Pictures

if TYPE_CHECKING:
    from torch import Generator, Tensor

LIST = "masks/masks.cfg"
POINTS = "abcdef"
# Where the six points lie on a crop of 112 px: upper edge left, nose, right; lower edge likewise.
PLACES = {
    "": ((19, 66), (56, 61), (93, 66), (27, 95), (56, 117), (85, 95)),
    "left": ((25, 64), (38, 59), (95, 66), (30, 92), (46, 116), (91, 95)),
    "right": ((17, 66), (74, 59), (87, 64), (21, 95), (66, 116), (82, 92)),
}
# How far the points of one mask stray, together and each: standard deviations, px of 112.
TOGETHER, EACH = 2.5, 2.0
TEMPLATE_SIDE = 160
DRAWN = ("drawn-mask", "sunglasses", "hand", "scarf")
# Every second drawn entry is a mask: it is what a bank without templates has of them.
DRAWN_SHARE = (0.5, 0.2, 0.15, 0.15)


@dataclass(frozen=True, slots=True)
class Template:
    """One mask to paste.

    Attributes:
        kind: Name without the view, such as "surgical_blue".
        view: "", "left" or "right".
        picture: uint8 [H, W, 4], colours and transparency.
        points: float [6, 2], x and y of the points a to f.
    """

    kind: str
    view: str
    picture: Array
    points: Array


@dataclass(frozen=True, slots=True)
class Bank:
    """Occluders in place on an aligned face.

    Attributes:
        layers: uint8 [K, 4, S, S], colours and transparency.
        kinds: Kind of each, [K].
    """

    layers: Tensor
    kinds: tuple[str, ...]

    def to(self, device: str) -> Bank:
        """Return the same bank on a torch device."""
        return Bank(self.layers.to(device), self.kinds)

    def only(self, wanted: Callable[[str], bool]) -> Bank:
        """Return the entries of the kinds that `wanted` tells true of."""
        chosen = [i for i, kind in enumerate(self.kinds) if wanted(kind)]
        return Bank(self.layers[chosen], tuple(self.kinds[i] for i in chosen))


def read_templates(path: Path | str) -> list[Template]:
    """Return the mask templates of a folder or archive as MaskTheFace has it.

    Raises:
        UsageError: there is no list, or an entry of it cannot be read.
    """
    source = Pictures(path)
    parser = configparser.ConfigParser(comment_prefixes=(";", "#"))
    try:
        parser.read_string(source.bytes(LIST).decode())
        entries = [(name, parser[name]) for name in parser.sections() if "mask_a" in parser[name]]
        return [_template(source, name, entry) for name, entry in entries]
    except (configparser.Error, UnicodeDecodeError, ValueError, KeyError) as error:
        raise UsageError(f"{path}: {LIST} cannot be read ({error}); get the set again") from None


def _template(source: Pictures, name: str, entry: Any) -> Template:
    from PIL import Image

    with Image.open(io.BytesIO(source.bytes(entry["template"]))) as image:
        picture = np.asarray(image.convert("RGBA"))
    points = np.array([[float(n) for n in entry[f"mask_{p}"].split(",")] for p in POINTS])
    scale = TEMPLATE_SIDE / max(picture.shape[:2])
    size = tuple(max(2, round(n * scale)) for n in picture.shape[:2])
    colours, cover = resize(picture[..., :3], size), resize(picture[..., 3:].repeat(3, 2), size)
    small = np.concatenate([colours, cover[..., :1]], 2).round().astype(np.uint8)
    kind, _, view = name.rpartition("_")
    sided = view in ("left", "right")
    return Template(kind if sided else name, view if sided else "", small, points * scale)


def draw_bank(
    templates: Sequence[Template], side: int, count: int, seed: int, plain: float = 0.4
) -> Bank:
    """Return `count` occluders at `side` pixels; the seed decides on all of them.

    Args:
        templates: Masks to paste; none for drawn ones alone.
        side: Of the faces in pixels.
        count: Number of occluders.
        seed: Of everything random.
        plain: Share of occluders that are drawn, where there are templates.
    """
    import torch

    generator = np.random.default_rng(seed)
    layers, kinds = np.empty((count, side, side, 4), np.uint8), []
    # Most faces look ahead.
    weights = np.array([1.0 if template.view else 4.0 for template in templates])
    weights /= weights.sum()
    for number in range(count):
        if not templates or generator.random() < plain:
            kind = str(generator.choice(DRAWN, p=DRAWN_SHARE))
            layers[number] = _drawn(kind, side, generator)
        else:
            template = templates[generator.choice(len(templates), p=weights)]
            kind = template.kind
            layers[number] = _placed(template, side, generator)
        kinds.append(kind)
    return Bank(torch.from_numpy(layers.transpose(0, 3, 1, 2).copy()), tuple(kinds))


def _strayed(points: Any, generator: np.random.Generator) -> Array:
    """Return points [K, 2] of a crop of 112 px, moved together, scaled and each on its own."""
    there = np.asarray(points, np.float64)
    middle = there.mean(0)
    grown = (there - middle) * generator.normal(1.05, 0.06, (1, 2)) + middle
    moved = generator.normal(0, TOGETHER, (1, 2)) + generator.normal(0, EACH, there.shape)
    result: Array = grown + moved
    return result


def _placed(template: Template, side: int, generator: np.random.Generator) -> Array:
    """Return a template on the face, uint8 [side, side, 4]."""
    target = _strayed(PLACES[template.view], generator) * (side / 112)
    back = _homography(target, template.points)
    grid = np.stack(np.meshgrid(*[np.arange(side * 2) / 2 + 0.25 - 0.5] * 2), -1).reshape(-1, 2)
    where = np.c_[grid, np.ones(len(grid))] @ back.T
    x, y = (where[:, :2] / where[:, 2:]).T
    fine = _sampled(template.picture, x, y).reshape(side, 2, side, 2, 4)
    cover = fine[..., 3:].mean((1, 3))
    colours = (fine[..., :3] * fine[..., 3:]).mean((1, 3)) / np.maximum(cover, 1e-3)
    return np.concatenate([colours, cover], -1).round().clip(0, 255).astype(np.uint8)


def _homography(source: Array, target: Array) -> Array:
    """Return the 3x3 matrix that maps points [K, 2] onto others, least squares over all K."""
    # Points near 1 keep the system well posed.
    size = max(float(np.abs(source).max()), float(np.abs(target).max()))
    (x, y), (u, v) = (source / size).T, (target / size).T
    zero, one = np.zeros_like(x), np.ones_like(x)
    system = np.concatenate([
        np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], 1),
        np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], 1),
    ])  # fmt: skip
    found = np.linalg.lstsq(system, np.concatenate([u, v]), rcond=None)[0]
    matrix = np.append(found, 1.0).reshape(3, 3)
    scale = np.diag([size, size, 1.0])
    result: Array = scale @ matrix @ np.linalg.inv(scale)
    return result


def _sampled(picture: Array, x: Array, y: Array) -> Array:
    """Return float [M, 4] of a picture at places, transparent outside."""
    height, width = picture.shape[:2]
    padded = np.pad(picture.astype(np.float64), ((1, 2), (1, 2), (0, 0)))
    x, y = np.clip(x + 1, 0, width + 1), np.clip(y + 1, 0, height + 1)
    left, top = x.astype(int), y.astype(int)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    upper = padded[top, left] * (1 - fx) + padded[top, left + 1] * fx
    lower = padded[top + 1, left] * (1 - fx) + padded[top + 1, left + 1] * fx
    mixed: Array = upper * (1 - fy) + lower * fy
    return mixed


def _drawn(kind: str, side: int, generator: np.random.Generator) -> Array:
    """Return a drawn occluder, uint8 [side, side, 4], sharp edges averaged over 2x2 samples."""
    from PIL import Image, ImageDraw

    scale = 2 * side / 112
    cover = Image.new("L", (2 * side, 2 * side), 0)
    pen = ImageDraw.Draw(cover)
    for shape, points in SHAPES[kind](generator):
        corners = [tuple(p) for p in np.asarray(points) * scale]
        if shape == "polygon":
            pen.polygon(corners, fill=255)
        elif shape == "ellipse":
            pen.ellipse([*np.min(corners, 0), *np.max(corners, 0)], fill=255)
        else:
            pen.line(corners, fill=255, width=max(1, round(shape * scale)))
    opacity = np.asarray(cover, np.float64).reshape(side, 2, side, 2).mean((1, 3))
    colours = _cloth(kind, side, generator)
    return np.concatenate([colours, opacity[..., None]], -1).clip(0, 255).astype(np.uint8)


def _cloth(kind: str, side: int, generator: np.random.Generator) -> Array:
    """Return colours [side, side, 3]: a base, soft shades, and stripes, dots or blotches."""
    base = generator.uniform(0, 255, 3)
    if kind == "hand":
        base = np.array([205, 155, 125]) * generator.uniform(0.35, 1.15)
    elif kind == "sunglasses":
        base = generator.uniform(0, 60, 3)
    coarse = generator.normal(0, 18, (4, 4, 1)).repeat(3, 2)
    colours = base + _enlarged(coarse, side)
    pattern = generator.random()
    if kind in ("drawn-mask", "scarf") and pattern < 0.5:
        other = generator.uniform(0, 255, 3)
        y, x = np.mgrid[:side, :side] * (112 / side)
        angle, period = generator.uniform(0, np.pi), generator.uniform(5, 24)
        along = np.cos(angle) * x + np.sin(angle) * y
        wave = np.sin(2 * np.pi * along / period)
        if pattern < 0.25:
            wave = wave * np.sin(2 * np.pi * (np.cos(angle) * y - np.sin(angle) * x) / period)
        spots = _enlarged(generator.normal(0, 1, (9, 9, 1)), side)[..., 0]
        chosen = (spots if pattern < 0.12 else wave) > 0.35
        colours = np.where(chosen[..., None], other, colours)
    result: Array = colours + generator.normal(0, 4, (side, side, 1))
    return result


def _enlarged(coarse: Array, side: int) -> Array:
    rows = np.linspace(0, coarse.shape[0] - 1.001, side)
    low = rows.astype(int)
    part = (rows - low)[:, None, None]
    tall = coarse[low] * (1 - part) + coarse[low + 1] * part
    wide = tall.transpose(1, 0, 2)
    mixed: Array = wide[low] * (1 - part) + wide[low + 1] * part
    return mixed.transpose(1, 0, 2)


Shape = tuple[Any, Any]


def _mask_shapes(generator: np.random.Generator) -> list[Shape]:
    left, nose, right, jaw_left, chin, jaw_right = _strayed(PLACES[""], generator)
    nose[1] += generator.uniform(-4, 8)
    cheek = (left + nose) / 2 + (0, generator.uniform(-2, 3))
    other = (right + nose) / 2 + (0, generator.uniform(-2, 3))
    face = [left, cheek, nose, other, right, jaw_right, chin, jaw_left]
    shapes: list[Shape] = [("polygon", face)]
    if generator.random() < 0.5:
        shapes += [(1.5, [left, (0, 52 + generator.normal(0, 6))])]
        shapes += [(1.5, [right, (112, 52 + generator.normal(0, 6))])]
    return shapes


def _glasses_shapes(generator: np.random.Generator) -> list[Shape]:
    eyes = _strayed([[38, 52], [74, 52]], generator)
    half = generator.uniform((11, 7), (17, 13))
    lenses: list[Shape] = [("ellipse", [eye - half, eye + half]) for eye in eyes]
    frame: list[Shape] = [(2.5, list(eyes)), (2.0, [eyes[0], (2, 50)]), (2.0, [eyes[1], (110, 50)])]
    return lenses + frame


def _hand_shapes(generator: np.random.Generator) -> list[Shape]:
    palm = _strayed([generator.uniform((25, 75), (87, 112))], generator)[0]
    half = generator.uniform((12, 10), (22, 18))
    turn = generator.uniform(-2.4, -0.7)
    fingers: list[Shape] = []
    for number in range(4):
        angle = turn + (number - 1.5) * generator.uniform(0.16, 0.3)
        tip = palm + generator.uniform(24, 42) * np.array([np.cos(angle), np.sin(angle)])
        fingers.append((8.0, [palm + (tip - palm) * 0.2, tip]))
    return [("ellipse", [palm - half, palm + half]), *fingers]


def _scarf_shapes(generator: np.random.Generator) -> list[Shape]:
    height = generator.uniform(62, 96)
    top = [(x, height + generator.normal(0, 3)) for x in (0, 28, 56, 84, 112)]
    return [("polygon", [*top, (112, 112), (0, 112)])]


SHAPES: dict[str, Callable[[np.random.Generator], list[Shape]]] = {
    "drawn-mask": _mask_shapes,
    "sunglasses": _glasses_shapes,
    "hand": _hand_shapes,
    "scarf": _scarf_shapes,
}


def paste(
    faces: Tensor, bank: Bank, share: float, generator: Generator, shift: int = 3
) -> tuple[Tensor, Tensor]:
    """Hide some of the faces.

    Args:
        faces: [B, 3, S, S] on the 0..255 scale.
        bank: Occluders of side S.
        share: Probability of being hidden.
        generator: Decides everything random.
        shift: Largest move of an occluder in pixels, each axis on its own.

    Returns:
        Faces with occluders, and their opacity [B, 1, S, S] in 0..1, 0 where nothing was pasted.
    """
    import torch

    count = len(faces)

    def drawn(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator, device=faces.device)

    number = (drawn() * len(bank.layers)).long().clamp_max(len(bank.layers) - 1)
    layers = bank.layers[number].float()
    layers = _moved(layers, ((drawn(2) * (2 * shift + 1)).floor() - shift).long())
    layers = torch.where((drawn() < 0.5)[:, None, None, None], layers.flip(3), layers)
    colours = _coloured(layers[:, :3], drawn(3, 1, 1), drawn(1, 1, 1), drawn(1, 1, 1))
    chosen = (drawn() < share)[:, None, None, None]
    opacity = layers[:, 3:] / 255 * chosen
    return faces + (colours - faces) * opacity, opacity


def _moved(layers: Tensor, by: Tensor) -> Tensor:
    """Return [B, 4, S, S] moved by whole pixels [B, 2]; the edges' places repeat."""
    import torch

    side = layers.shape[-1]
    place = torch.arange(side, device=layers.device)
    rows, columns = ((place - by[:, axis, None]).clamp(0, side - 1) for axis in (0, 1))
    batch = torch.arange(len(layers), device=layers.device)[:, None, None]
    return layers.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


def _coloured(colours: Tensor, tint: Tensor, mixed: Tensor, light: Tensor) -> Tensor:
    """Return colours of another hue for two of three occluders, and of another light for all."""
    import torch

    grey = colours.mean(1, keepdim=True)
    # The shades of a white mask stay in any other colour.
    dyed = grey * tint + (1 - tint) * 20 * (light - 0.5)
    hue = torch.where(mixed < 0.66, dyed * 1.15, colours)
    return (hue * (0.55 + 0.7 * light)).clamp(0, 255)
