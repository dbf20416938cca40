"""The process of one training: `python -m mltfr.study.job RUN` does what `mltfr fit --out RUN --resume` does."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import polars as pl
import torch

from mltfr.errors import ConfigError, MltfrError, RunError
from mltfr.evaluation import evaluate
from mltfr.pipeline import FittedModel, fit, load_artifact
from mltfr.pipeline.artifact import CHECKPOINT, remove_run
from mltfr.pipeline.blend import blend
from mltfr.pipeline.config import BlendConfig, RunConfig
from mltfr.pipeline.report_metrics import score, score_validation
from mltfr.storage.child import when_stdin_closes
from mltfr.storage.files import atomic_file
from mltfr.storage.folder import MANIFEST
from mltfr.storage.lock import locked
from mltfr.study.data import open_log
from mltfr.study.fingerprint import difference, files_of
from mltfr.study.spec import JobSpec, read_spec
from mltfr.study.users import USERS, per_user
from mltfr.training import Callback, Interrupted, stop_request
from mltfr.training.callbacks import Record

DONE, CRASHED, REFUSED, PAUSED, STOPPED = 0, 1, 2, 3, 130
"""Exit codes: finished, any other error, settings that allow no training, at the epoch to pause after, stopped on
request."""
LOCK_TIMEOUT = 600.0
"""Seconds to wait for an earlier process of the same run, whose parent was killed, to write its checkpoint."""


def is_finished(run: Path, spec: JobSpec) -> bool:
    """Return whether a run is fitted and, unless it is a trial, measured user by user."""
    return (run / MANIFEST).exists() and (spec.trial or (run / USERS).exists())


def train(run: Path, spec: JobSpec, stop: Event) -> None:
    """Fit and measure one run, from its checkpoint if there is one, with `users.parquet` in it.

    Args:
        run: the run folder, as `mltfr fit` writes it.
        spec: what it is made from.
        stop: when set, a checkpoint is written, and `Interrupted` raised.

    Raises:
        Interrupted: `stop` was set.
        MltfrError: the settings or the data do not allow the run.
        RunError: the log, or a file that the settings name, is not what `spec` was made of.
    """
    if is_finished(run, spec):  # by a process whose parent was killed
        return
    if (run / MANIFEST).exists():  # its table of users was lost
        fitted = load_artifact(run)
        tested = fitted.for_test()
        test = evaluate(tested.scorer(), tested.split, "test", tested.protocol())
        with atomic_file(run / USERS) as path:
            per_user(fitted, test, spec.metrics).write_parquet(path)
    elif isinstance(spec.config.backbone, BlendConfig):
        remove_run(run, also=[USERS])  # a blend that was interrupted is begun again: it takes seconds
        blend(_cells(run, spec), run, callback=_Stopping(stop), **_measured_by_user(spec.metrics))
    else:
        log = open_log(spec.data, spec.config.filters)
        found = {"data": log.fingerprint(), "files": files_of(spec.inputs["config"])}
        if any(spec.inputs[key] != value for key, value in found.items()):
            raise RunError(
                f"{run}: what it is made from has changed since the study was begun "
                f"({difference(spec.inputs, {**spec.inputs, **found})}). Put back what it was, or choose another --out."
            )
        more: dict[str, Any] = {"measure": score_validation} if spec.trial else _measured_by_user(spec.metrics)
        enough = Event()
        halt = _Either(stop)
        pause = _Pausing(spec.pause_after, halt, enough)
        with _set_at(spec.until, enough):
            try:
                fit(_taught(run, spec), log, run, resume=True, callback=pause, stop=halt, enough=enough, **more)
            except Interrupted:
                if pause.paused:
                    raise _Paused from None
                raise


class _Stopping(Callback):
    """Raises `Interrupted` at the next step once a stop is requested."""

    def __init__(self, stop: Event) -> None:
        self.stop = stop

    def advance(self, steps: int = 1) -> None:
        if self.stop.is_set():
            raise Interrupted


class _Paused(Interrupted):
    """A training is at the epoch to pause after, and its checkpoint is saved."""


class _Either(Event):
    """Is set as soon as another one is, or when it is set itself."""

    def __init__(self, other: Event) -> None:
        super().__init__()
        self.other = other

    def is_set(self) -> bool:
        return super().is_set() or self.other.is_set()


class _Pausing(Callback):
    """Requests a stop after an epoch, counted over all rounds, unless the training ends there anyway."""

    def __init__(self, epoch: int | None, stop: Event, enough: Event) -> None:
        self.epoch, self.stop, self.enough = epoch, stop, enough
        self.epochs, self.paused = 0, False

    def on_resume(self, history: Sequence[Record]) -> None:
        self.epochs = len(history)

    def on_epoch_end(self, record: Record) -> None:
        self.epochs += 1
        over = self.stop.is_set() or self.enough.is_set()
        if self.epoch is not None and not over and self.epochs >= self.epoch:
            self.paused = True
            self.stop.set()


def epochs_of(log: Path) -> int:
    """Return how many epochs stand in a run's log."""
    return log.read_text(encoding="utf-8").count("\n") if log.exists() else 0


