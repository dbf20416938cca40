"""Selection of the cells that run: `--only data=beauty,ml-100k`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mltfr.errors import ConfigError, one_of
from mltfr.study.arms import with_needs
from mltfr.study.cell import Cell

AXES = ("data", "backbone", "fusion", "tables", "window", "draw", "seed")


def select(cells: Sequence[Cell], only: Sequence[str]) -> list[Cell]:
    """Return the cells with the given labels on every axis that is named, and what they are made of, in their order.

    Args:
        cells: the plan.
        only: `AXIS=LABEL,LABEL` texts; a baseline is a backbone without fusion and tables.

    Raises:
        ConfigError: a text has another form, an axis or a label does not exist, or no cell is left.
    """
    chosen = _parse(only)
    for axis, labels in chosen.items():
        known = sorted({_label(cell, axis) for cell in cells} - {""})
        for label in labels:
            if label not in known:
                raise ConfigError(f"--only {axis}={label}: the study has no such {axis}. {one_of(label, known)}")
    selected = [cell for cell in cells if all(_label(cell, axis) in labels for axis, labels in chosen.items())]
    if not selected:
        raise ConfigError(f"--only {' --only '.join(only)}: no cell of the study is left. Ask for less at once.")
    return with_needs(cells, selected)


def _parse(only: Sequence[str]) -> Mapping[str, set[str]]:
    chosen: dict[str, set[str]] = {}
    for text in only:
        axis, separator, labels = text.partition("=")
        if not separator or axis not in AXES:
            raise ConfigError(f"--only {text!r} is not AXIS=LABEL,LABEL with an axis of {', '.join(AXES)}.")
        chosen.setdefault(axis, set()).update(label.strip() for label in labels.split(","))
    return chosen


def _label(cell: Cell, axis: str) -> str:
    return str(cell.seed) if axis == "seed" else str(getattr(cell.group, axis))
