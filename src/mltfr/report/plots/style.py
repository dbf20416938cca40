"""Style of plots: a palette for colour-blind readers, panels, and legends outside the panels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mltfr.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
"""Okabe and Ito's palette, which colour-blind readers can tell apart; grey for its yellow, which is faint on white."""
MARKERS = "os^DvPX*"
WIDTH = 8.0
"""Inches; at `DPI` a plot fits the column of a page."""
DPI = 120
PER_LINE = 3
"""Panels side by side."""
_CHARACTERS = 105
"""Characters of a legend that fit in `WIDTH`."""


def figure_class() -> type[Figure]:
    """Return matplotlib's `Figure`, which needs no screen and no global state.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "study") from error
    return Figure


def style(index: int) -> dict[str, Any]:
    """Return colour and marker of a series: after all colours, the same ones with other markers."""
    count = len(COLOURS)
    return {"color": COLOURS[index % count], "marker": MARKERS[(index + index // count) % len(MARKERS)]}


def panels(
    titles: Sequence[str], title: str, axis: str, *, height: float = 2.5, per_line: int = PER_LINE
) -> tuple[Figure, list[Axes]]:
    """Return a figure with one panel per title; panels share their y axis, and `axis` is the x axis' label."""
    columns = min(per_line, len(titles))
    lines = -(-len(titles) // columns)
    figure = figure_class()(figsize=(WIDTH, height * lines + 0.5 + (0.8 if lines == 1 else 0)), layout="constrained")
    figure.suptitle(title, fontsize=11)
    grid = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for axes in grid[len(titles):]:
        axes.set_visible(False)
    for axes in grid[max(0, len(titles) - columns):len(titles)]:  # the last of each column
        axes.set_xlabel(axis, fontsize=9)
    for axes, name in zip(grid, titles, strict=False):
        axes.set_title("\n".join(shortened(line, 90 // columns) for line in name.split("\n")), fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, list(grid[: len(titles)])


def legend(figure: Figure, panel_list: Sequence[Axes]) -> None:
    """Put one legend for all panels below them, and make the figure as much higher."""
    found: dict[str, Any] = {}
    for axes in panel_list:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if not found:
        return
    names = [shortened(label, 60) for label in found]
    columns = max(1, min(len(names), _CHARACTERS // (max(map(len, names)) + 6)))
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.2 * -(-len(names) // columns))
    figure.legend(list(found.values()), names, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)


def shortened(text: str, length: int) -> str:
    """Return a text that is not longer than `length`."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
