"""Gains with their intervals as dots and whiskers, several series side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mltfr.report.plots.style import shortened, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = Mapping[tuple[str, str], "Gain"]
"""(category, series) -> gain."""


@dataclass(frozen=True)
class Gain:
    """A relative gain with its interval, in percent, and whether it is significant (None: not tested)."""

    value: float
    low: float
    high: float
    significant: bool | None = None


def draw_horizontal(axes: Axes, categories: Sequence[str], series: Mapping[str, int], points: Points) -> None:
    """Draw categories from top to bottom, the gain from left to right; `series` gives the index of each style."""
    axes.axvline(0, color="#555555", linewidth=0.8)
    for number, (name, index) in enumerate(series.items()):
        look = style(index)
        axes.plot([], [], linestyle="", markersize=5, label=name, **look)
        for row, category in enumerate(categories):
            if gain := points.get((category, name)):
                y = row + _offset(number, len(series))
                axes.plot([gain.low, gain.high], [y, y], color=look["color"], linewidth=1.4)
                axes.plot([gain.value], [y], linestyle="", markersize=5, **look,
                          markerfacecolor=look["color"] if gain.significant else "white")  # fmt: skip
    axes.set_yticks(range(len(categories)), [shortened(name, 40) for name in categories])
    axes.set_ylim(len(categories) - 0.5, -0.5)
    for row in range(1, len(categories)):
        axes.axhline(row - 0.5, color="#dddddd", linewidth=0.6)
    axes.grid(visible=False, axis="y")


def draw_vertical(
    axes: Axes, categories: Sequence[str], series: Mapping[str, int], points: Points, line: bool = True
) -> None:
    """Draw categories from left to right, the gain upwards; `series` gives the index of each style."""
    axes.axhline(0, color="#555555", linewidth=0.8)
    for number, (name, index) in enumerate(series.items()):
        found = [(x + _offset(number, len(series)), points[category, name])
                 for x, category in enumerate(categories) if (category, name) in points]  # fmt: skip
        if not found:
            continue
        look = style(index)
        for x, gain in found:
            axes.plot([x, x], [gain.low, gain.high], color=look["color"], linewidth=1, alpha=0.7)
        axes.plot([x for x, _ in found], [gain.value for _, gain in found], markersize=4, label=name,
                  linewidth=0.8 if line else 0, **look)  # fmt: skip
    axes.set_xticks(range(len(categories)), categories)
    axes.set_xlim(-0.5, len(categories) - 0.5)
    axes.grid(visible=False, axis="x")


def limit(panel_list: Sequence[Axes], points: Sequence[Gain]) -> None:
    """Keep very wide intervals from flattening everything else: the axis ends at 3 times the largest gain."""
    if not points:
        return
    largest = max(max(abs(gain.value) for gain in points), 1.0)
    low, high = min(gain.low for gain in points), max(gain.high for gain in points)
    for axes in panel_list:
        axes.set_ylim(max(low, -3 * largest) * 1.05, min(high, 3 * largest) * 1.05)


def _offset(number: int, count: int) -> float:
    return 0.0 if count == 1 else (number / (count - 1) - 0.5) * min(0.75, 0.15 * (count - 1))
