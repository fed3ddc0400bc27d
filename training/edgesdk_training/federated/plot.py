"""Who has what, as a picture: a disc per client and class, its area the number of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

CELL, LEFT, TOP, TEXT = 24, 90, 80, 11
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
    wide, high = LEFT + CELL * len(classes) + CELL, TOP + CELL * len(clients) + CELL
    most = max((n for row in table for n in row), default=1) or 1
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" '
        f'height="{high}" font-family="sans-serif" font-size="{TEXT}" fill="{INK}">'
    ]
    parts += [_column(i, name) for i, name in enumerate(classes)]
    for row, (name, numbers) in enumerate(zip(clients, table, strict=True)):
        y = TOP + CELL * row + CELL / 2
        text = escape(f"client {name}: {sum(numbers):,}")
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:g}" text-anchor="end">{text}</text>')
        parts += [_disc(LEFT + CELL * i + CELL / 2, y, n, most) for i, n in enumerate(numbers) if n]
    return "\n".join([*parts, "</svg>\n"])


def _column(place: int, name: str) -> str:
    x = LEFT + CELL * place + CELL / 2
    return f'<text transform="translate({x + 4:g},{TOP - 6}) rotate(-60)">{escape(name)}</text>'


def _disc(x: float, y: float, number: int, most: int) -> str:
    radius = max(1.0, (CELL / 2 - 1) * (number / most) ** 0.5)
    return (
        f'<circle cx="{x:g}" cy="{y:g}" r="{radius:.1f}" fill="{DISC}">'
        f"<title>{number:,}</title></circle>"
    )
