"""Figures as SVG: intervals, bars and lines, in the colours of the page's style.

Every figure is 360 units wide, so that its text is read on a phone; series differ in colour and in dashes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from mltfr.storage.terminal import printable

WIDTH = 360
SERIES = 6
"""Series that have a colour of their own."""
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 14, 30
ROW = 34


@dataclass(frozen=True)
class Interval:
    """A difference with its interval.

    Attributes:
        label: what it is.
        value: the difference.
        low: lower end.
        high: upper end.
    """

    label: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """A series of points in the order of x; a gap where y is None."""

    label: str
    points: tuple[tuple[float, float | None], ...]


def intervals(title: str, rows: Sequence[Interval], form: str = "+.4f") -> str:
    """Return differences with their intervals around a line at zero."""
    ends = [end for row in rows for end in (row.low, row.high, 0.0)]
    low, high = _padded(min(ends), max(ends))
    height = len(rows) * ROW + 26

    def x(value: float) -> float:
        return 4 + (WIDTH - 8) * (value - low) / (high - low)

    parts = []
    for number, row in enumerate(rows):
        y = 6 + number * ROW
        parts += [
            _line(x(0), y + 16, x(0), y + 30, "zero"),
            _text(0, y + 11, row.label),
            _text(WIDTH, y + 11, format(row.value, form), "value", "end"),
            _line(x(row.low), y + 23, x(row.high), y + 23, "s1 thick"),
            _line(x(row.low), y + 19, x(row.low), y + 27, "s1"),
            _line(x(row.high), y + 19, x(row.high), y + 27, "s1"),
            f'<circle class="s1 dot" cx="{x(row.value):.1f}" cy="{y + 23}" r="4"/>',
        ]
    for tick in _ticks(low, high, 4):
        parts.append(_text(_within(x(tick)), height - 6, _number(tick), "tick", "middle"))
    return _svg(title, height, parts)


def bars(title: str, rows: Sequence[tuple[str, float, str]], strong: Iterable[int] = (0,)) -> str:
    """Return one bar a row: its label, its length and what is written at its end; bars begin at zero.

    Args:
        title: what a reader who cannot see it is told.
        rows: label, value from 0, and the value in words.
        strong: rows that stand out.
    """
    top = max([value for _, value, _ in rows] + [1e-12])
    height, emphasised, parts = len(rows) * ROW + 4, set(strong), []
    for number, (label, value, text) in enumerate(rows):
        y, width = 4 + number * ROW, WIDTH * max(value, 0.0) / top
        parts += [
            _text(0, y + 11, label, "strong" if number in emphasised else ""),
            _text(WIDTH, y + 11, text, "value", "end"),
            f'<rect class="track" x="0" y="{y + 17}" width="{WIDTH}" height="8" rx="2"/>',
            f'<rect class="{"bar strong" if number in emphasised else "bar"}" x="0" y="{y + 17}" '
            f'width="{max(width, 1):.1f}" height="8" rx="2"/>',
        ]
    return _svg(title, height, parts)


def lines(title: str, series: Sequence[Line], x_label: str, borders: Sequence[tuple[float, str]] = ()) -> str:
    """Return lines over x with a legend below.

    Args:
        title: what a reader who cannot see it is told.
        series: the lines, at most `SERIES`.
        x_label: what x counts.
        borders: where something new begins, and what, as text at the top.
    """
    xs = [x for line in series for x, y in line.points if y is not None]
    ys = [y for line in series for _, y in line.points if y is not None]
    left, right = min(xs), max(xs)
    low, high = _padded(min(ys), max(ys))
    plot = 150
    height = TOP + plot + BOTTOM + 16 * len(series)

    def at(x: float, y: float) -> tuple[float, float]:
        share = (x - left) / (right - left) if right > left else 0.5
        return LEFT + (WIDTH - LEFT - RIGHT) * share, TOP + plot * (high - y) / (high - low)

    parts = []
    for tick in _ticks(low, high, 4):
        y = at(left, tick)[1]
        parts += [
            _line(LEFT, y, WIDTH - RIGHT, y, "grid"),
            _text(LEFT - 6, y + 4, _number(tick), "tick", "end"),
        ]
    for place, name in borders:
        x = at(place, low)[0]
        before = x > (LEFT + WIDTH - RIGHT) * 0.6
        label = _text(x - 3, TOP + 8, name, "tick", "end") if before else _text(x + 3, TOP + 8, name, "tick")
        parts += [_line(x, TOP, x, TOP + plot, "border"), label]
    whole = sorted({round(tick) for tick in _ticks(left, right, 6)} & set(range(math.ceil(left), int(right) + 1)))
    for tick in whole or [round(left)]:
        parts.append(_text(at(tick, low)[0], TOP + plot + 14, f"{tick}", "tick", "middle"))
    parts.append(_text(WIDTH - RIGHT, TOP + plot + 27, x_label, "tick", "end"))
    for number, line in enumerate(series):
        style = f"s{number % SERIES + 1}"
        parts += [f'<path class="{style} line" d="{path}"/>' for path in _paths(line, at)]
        if len(xs) <= 90:
            parts += [
                f'<circle class="{style} dot" cx="{x:.1f}" cy="{y:.1f}" r="2"/>'
                for x, y in (at(a, b) for a, b in line.points if b is not None)
            ]
        y = TOP + plot + BOTTOM + 10 + 16 * number
        parts += [_line(LEFT, y - 4, LEFT + 26, y - 4, f"{style} line"), _text(LEFT + 34, y, line.label)]
    return _svg(title, height, parts)


def _paths(line: Line, at: Callable[[float, float], tuple[float, float]]) -> list[str]:
    """Return the stretches of a line between its gaps."""
    stretches: list[list[str]] = [[]]
    for x, y in line.points:
        if y is None:
            stretches.append([])
        else:
            px, py = at(x, y)
            stretches[-1].append(f"{px:.1f} {py:.1f}")
    return [f"M{' L'.join(points)}" for points in stretches if len(points) > 1]


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    label = escape(printable(title))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img" '
        f'aria-label="{label}">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "") -> str:
    attributes = f' class="{style}"' * bool(style) + f' text-anchor="{anchor}"' * bool(anchor)
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{escape(_short(printable(text)))}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _short(text: str, most: int = 46) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _within(x: float) -> float:
    return min(max(x, 18), WIDTH - 18)


def _padded(low: float, high: float) -> tuple[float, float]:
    room = (high - low) * 0.06 or max(abs(high), 1e-6) * 0.1
    return low - room, high + room


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Return round numbers between two, about as many as asked."""
    if high <= low:
        return [low]
    raw = (high - low) / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    return [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) > 1e-12 else "0"
