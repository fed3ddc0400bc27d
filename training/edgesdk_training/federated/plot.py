"""Who has what, as a picture: a disc per client and class, its area the number of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

CELL, LEFT, TOP, TEXT = 24, 90, 80, 11
LETTER = 0.65 * TEXT  # the width of one, at most on the average
LONGEST = 32  # letters of a name
INK, DISC = "#333", "#2b6cb0"


def distribution(
    table: Sequence[Sequence[int]], clients: Sequence[str], classes: Sequence[str]
) -> str:
    """Return an SVG; hovering a disc tells its number.

    Args:
        table: Pictures per client and class, [clients][classes].
        clients: Names of the rows.
        classes: Names of the columns.
    """
    rows = [
        f"client {_short(name)}: {sum(numbers):,}"
        for name, numbers in zip(clients, table, strict=True)
    ]
    columns = [_short(name) for name in classes]
    letters = max(map(len, columns), default=0)
    # Names of columns lean by 60 degrees to the right.
    left = max(LEFT, 12 + LETTER * max(map(len, rows), default=0))
    top = max(TOP, 24 + 0.87 * LETTER * letters)
    wide = left + CELL * len(classes) + max(CELL, 0.5 * LETTER * letters)
    high = top + CELL * len(clients) + CELL
    most = max((n for row in table for n in row), default=1) or 1
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high:g}" '
        f'width="{wide:g}" height="{high:g}" font-family="sans-serif" font-size="{TEXT}" '
        f'fill="{INK}">'
    ]
    middles = [left + CELL * i + CELL / 2 for i in range(len(columns))]
    parts += [_column(x, top, name) for x, name in zip(middles, columns, strict=True)]
    for row, (text, numbers) in enumerate(zip(rows, table, strict=True)):
        y = top + CELL * row + CELL / 2
        place = f'x="{left - 6:g}" y="{y + 4:g}" text-anchor="end"'
        parts.append(f"<text {place}>{escape(text)}</text>")
        parts += [_disc(x, y, n, most) for x, n in zip(middles, numbers, strict=True) if n]
    return "\n".join([*parts, "</svg>\n"])


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _column(x: float, top: float, name: str) -> str:
    place = f"translate({x + 4:g},{top - 6:g}) rotate(-60)"
    return f'<text transform="{place}">{escape(name)}</text>'


def _disc(x: float, y: float, number: int, most: int) -> str:
    radius = max(1.0, (CELL / 2 - 1) * (number / most) ** 0.5)
    return (
        f'<circle cx="{x:g}" cy="{y:g}" r="{radius:.1f}" fill="{DISC}">'
        f"<title>{number:,}</title></circle>"
    )
