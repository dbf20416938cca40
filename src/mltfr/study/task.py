"""What a process of a study is told to do, in a file of the folder that it works in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import Field

from mltfr.config import Config
from mltfr.errors import RunError
from mltfr.pipeline import RunConfig
from mltfr.pipeline.folder import write_json
from mltfr.study.config import DataConfig
from mltfr.study.fingerprint import fingerprint_of

TASK, RUN = "task.json", "run"
"""In the folder of every process: its task, and the run folder that it works on."""
CELL, USERS, RESULT = "cell.json", "users.parquet", "result.json"
"""What a cell leaves, and what a trial leaves."""


class Task(Config):
    """One training, and where its data comes from."""

    data: DataConfig
    """The data set."""
    basis: dict[str, Any]
    """All that decides the result, complete settings among it."""
    labels: dict[str, Any] = Field(default_factory=dict)
    """Labels of the cell, as they stand in its results."""
    metrics: tuple[str, ...] = ()
    """Metrics of the study, the one that decides first."""
    keep_run: bool = False
    """Whether the run folder stays."""

    @property
    def fingerprint(self) -> str:
        """Hash of the basis."""
        return fingerprint_of(self.basis)

    @property
    def config(self) -> RunConfig:
        """The settings of the training."""
        return RunConfig.parse(self.basis["config"], "task")


def write_task(folder: Path, task: Task) -> None:
    """Write the task into its folder, which is made if need be."""
    write_json(folder / TASK, task.model_dump(mode="json"))


def read_task(folder: Path) -> Task:
    """Read the task of a folder.

    Raises:
        RunError: there is none, or it is damaged.
    """
    return Task.parse(read_json(folder / TASK), str(folder / TASK))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise TypeError("it is no JSON object")
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{path}: missing or damaged ({error}). Remove its folder, then use --resume.") from error
    return document
