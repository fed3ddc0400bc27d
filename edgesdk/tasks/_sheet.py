"""A sheet of small pictures with a line of text under each."""

from collections.abc import Sequence

import numpy as np

from edgesdk.core.tensors import Array

SIDE, MARGIN, LINE = 160, 10, 22
WIDEST = 3.0  # of a cell, against its height
MOST = 100  # pictures on a sheet
PAPER, INK = (255, 255, 255), (32, 32, 32)


def sheet(pictures: Sequence[Array], captions: Sequence[str]) -> Array:
    """Return a contact sheet [H, W, 3] uint8 RGB; of more than MOST pictures the first ones.

    Args:
        pictures: HxWx3 uint8 RGB, of any sizes; each keeps its proportions. Cells are as wide as
            the widest asks for.
        captions: One line for each, shortened to the width of its cell.
    """
    from PIL import Image, ImageDraw, ImageFont, ImageOps

    shown = min(len(pictures), MOST)
    wide = max(1.0, *(p.shape[1] / p.shape[0] for p in pictures[:shown]), 1.0)
    cell = round(SIDE * min(wide, WIDEST))
    columns = min(shown, int(np.ceil(np.sqrt(shown * 1.4 * SIDE / cell))))
    rows = -(-shown // columns)
    width, height = cell + MARGIN, SIDE + LINE + MARGIN
    page = Image.new("RGB", (columns * width + MARGIN, rows * height + MARGIN), PAPER)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    for number in range(shown):
        x = MARGIN + number % columns * width
        y = MARGIN + number // columns * height
        small = ImageOps.contain(Image.fromarray(pictures[number]), (cell, SIDE))
        page.paste(small, (x + (cell - small.width) // 2, y + (SIDE - small.height) // 2))
        text = captions[number]
        while len(text) > 1 and pen.textlength(text, font) > cell:
            text = text.removesuffix("…")[:-1] + "…"
        pen.text((x, y + SIDE + 3), text, INK, font)
    return np.asarray(page)
