"""Data sets and token tables of a study, opened once by the command, with their fingerprints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mltfr.config import merge
from mltfr.fusion import FUSIONS
from mltfr.interactions import FilterConfig
from mltfr.interactions.read_as import tell_read_as
from mltfr.pipeline import RunConfig
from mltfr.pipeline.inputs import load_run_tables
from mltfr.storage.progress import Progress
from mltfr.study.cell import Cell, Group
from mltfr.study.config import StudyConfig
from mltfr.study.data import open_log
from mltfr.study.fingerprint import inputs_of
from mltfr.study.rolling import windows_of
from mltfr.study.spec import JobSpec
from mltfr.tokens import PreparedTable


class StudyInputs:
    """What the runs of a study read; it makes their specifications.

    Tables are fetched and prepared here, one after the other, so that no two runs do it at once.

    Args:
        study: the study.
        labels: labels of the data sets to open.
        progress: receives what takes time.

    Attributes:
        windows: the settings of every window of those with a rolling split, by label.

    Raises:
        ConfigError: a data set cannot be cut into its windows.
        DataError: a data set is not a usable log.
        FetchError: a data set cannot be fetched.
    """

    def __init__(self, study: StudyConfig, labels: Iterable[str], progress: Progress) -> None:
        self.study, self.progress = study, progress
        self.interactions: dict[str, int] = {}
        self.fingerprints: dict[str, str] = {}
        self.windows: dict[str, list[dict[str, Any]]] = {}
        self._tables: dict[tuple[str, str], list[PreparedTable]] = {}
        for label in labels:
            data = study.data[label]
            filters = merge(study.settings, data.settings).get("filters", {})
            config = FilterConfig.parse(filters, f"data.{label}.settings.filters")
            log = open_log(data, config)
            tell_read_as(log.read_as, progress, label)
            if data.rolling is not None:
                self.windows[label] = windows_of(data.rolling, log, config, f"data.{label}.rolling")
            self.interactions[label], self.fingerprints[label] = len(log), log.fingerprint()

    def tables(self, config: RunConfig) -> list[PreparedTable]:
        """Return the token tables that a run reads.

        Raises:
            TokenTableError: a table is unknown or damaged.
            FetchError: a table cannot be fetched.
        """
        key = (config.tokens.model_dump_json(), FUSIONS.get(config.fusion.name).cls.control)
        if key not in self._tables:
            self._tables[key] = load_run_tables(config, self.progress)
        return self._tables[key]

    def cell_spec(self, cell: Cell, made_of: Mapping[str, str] | None = None) -> JobSpec:
        """Return the specification of a cell.

        Args:
            cell: the cell.
            made_of: fingerprints of the cells that it needs, by label.
        """
        if not cell.needs:
            return self._spec(cell.group, cell.config)
        distillation = cell.config.distillation.model_copy(update={"teacher": ""})  # its path decides nothing
        spec = self._spec(cell.group, cell.config.model_copy(update={"distillation": distillation}))
        runs = {label: need.name for label, need in cell.needs.items()}
        return spec.model_copy(update={"runs": runs, "inputs": {**spec.inputs, "runs": dict(made_of or {})}})

    def trial_spec(self, group: Group, config: RunConfig) -> JobSpec:
        """Return the specification of a trial."""
        return self._spec(group, config, trial=True)

    def _spec(self, group: Group, config: RunConfig, trial: bool = False) -> JobSpec:
        inputs = inputs_of(config, self.fingerprints[group.data], self.tables(config), self.study.threads)
        return JobSpec(data=self.study.data[group.data], inputs=inputs, metrics=self.study.metrics, trial=trial)
