"""Fusions that differ in names alone are one and the same on a data set without names, and run once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from mltfr.study.cell import Cell

Instead = Mapping[tuple[str, str], str]
"""The fusion that stands for another one, by the label of the data set and of that other one."""


def stand_ins(cells: Iterable[Cell], compare_with: str) -> Instead:
    """Return which fusions stand for which others, since nothing but names tells them apart and there are none.

    It is the one that the study compares with, or that uses no names, or the first.

    Args:
        cells: the fits of one seed.
        compare_with: the fusion that others are compared with.
    """
    alike: defaultdict[tuple[object, ...], list[Cell]] = defaultdict(list)
    for cell in cells:
        if not cell.config.names.file:
            labels = cell.group._replace(fusion="")
            alike[labels, cell.config.model_dump_json(exclude={"names"})].append(cell)
    found: dict[tuple[str, str], str] = {}
    for group in alike.values():
        kept = min(group, key=lambda cell: (cell.label != compare_with, cell.config.names.use != "none"))
        for cell in group:
            if cell.config.names != kept.config.names:
                found[cell.group.data, cell.label] = kept.label
    return found


def nameless_notes(instead: Instead) -> list[str]:
    """Return a remark on every data set without names."""
    by_data: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for (data, fusion), other in instead.items():
        by_data[data][other].append(fusion)
    return [
        f"Data set {data} has no names, without which "
        + "; ".join(f"{', '.join(fusions)} would be '{other}' again" for other, fusions in others.items())
        + ". They are left out there; blends and teachers take what stands for them."
        for data, others in by_data.items()
    ]
