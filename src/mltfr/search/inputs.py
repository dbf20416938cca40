"""What the runs of a search are made from: a study's specifications, as trials that may pause and have to end."""

from __future__ import annotations

from collections.abc import Mapping

from mltfr.pipeline import RunConfig
from mltfr.study.cell import Cell, Group
from mltfr.study.inputs import StudyInputs
from mltfr.study.spec import JobSpec


class SearchInputs(StudyInputs):
    """A study's inputs, whose runs are scored on validation alone.

    Attributes:
        pause_after: epoch after which trainings pause; None for their end.
        until: moment at which they end, in seconds since 1970; None for no moment.
    """

    pause_after: int | None = None
    until: float | None = None

    def cell_spec(self, cell: Cell, made_of: Mapping[str, str] | None = None) -> JobSpec:
        """Return the specification of a run."""
        return self._timed(super().cell_spec(cell, made_of))

    def trial_spec(self, group: Group, config: RunConfig) -> JobSpec:
        """Return the specification of a trial."""
        return self._timed(super().trial_spec(group, config))

    def _timed(self, spec: JobSpec) -> JobSpec:
        return spec.model_copy(update={"trial": True, "pause_after": self.pause_after, "until": self.until})
