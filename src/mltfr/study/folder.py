"""The study folder: what lies where, and what of it may be continued."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from mltfr.errors import OutputError, RunError
from mltfr.pipeline.folder import CHECKPOINT, MANIFEST
from mltfr.storage.lock import LOCK
from mltfr.study.fingerprint import difference
from mltfr.study.plan import Cell
from mltfr.study.task import CELL, RUN, TASK, Task, read_json, read_task
from mltfr.study.worker import ERRORS
from mltfr.training.checkpoint import STATE

STUDY, CELLS, TUNING = "study.toml", "cells", "tuning"


class StudyFolder:
    """A folder that holds, or will hold, a study.

    Args:
        path: the folder.
        resume: whether a study that is there is continued.

    Raises:
        RunError: it holds something else, or a study and `resume` is not asked for.
        OutputError: it cannot be made.
    """

    def __init__(self, path: Path, resume: bool) -> None:
        self.path = path
        if path.exists() and not path.is_dir():
            raise RunError(f"{path}: is a file. Give --out the name of a new folder.")
        if (path / STUDY).exists():
            if not resume:
                raise RunError(f"{path}: holds a study already. Continue it with --resume, or choose another --out.")
        elif path.exists() and any(not _is_ours(entry) for entry in path.iterdir()):
            raise RunError(f"{path}: is not empty and not a study. Choose another --out.")
        try:
            for name in (CELLS, TUNING):
                (path / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path}: cannot be made ({error.strerror}). Choose another --out.") from error
        if not os.access(path, os.W_OK):
            raise OutputError(f"{path}: may not be written. Choose another --out.")

    @property
    def tuning(self) -> Path:
        """Where the searches are recorded."""
        return self.path / TUNING

    def of(self, cell: Cell) -> Path:
        """Return a cell's folder."""
        return self.path / CELLS / cell.name

    def result(self, cell: Cell) -> dict[str, Any] | None:
        """Return what `cell.json` says; None where the cell is not finished."""
        path = self.of(cell) / CELL
        return read_json(path) if path.exists() else None

    def is_done(self, cell: Cell, task: Task) -> bool:
        """Return whether a cell is finished, after checking that whatever is there belongs to its task.

        Raises:
            RunError: it was made from other settings, data or versions.
        """
        folder, found = self.of(cell), self.result(cell)
        done = found is not None
        if found is None and _has_begun(folder) and (folder / TASK).exists():
            begun = read_task(folder)
            found = {"fingerprint": begun.fingerprint, "basis": begun.basis}
        if found is not None and found["fingerprint"] != task.fingerprint:
            raise RunError(
                f"{folder}: this cell was made from something else ({difference(found['basis'], task.basis)}). "
                "Continue with the study file, data and versions that it was made from, choose another --out, "
                "or remove that folder so that it is made again."
            )
        if done:
            tidy(folder, task.keep_run)
        return done


def tidy(folder: Path, keep_run: bool) -> None:
    """Remove what a finished cell no longer needs, its weights among it."""
    if not keep_run:
        shutil.rmtree(folder / RUN, ignore_errors=True)
    for name in (TASK, LOCK, ERRORS):
        (folder / name).unlink(missing_ok=True)


def _is_ours(entry: Path) -> bool:
    """Return whether it is hidden, or the empty folder of a study that ended before its first cell."""
    return entry.name.startswith(".") or (entry.name in (CELLS, TUNING) and not any(entry.iterdir()))


def _has_begun(folder: Path) -> bool:
    """Return whether there is a checkpoint or a trained model to go on from."""
    run = folder / RUN
    return (run / CHECKPOINT / STATE).exists() or (run / MANIFEST).exists()
