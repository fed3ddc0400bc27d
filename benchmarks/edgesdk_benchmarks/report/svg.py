"""Small charts as inline SVG: axes, lines, dots and bars. Colours are CSS classes s0 … s11."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 16, 46
SERIES_COLOURS = 12
# Width of a letter and height of a line of a label, in pixels of the view box.
LETTER, LINE = 6.5, 15.0

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a chart.

    Attributes:
        label: Text with the unit.
        low: Smallest value shown.
        high: Largest value shown.
        log: Logarithmic.
        ticks: Values to mark; empty chooses round ones.
        whole: There is nothing between whole numbers, such as rounds.
    """

    label: str
    low: float
    high: float
    log: bool = False
    ticks: tuple[float, ...] = ()
    whole: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies, 0 at the low end and 1 at the high end."""
        value, low, high = (
            (math.log(max(v, 1e-12)) for v in (value, self.low, self.high))
            if self.log
            else (value, self.low, self.high)
        )
        return (value - low) / (high - low) if high > low else 0.5

    def marks(self) -> list[float]:
        """Return the values that get a line and a label."""
        return list(self.ticks) or (self._log_marks() if self.log else self._linear_marks())

    def _linear_marks(self) -> list[float]:
        raw = (self.high - self.low) / 5 or 1.0
        power = 10 ** math.floor(math.log10(raw))
        step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= raw * 0.999)
        if self.whole:
            step = math.ceil(step)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]

    def _log_marks(self) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        wide = math.log10(self.high / self.low) > 1.5
        steps = (1, 3) if wide else (1, 1.5, 2, 3, 4, 5, 7)
        every = [m * 10.0**d for d in decades for m in steps]
        return [v for v in every if self.low * 0.999 <= v <= self.high * 1.001]


def around(
    values: Sequence[float],
    label: str,
    *,
    log: bool = False,
    zero: bool = False,
    whole: bool = False,
) -> Axis:
    """Return an axis that holds `values` with some room at both ends."""
    low, high = min(values), max(values)
    if log:
        return Axis(label, low / 1.15, high * 1.15, log=True)
    room = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
    return Axis(label, 0.0 if zero else low - room, high + room, whole=whole)


def short(value: float) -> str:
    """Return a number as few digits as a tick needs."""
    if value == 0:
        return "0"
    if abs(value) >= 10_000:
        return f"{value / 1000:.0f}k" if value % 1000 == 0 else f"{value / 1000:.1f}k"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


class Chart:
    """A chart under construction; every call adds shapes, `svg` returns it.

    Args:
        title: For screen readers.
        text: What the chart shows, for screen readers.
        x: Horizontal axis.
        y: Vertical axis.
        height: In pixels of the view box.
    """

    def __init__(self, title: str, text: str, x: Axis, y: Axis, height: int = HEIGHT) -> None:
        self._title, self._text, self._x, self._y, self._height = title, text, x, y, height
        self._shapes: list[str] = []
        self._labels: list[tuple[float, float, float]] = []

    def at(self, point: Point) -> Point:
        """Return the position of a point in pixels."""
        inside = self._height - TOP - BOTTOM
        across = min(max(self._x.place(point[0]), -0.02), 1.02)
        upwards = min(max(self._y.place(point[1]), -0.02), 1.02)
        return LEFT + across * (WIDTH - LEFT - RIGHT), TOP + (1 - upwards) * inside

    def line(self, points: Sequence[Point], series: int, tip: str, dots: bool = False) -> None:
        """Draw a line through `points`."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self.at, points))
        style = f'class="line s{series % SERIES_COLOURS}"'
        self._shapes.append(
            f"<polyline {style} points='{path}'><title>{escape(tip)}</title></polyline>"
        )
        for point in points if dots else ():
            self.dot(point, series, f"{tip}: {short(point[0])}, {short(point[1])}")

    def dot(self, point: Point, series: int, tip: str, label: str = "") -> None:
        """Draw a dot, with a label beside it."""
        x, y = self.at(point)
        style = f'class="dot s{series % SERIES_COLOURS}"'
        self._shapes.append(
            f'<circle {style} cx="{x:.1f}" cy="{y:.1f}" r="5"><title>{escape(tip)}</title></circle>'
        )
        if label:
            beside, height, way = self._free(x, y + 4, len(label) * LETTER)
            self._shapes.append(
                f'<text class="label" x="{beside:.1f}" y="{height:.1f}" '
                f'text-anchor="{"end" if way < 0 else "start"}">{escape(label)}</text>'
            )

    def keep_clear(self, point: Point) -> None:
        """Let no label cover the dot at `point`."""
        x, y = self.at(point)
        self._labels.append((x - 6, x + 6, y + 4))

    def _free(self, x: float, y: float, width: float) -> tuple[float, float, int]:
        """Return where a label of a dot at `x` covers no earlier one, as near to `y` as can be.

        Its x, its y, and 1 for a label right of the dot or -1 for one left of it.
        """
        ways = [-1, 1] if x > WIDTH * 0.7 else [1, -1]
        spans = [(way, *self._span(x, way, width)) for way in ways]
        inside = [s for s in spans if s[1] >= LEFT and s[2] <= WIDTH] or spans[:1]

        def taken(low: float, high: float, at: float) -> bool:
            return any(low < b and a < high and abs(at - h) < LINE for a, b, h in self._labels)

        heights = (y + sign * n * LINE for n in range(len(self._labels) + 1) for sign in (1, -1))
        way, low, high, found = next(
            (*span, at) for at in heights for span in inside if not taken(span[1], span[2], at)
        )
        self._labels.append((low, high, found))
        return x + 10 * way, found, way

    @staticmethod
    def _span(x: float, way: int, width: float) -> Point:
        near, far = x + 10 * way, x + way * (10 + width)
        return min(near, far), max(near, far)

    def svg(self) -> str:
        """Return the chart as an <svg> element."""
        parts = [*self._grid(), *self._shapes]
        return (
            f'<svg viewBox="0 0 {WIDTH} {self._height}" role="img" class="chart">'
            f"<title>{escape(self._title)}</title><desc>{escape(self._text)}</desc>"
            + "".join(parts)
            + "</svg>"
        )

    def _grid(self) -> list[str]:
        shapes, bottom = [], self._height - BOTTOM
        for value in self._x.marks():
            x, _ = self.at((value, self._y.low))
            shapes.append(
                f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}"/>'
            )
            shapes.append(_tick(x, bottom + 18, "middle", value))
        for value in self._y.marks():
            _, y = self.at((self._x.low, value))
            across = f'x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"'
            shapes.append(f'<line class="grid" {across}/>')
            shapes.append(_tick(LEFT - 8, y + 4, "end", value))
        middle = (LEFT + WIDTH - RIGHT) / 2
        shapes.append(
            f'<text class="axis" x="{middle}" y="{self._height - 8}" text-anchor="middle">'
            f"{escape(self._x.label)}</text>"
        )
        centre = (TOP + bottom) / 2
        shapes.append(
            f'<text class="axis" transform="translate(14 {centre}) rotate(-90)" '
            f'text-anchor="middle">{escape(self._y.label)}</text>'
        )
        return shapes


