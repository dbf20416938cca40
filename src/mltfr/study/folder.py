"""The study folder, and which runs in it may be continued.

    study.toml             the study file, with what it came to as comments
    cells/NAME/            the run folder of a cell, as `mltfr fit` writes it, and users.parquet: its scores by user;
                           without weights and data once it is finished, unless `keep_runs` is set or a cell needs it
    cells/NAME.json        what that run is made from
    tuning/GROUP.jsonl     the trials of a search; tuning/GROUP/ holds the run that is at work
    results.parquet, users.parquet, comparisons.parquet, tables/, plots/, summary.md    what `mltfr study` found
    draws.parquet          further draws of the controls, where the study has some
    .report.json           which tables and plots those are; files beside them are never removed
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mltfr.errors import RunError
from mltfr.pipeline.artifact import CHECKPOINT, CONFIG, LOG, METRICS, remove_run
from mltfr.storage.files import check_new, output_errors
from mltfr.storage.folder import MANIFEST
from mltfr.storage.lock import locked, naming_the_holder
from mltfr.study.arms import needed
from mltfr.study.cell import Cell
from mltfr.study.fingerprint import difference
from mltfr.study.job import is_finished
from mltfr.study.spec import JobSpec, read_spec
from mltfr.study.users import USERS
from mltfr.training.checkpoint import STATE

STUDY, CELLS, TUNING = "study.toml", "cells", "tuning"
PLACES = (CELLS, TUNING, f"{TUNING}/*", "tables", "plots")
"""Folders in which whoever holds the study's lock writes files; those of runs have locks of their own."""
KEPT = (CONFIG, LOG, METRICS, MANIFEST, USERS)
"""What a finished run keeps if `keep_runs` is not set."""


@contextmanager
def open_study(path: Path, resume: bool) -> Iterator[StudyFolder]:
    """Make a study folder and lock it.

    Args:
        path: the folder.
        resume: whether a study that is there is continued.

    Raises:
        RunError: it holds something else, or a study and `resume` is not given; or another process is at work in it.
        OutputError: it cannot be made.
    """
    _check(path, resume)
    with locked(path, within=PLACES):
        _check(path, resume)  # again: another process may have begun a study
        with output_errors(path):
            for name in (CELLS, TUNING):
                (path / name).mkdir(exist_ok=True)
        yield StudyFolder(path)


@dataclass(frozen=True)
class StudyFolder:
    """A folder that holds a study.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def tuning(self) -> Path:
        """Where the searches are recorded."""
        return self.path / TUNING

    def run(self, cell: Cell) -> Path:
        """Return a cell's run folder."""
        return self.path / CELLS / cell.name

    def has(self, cell: Cell) -> bool:
        """Return whether a cell is finished, whatever it was made from."""
        return (self.run(cell) / MANIFEST).exists() and (self.run(cell) / USERS).exists()

    def made_of(self, cell: Cell) -> dict[str, str]:
        """Return the fingerprints of the finished cells that one needs, by label."""
        return {label: read_spec(self.run(need)).fingerprint for label, need in cell.needs.items()}

    def is_done(self, cell: Cell, spec: JobSpec, keep_runs: bool) -> bool:
        """Return whether a cell is finished, after checking that its run, if it has begun, was made from `spec`.

        Raises:
            RunError: it was made from other settings, data or versions.
        """
        run = self.run(cell)
        done = is_finished(run, spec)
        if done or (run / CHECKPOINT / STATE).exists() or (run / MANIFEST).exists():
            made_from = read_spec(run)
            if made_from.fingerprint != spec.fingerprint:
                raise RunError(
                    f"{run}: this cell was made from something else ({difference(made_from.inputs, spec.inputs)}). "
                    "Continue with the study file, data and versions that it was made from, choose another --out, "
                    "or remove that folder so that it is made again."
                )
        if done:
            clean_up(run, keep_runs)
        return done


def clean_up_all(folder: StudyFolder, cells: Sequence[Cell], keep_runs: bool) -> None:
    """Remove from finished cells what no table needs, but for those that an unfinished one is made of.

    Args:
        folder: the study folder.
        cells: all cells of the study.
        keep_runs: whether nothing is removed.
    """
    finished = [cell for cell in cells if folder.has(cell)]
    done = {cell.name for cell in finished}
    waited_for = needed(cell for cell in cells if cell.name not in done)
    for cell in finished:
        clean_up(folder.run(cell), keep_runs or cell.name in waited_for)


def _check(path: Path, resume: bool) -> None:
    tables = " (its tables: summary.md)" if (path / "summary.md").exists() else ""
    refusal = f"holds a study already{tables}. Continue it with --resume, or choose another --out."
    empty = [name for name in (CELLS, TUNING) if not any((path / name).glob("*"))]  # ended before its first cell
    with naming_the_holder(path):
        check_new(path, "a study", known={STUDY: None if resume else refusal}, ignored=empty, error=RunError)


def clean_up(run: Path, keep_runs: bool) -> None:
    """Remove from a finished run what no table needs, its weights and data among it, unless runs are kept."""
    if not keep_runs:
        remove_run(run, keep=KEPT)
