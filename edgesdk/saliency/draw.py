"""Maps as pictures: red speaks for the decision, blue against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.files import write_json
from edgesdk.core.preprocess import resize
from edgesdk.core.tensors import Array
from edgesdk.saliency.neighbours import enlarged

SIDE, MARGIN, LINE = 256, 12, 24
PAPER, INK = (255, 255, 255), (32, 32, 32)
FOR, AGAINST = np.array([214.0, 39, 40]), np.array([31.0, 90, 200])
STRONGEST = 0.75  # of the colour, over the picture in grey


def overlay(picture: Array, saliency: Array, side: int = SIDE) -> Array:
    """Return the picture in grey under the colours of its map, uint8 with a long side of `side`.

    Args:
        picture: HxWx3 uint8 RGB.
        saliency: [G, G] in -1..1.
        side: Of the result, pixels.
    """
    size = fitted(picture, side)
    grey = resize(picture, size).mean(2, keepdims=True)
    map_ = enlarged(np.asarray(saliency, np.float32)[None, ..., None], size)[0].clip(-1, 1)
    colour = np.where(map_ > 0, FOR, AGAINST)
    share = STRONGEST * np.abs(map_)
    pale = 0.7 * grey + 60
    return np.asarray((pale + share * (colour - pale)).round().clip(0, 255), np.uint8)


def fitted(picture: Array, side: int) -> tuple[int, int]:
    """Return (height, width) of a picture whose long side becomes `side`."""
    scale = side / max(picture.shape[:2])
    height, width = (max(1, round(n * scale)) for n in picture.shape[:2])
    return height, width


def page(rows: Sequence[Sequence[tuple[Array, str]]]) -> Array:
    """Return rows of pictures with a line of text under each, uint8 [H, W, 3]."""
    from PIL import Image, ImageDraw, ImageFont

    columns = max(map(len, rows))
    wide, high = SIDE + MARGIN, SIDE + LINE + MARGIN
    paper = Image.new("RGB", (columns * wide + MARGIN, len(rows) * high + MARGIN), PAPER)
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(14)
    for row, cells in enumerate(rows):
        for column, (picture, text) in enumerate(cells):
            x, y = MARGIN + column * wide, MARGIN + row * high
            shown = resize(picture, fitted(picture, SIDE)).round().astype(np.uint8)
            top, left = (SIDE - n for n in shown.shape[:2])
            paper.paste(Image.fromarray(shown), (x + left // 2, y + top // 2))
            while len(text) > 1 and pen.textlength(text, font) > SIDE:
                text = text.removesuffix("…")[:-1] + "…"
            pen.text((x, y + SIDE + 4), text, INK, font)
    return np.asarray(paper)


def write(target: Path, rows: Sequence[Any], result: Mapping[str, Any]) -> None:
    """Write the page, and beside it what `edgesdk report` needs to show it."""
    from edgesdk.tasks._output import write_picture

    write_picture(target, page(rows))
    write_json(target.with_suffix(".json"), {"schema_version": 1, "map": target.name, **result})
