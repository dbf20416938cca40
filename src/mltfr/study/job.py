"""The process of one training: `python -m mltfr.study.job RUN` does what `mltfr fit --out RUN --resume` does."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Sequence
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
from mltfr.storage.files import atomic_file
from mltfr.storage.folder import MANIFEST
from mltfr.storage.lock import locked
from mltfr.study.data import open_log
from mltfr.study.fingerprint import difference, files_of
from mltfr.study.spec import JobSpec, read_spec
from mltfr.study.users import USERS, per_user
from mltfr.training import Callback, Interrupted, stop_request

DONE, CRASHED, REFUSED, STOPPED = 0, 1, 2, 130
"""Exit codes: finished, any other error, settings that allow no training, stopped on request."""
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
        fit(_taught(run, spec), log, run, resume=True, stop=stop, **more)


class _Stopping(Callback):
    """Raises `Interrupted` at the next step once a stop is requested."""

    def __init__(self, stop: Event) -> None:
        self.stop = stop

    def advance(self, steps: int = 1) -> None:
        if self.stop.is_set():
            raise Interrupted


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


def main(run: Path) -> int:
    """Train the run of a folder and return the exit code; the last line on stderr says what went wrong.

    It stops, with a checkpoint, on Ctrl-C, on SIGTERM, and once stdin is closed: by its parent, or by its end.
    """
    try:
        spec = read_spec(run)
        torch.set_num_threads(int(spec.inputs["threads"]))
        with stop_request() as stop:
            threading.Thread(target=_stop_with_stdin, args=(stop,), daemon=True).start()
            with locked(run, LOCK_TIMEOUT, within=[CHECKPOINT]):
                train(run, spec, stop)
    except Interrupted:
        return STOPPED
    except MltfrError as error:
        print(" ".join(str(error).split()), file=sys.stderr)  # noqa: T201
        return REFUSED if isinstance(error, ConfigError) else CRASHED
    except Exception:
        traceback.print_exc()
        return CRASHED
    return DONE


def _stop_with_stdin(stop: Event) -> None:
    """Request a stop once stdin is closed."""
    while os.read(0, 1024):  # not sys.stdin, whose lock would be in the way at the end
        pass
    stop.set()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
