"""Cells that are made of other cells of the study: blends, and fits that learn from a teacher."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from mltfr.errors import ConfigError
from mltfr.pipeline.blend import blend_config
from mltfr.study.cell import Cell, Group
from mltfr.study.config import DEFAULT_TABLES, StudyConfig
from mltfr.study.nameless import Instead, baselines_left_out

Row = tuple[str, str, str]


class Place(NamedTuple):
    """Where the cells that one is made of are: of the same data set, window, backbone and seed."""

    data: str
    window: str
    backbone: str
    seed: int


def with_arms(study: StudyConfig, cells: Iterable[Cell], instead: Instead) -> list[Cell]:
    """Return cells with what they need, and the blends of them, each behind all that it is made of.

    Draws stand in order, baselines first, then seed by seed.

    Args:
        study: the study.
        cells: the baselines and fits.
        instead: the fusions that stand for those that do not run on a data set; a blend for which a single member is
            left does not run either.

    Raises:
        ConfigError: it is not said with which token tables a cell that another one is made of has run.
    """
    cells = list(cells)
    arms = _Arms(study, cells, instead)
    made = [arms.complete(cell) for cell in cells]
    made += [arms.blend(label, place, tables)
             for place in arms.places for label in study.blends for tables in arms.tables(label, place)]  # fmt: skip

    def order(cell: Cell) -> tuple[int, bool, int, int]:
        return cell.group.draw, not cell.baseline, study.seeds.index(cell.seed), depth(cell)

    return sorted({cell.name: cell for cell in made}.values(), key=order)


def depth(cell: Cell) -> int:
    """Return how many cells have to be finished before a cell, one after the other."""
    return max((1 + depth(need) for need in cell.needs.values()), default=0)


def needed(cells: Iterable[Cell]) -> set[str]:
    """Return the names of the cells that some cells are made of."""
    return {need.name for cell in cells for need in cell.needs.values()}


def with_needs(cells: Sequence[Cell], chosen: Iterable[Cell]) -> list[Cell]:
    """Return the chosen cells and all that they are made of, in the order of `cells`."""
    names: set[str] = set()

    def add(cell: Cell) -> None:
        names.add(cell.name)
        for need in cell.needs.values():
            add(need)

    for cell in chosen:
        add(cell)
    return [cell for cell in cells if cell.name in names]


def members_of(cells: Iterable[Cell]) -> dict[tuple[str, Row], list[Row]]:
    """Return the rows (backbone, tables, fusion) that blends are made of, by the data set and the blend's row."""
    return {
        (cell.group.data, _row(cell)): [_row(need) for need in cell.needs.values()] for cell in cells if cell.is_blend
    }


def _row(cell: Cell) -> Row:
    return cell.group.backbone, cell.group.tables, cell.group.fusion


class _Arms:
    """Finds the cells that others are made of.

    Args:
        study: the study.
        cells: the baselines and fits.
        instead: see `with_arms`.

    Attributes:
        places: where fits are.
    """

    def __init__(self, study: StudyConfig, cells: Sequence[Cell], instead: Instead) -> None:
        self.study, self.instead, self.without = study, instead, baselines_left_out(study)
        self.baselines: dict[tuple[str, str, str], Cell] = {}
        self.fits: defaultdict[tuple[Place, str], dict[str, Cell]] = defaultdict(dict)
        for cell in cells:
            if cell.baseline:
                self.baselines[cell.group.data, cell.group.window, cell.label] = cell
            elif not cell.group.draw:
                self.fits[_place(cell), cell.label][cell.group.tables] = cell
        self.places = list(dict.fromkeys(place for place, _ in self.fits))

    def complete(self, cell: Cell) -> Cell:
        """Return a fit with the cell that it learns from, if it learns from one of the study; a baseline as it is."""
        teacher = cell.config.distillation.teacher
        if cell.baseline or teacher != self.study.teachers.get(cell.group.fusion):
            return cell
        return replace(cell, needs={teacher: self.cell(teacher, _place(cell), cell.group.tables, cell.group)})

    def cell(self, label: str, place: Place, tables: str, of: Group) -> Cell:
        """Return the complete cell of a label: with the same token tables, or the only ones that it runs with."""
        found = self.tables(label, place)
        if tables not in found and len(found) > 1:
            raise ConfigError(
                f"{of} is made of '{label}', which runs with several token tables ({', '.join(found)}), and none of "
                "them is its own. Have one table set in the study, or set tokens.tables in the fusions of both."
            )
        tables = tables if tables in found else found[0]
        if label in self.study.blends:
            return self.blend(label, place, tables)
        return self.complete(self._rows(label, place)[tables])

    def blend(self, label: str, place: Place, tables: str) -> Cell:
        """Return the blend of the cells of its members; where they are one and the same, that one."""
        group = Group(place.data, place.backbone, label, tables, place.window)
        members = [self.cell(member, place, tables, group) for member in self._members(label, place)]
        needs = {member.label: member for member in members}
        if len(needs) == 1:
            return members[0]
        config = blend_config([member.config for member in needs.values()])
        return Cell(group, place.seed, config, needs=needs)

    def tables(self, label: str, place: Place) -> list[str]:
        """Return the labels of the token tables that a row runs with; a blend with those that its members share."""
        if label not in self.study.blends:
            return list(self._rows(label, place))
        members = self._members(label, place)
        found = dict.fromkeys(each for member in members for each in self.tables(member, place))
        several = [each for each in found if each in (self.study.tables or (DEFAULT_TABLES,))]
        own = [each for each in found if each]
        return several or (own if len(own) == 1 else [""])

    def _members(self, label: str, place: Place) -> list[str]:
        """Return the labels of a blend's members that run on a data set."""
        return [each for each in self.study.blends[label].members if each not in self.without.get(place.data, ())]

    def _rows(self, label: str, place: Place) -> dict[str, Cell]:
        """Return the cells of a fusion, or of a baseline, by their token tables."""
        if label in self.without.get(place.data, ()):
            raise ConfigError(
                f"Data set {place.data} has no names, which '{label}' is made of, so nothing can learn from it there. "
                "Set names.file, or have another teacher."
            )
        if label in self.study.baselines:
            return {"": self.baselines[place.data, place.window, label]}
        return self.fits[place, self.instead.get((place.data, label), label)]


def _place(cell: Cell) -> Place:
    return Place(cell.group.data, cell.group.window, cell.group.backbone, cell.seed)