def _tick(x: float, y: float, anchor: str, value: float) -> str:
    return (
        f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{short(value)}</text>'
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart.

    Attributes:
        label: Text on the left.
        value: Length.
        low: Lower end of the interval.
        high: Upper end.
        text: Written at the end.
        series: Colour.
    """

    label: str
    value: float
    low: float
    high: float
    text: str
    series: int = 0


def bars(title: str, text: str, rows: Sequence[Bar], reference: float | None = None) -> str:
    """Return horizontal bars with intervals, and a dashed line at `reference`."""
    step, right = 34, 90
    # The letters of these labels are larger than those in a chart.
    left = max([250, *(int(len(row.label) * LETTER * 1.2) + 20 for row in rows)])
    height = step * len(rows) + 20
    most = max([r.high for r in rows] + [reference or 0.0]) * 1.02
    scale: Callable[[float], float] = lambda v: left + v / most * (WIDTH - left - right)  # noqa: E731
    shapes = []
    for i, row in enumerate(rows):
        y = 10 + i * step
        middle = y + step / 2 - 3
        style = f'class="bar s{row.series % SERIES_COLOURS}"'
        tip = f"<title>{escape(f'{row.label}: {row.text}')}</title>"
        length = max(scale(row.value) - left, 1)
        shapes += [
            f'<text class="label" x="{left - 10}" y="{middle + 4}" text-anchor="end">'
            f"{escape(row.label)}</text>",
            f'<rect {style} x="{left}" y="{y + 4}" width="{length:.1f}" '
            f'height="{step - 14}" rx="3">{tip}</rect>',
            f'<line class="whisker" x1="{scale(row.low):.1f}" x2="{scale(row.high):.1f}" '
            f'y1="{middle}" y2="{middle}"/>',
            f'<text class="label" x="{scale(row.high) + 8:.1f}" y="{middle + 4}">'
            f"{escape(row.text)}</text>",
        ]
    if reference is not None:
        x = scale(reference)
        shapes.append(
            f'<line class="reference" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - 4}"/>'
        )
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" class="chart">'
        f"<title>{escape(title)}</title><desc>{escape(text)}</desc>{''.join(shapes)}</svg>"
    )
