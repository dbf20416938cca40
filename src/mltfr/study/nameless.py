"""Names that are not there: fusions that differ in names alone are one then, and baselines made of them do not run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mltfr.baselines import BASELINES
from mltfr.config import merge
from mltfr.errors import ConfigError
from mltfr.names.config import IDS, OF_WORDS
from mltfr.study.cell import Cell
from mltfr.study.config import StudyConfig

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


def baselines_left_out(study: StudyConfig) -> dict[str, list[str]]:
    """Return the baselines that are made of names, by the labels of the data sets without."""
    made_of_names = [name for name in study.baselines if BASELINES.get(name).cls.reads_names]
    return {label: made_of_names for label in study.data if made_of_names and not words_of(study, label).get("file")}


def words_of(study: StudyConfig, label: str) -> dict[str, Any]:
    """Return the settings of a data set that say which words its items have."""
    names = merge(study.settings, study.data[label].settings).get("names", {})
    return {key: names[key] for key in OF_WORDS if key in names}


def check_name_files(cells: Iterable[Cell]) -> None:
    """Check that the files are there which cells read the names of their items from.

    Raises:
        ConfigError: one is not.
    """
    for cell in cells:
        names = cell.config.names
        if names.are_used and names.file != IDS and not Path(names.file).exists():
            raise ConfigError(
                f"{cell.group}: names.file: there is no {names.file}. Give the path relative to the study file, or "
                f"that of a data set with --item-names {cell.group.data}=FILE."
            )


def nameless_notes(instead: Instead, baselines: Mapping[str, list[str]]) -> list[str]:
    """Return the remarks on data sets without names: on the fusions, and on the baselines that are left out there."""
    by_data: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for (data, fusion), other in instead.items():
        by_data[data][other].append(fusion)
    notes = [
        f"Data set {data} has no names, without which "
        + "; ".join(f"{', '.join(fusions)} would be '{other}' again" for other, fusions in others.items())
        + ". They are left out there; blends and teachers take what stands for them."
        for data, others in by_data.items()
    ]
    return notes + [
        f"Data set {data} has no names, which {', '.join(names)} is made of. It is left out there, in blends too."
        for data, names in baselines.items()
    ]
