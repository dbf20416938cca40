"""What the cells work on, opened once by the parent: logs and token tables, with their fingerprints."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mltfr.pipeline import RunConfig
from mltfr.storage.progress import Progress
from mltfr.study.config import StudyConfig
from mltfr.study.data import open_log
from mltfr.study.fingerprint import basis_of
from mltfr.study.plan import Cell, Group
from mltfr.study.task import Task
from mltfr.tokens import PreparedTable, load_tables


class Material:
    """Data sets and token tables of a study.

    Tables are fetched and prepared here, one after the other, so that no two cells do it at once.

    Args:
        study: the study.
        labels: the data sets that are needed.
        progress: receives what takes time.

    Raises:
        DataError: a data set is not a usable log.
        FetchError: a data set cannot be fetched.
    """

    def __init__(self, study: StudyConfig, labels: Iterable[str], progress: Progress) -> None:
        self.study, self.progress = study, progress
        self.interactions: dict[str, int] = {}
        self.fingerprints: dict[str, str] = {}
        self._tables: dict[str, list[PreparedTable]] = {}
        for label in labels:
            log = open_log(study.data[label])
            self.interactions[label], self.fingerprints[label] = len(log), log.fingerprint()

    def tables(self, config: RunConfig) -> list[PreparedTable]:
        """Return the tables that a run reads.

        Raises:
            TokenTableError: a table is unknown or damaged.
            FetchError: a table cannot be fetched.
        """
        if not config.tokens.tables:
            return []
        key = config.tokens.model_dump_json()
        if key not in self._tables:
            self._tables[key] = load_tables(config.tokens, progress=self.progress)
        return self._tables[key]

    def cell_task(self, cell: Cell) -> Task:
        """Return the task of a cell."""
        labels = {"cell": cell.name, **cell.group._asdict(), "seed": cell.seed}
        return self._task(cell.group, cell.config, labels=labels, keep_run=self.study.keep_runs)

    def trial_task(self, group: Group, config: RunConfig) -> Task:
        """Return the task of a trial."""
        return self._task(group, config)

    def _task(self, group: Group, config: RunConfig, **more: Any) -> Task:
        basis = basis_of(config, self.fingerprints[group.data], self.tables(config), self.study.threads)
        return Task(data=self.study.data[group.data], basis=basis, metrics=self.study.metrics, **more)