@contextmanager
def _set_at(moment: float | None, event: Event) -> Iterator[None]:
    """Set an event at a moment in seconds since 1970, at once where that is past; never where there is none."""
    timer = threading.Timer(max(0.0, (moment or 0.0) - time.time()), event.set)
    timer.daemon = True
    if moment is not None:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cells(run: Path, spec: JobSpec) -> dict[str, Path]:
    """Return the run folders of the cells that a run is made of, by label, after checking that they are what they were.

    Raises:
        RunError: one is another one now.
    """
    folders = {label: run.absolute().parent / name for label, name in spec.runs.items()}
    for label, folder in folders.items():
        if read_spec(folder).fingerprint != spec.inputs["runs"][label]:
            raise RunError(f"{folder}: '{label}', of which {run.name} is made, has changed. Continue with --resume.")
    return folders


def _taught(run: Path, spec: JobSpec) -> RunConfig:
    """Return the settings of a fit; with the run folder of its teacher, if that is a cell."""
    config = spec.config
    for folder in _cells(run, spec).values():
        distillation = config.distillation.model_copy(update={"teacher": str(folder)})
        config = config.model_copy(update={"distillation": distillation})
    return config


def _measured_by_user(metrics: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of `fit` that measure a run, and write `users.parquet` of the same scores."""
    users: list[pl.DataFrame] = []

    def measure(fitted: FittedModel, run: str | None) -> dict[str, Any]:
        return score(fitted, run, lambda test: users.append(per_user(fitted, test, metrics)))

    return {"measure": measure, "also": {USERS: lambda _: users[-1]}}


def attempt(run: Path, stop: Event) -> tuple[int, str]:
    """Train the run of a folder; return the exit code, and what went wrong, whose last line says it.

    Args:
        run: the run folder; its specification is written.
        stop: when set, a checkpoint is written, and the training ends.
    """
    try:
        spec = read_spec(run)
        torch.set_num_threads(int(spec.inputs["threads"]))
        with locked(run, LOCK_TIMEOUT, within=[CHECKPOINT]):
            train(run, spec, stop)
    except _Paused:
        return PAUSED, ""
    except Interrupted:
        return STOPPED, ""
    except MltfrError as error:
        return REFUSED if isinstance(error, ConfigError) else CRASHED, " ".join(str(error).split())
    except Exception:
        return CRASHED, traceback.format_exc().rstrip()
    return DONE, ""


def main(run: Path) -> int:
    """Train the run of a folder and return the exit code; the last line on stderr says what went wrong.

    It stops, with a checkpoint, on Ctrl-C, on SIGTERM, and once stdin is closed: by its parent, or by its end.
    """
    with stop_request() as stop:
        when_stdin_closes(stop.set)
        code, error = attempt(run, stop)
    if error:
        print(error, file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
