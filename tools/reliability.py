"""A reliability plot: how often what was told with some probability was so."""

from collections.abc import Mapping, Sequence
from html import escape

SIDE, LEFT, EDGE = 320, 48, 14
COLOURS = ("#c2410c", "#1d4ed8", "#15803d", "#7c3aed", "#525252", "#be185d")
Bin = Mapping[str, float]


def plot(curves: Mapping[str, Sequence[Bin]]) -> str:
    """Return an SVG file; a line per detector, the diagonal is a perfect one.

    Args:
        curves: Name -> bins with "told" and "true", 0..1, and the number of "pictures".
    """
    wide, high = LEFT + SIDE + 150, SIDE + EDGE + 44
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" '
        f'height="{high}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<path d="M{_x(0)} {_y(0)} L{_x(1)} {_y(1)}" stroke="#bbb" stroke-dasharray="4"/>',
        f'<path d="M{_x(0)} {_y(1)} V{_y(0)} H{_x(1)}" stroke="#333" fill="none"/>',
    ]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<text x="{_x(tick)}" y="{_y(0) + 16}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{LEFT - 6}" y="{_y(tick) + 4}" text-anchor="end">{tick:g}</text>')
    for number, (name, bins) in enumerate(curves.items()):
        parts += _curve(name, bins, COLOURS[number % len(COLOURS)], number)
    middle, down = LEFT + SIDE / 2, SIDE + EDGE + 36
    parts.append(f'<text x="{middle}" y="{down}" text-anchor="middle">probability told</text>')
    turned = f'transform="translate(12,{EDGE + SIDE / 2}) rotate(-90)" text-anchor="middle"'
    parts.append(f"<text {turned}>share generated</text>")
    return "\n".join([*parts, "</svg>\n"])


def _x(value: float) -> float:
    return round(LEFT + SIDE * value, 1)


def _y(value: float) -> float:
    return round(EDGE + SIDE * (1 - value), 1)


def _curve(name: str, bins: Sequence[Bin], colour: str, number: int) -> list[str]:
    places = [(_x(one["told"]), _y(one["true"]), int(one["pictures"])) for one in bins]
    line = " L".join(f"{x} {y}" for x, y, _ in places)
    dots = [
        f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"><title>{n} pictures</title></circle>'
        for x, y, n in places
    ]
    x, y = LEFT + SIDE + 16, EDGE + 14 + 18 * number
    told = f'<text x="{x + 16}" y="{y}">{escape(name)}</text>'
    sign = f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{colour}"/>'
    return [f'<path d="M{line}" stroke="{colour}" fill="none"/>', *dots, sign, told]
