"""Draws of the controls that read random vectors: what the real tables are ranked among."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mltfr.errors import ConfigError
from mltfr.fusion import FUSIONS
from mltfr.pipeline import RunConfig
from mltfr.study.config import StudyConfig

if TYPE_CHECKING:
    from mltfr.study.cell import Cell


def is_drawn(config: RunConfig) -> bool:
    """Return whether a run reads what was drawn by `tokens.control_seed`, in place of the tables or of the names."""
    names = config.names.are_used and config.names.control in ("random", "permuted")
    return names or FUSIONS.get(config.fusion.name).cls.control != "none"


def draws_of(study: StudyConfig, cell: Cell) -> Iterator[Cell]:
    """Yield a cell, and if it reads drawn vectors the same with other draws of them."""
    yield cell
    if is_drawn(cell.config) and (study.draw_seeds == "all" or cell.seed == study.seeds[0]):
        tokens = cell.config.tokens
        for draw in range(1, study.draws):
            drawn = tokens.model_copy(update={"control_seed": tokens.control_seed + draw})
            group = cell.group._replace(draw=draw)
            yield replace(cell, group=group, config=cell.config.model_copy(update={"tokens": drawn}))


def real_cell(cell: Cell, cells: Sequence[Cell]) -> Cell | None:
    """Return the cell that differs from one with drawn vectors in these alone; None where there is none."""
    control = FUSIONS.get(cell.config.fusion.name).cls
    for other in cells:
        alike = other.group._replace(fusion=cell.group.fusion, draw=cell.group.draw) == cell.group
        if alike and not other.baseline and other.seed == cell.seed and not is_drawn(other.config):
            real = FUSIONS.get(other.config.fusion.name).cls
            is_real = issubclass(control, real) and other.config.names.control == "none"
            if is_real and _but_for_vectors(cell.config) == _but_for_vectors(other.config):
                return other
    return None


def check_draws(study: StudyConfig, cells: Sequence[Cell]) -> None:
    """Check that several draws have real tables to be ranked with.

    Raises:
        ConfigError: the study has several draws of nothing, or of a control without what it controls.
    """
    if study.draws == 1:
        return
    drawn = [cell for cell in cells if not cell.group.draw and cell.seed == study.seeds[0] and is_drawn(cell.config)]
    if not drawn:
        raise ConfigError(
            f"draws is {study.draws}, but no fusion of the study reads random vectors. Add one, such as "
            "[fusions.random], or remove draws."
        )
    for cell in drawn:
        if real_cell(cell, cells) is None:
            control = FUSIONS.get(cell.config.fusion.name).cls
            real = next(e.name for e in FUSIONS if e.cls.control == "none" and issubclass(control, e.cls))
            raise ConfigError(
                f"draws is {study.draws}, but on '{cell.group.data}' no fusion differs from '{cell.group.fusion}' in "
                f"the vectors alone, so its draws have nothing to be ranked with. Add [fusions.{real}] with the "
                "same settings, or remove draws."
            )


def _but_for_vectors(config: RunConfig) -> dict[str, Any]:
    values = config.model_dump(mode="json")
    values["fusion"]["name"] = values["names"]["control"] = values["tokens"]["control_seed"] = None
    return values if config.names.are_used else {**values, "names": None}
