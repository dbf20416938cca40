"""One cell in a process of its own: `python -m mltfr.study.cell FOLDER`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from threading import Event
from typing import Any

from mltfr.config import dump_toml
from mltfr.pipeline import Fitted, fit, load_fitted
from mltfr.pipeline.folder import CONFIG, LOG, MANIFEST, write_json, write_text
from mltfr.storage.files import atomic_file
from mltfr.study.data import open_log
from mltfr.study.process import main
from mltfr.study.task import CELL, RUN, USERS, Task
from mltfr.study.users import per_user


def run_cell(folder: Path, task: Task, stop: Event) -> None:
    """Fit, score and write a cell; `cell.json` comes last, so a folder without one is not finished.

    Raises:
        Interrupted: `stop` was set; the run folder in the cell's folder holds a checkpoint.
        MltfrError: the settings or the data do not allow the run.
    """
    run = folder / RUN
    if (folder / CELL).exists():  # by a process whose parent was killed
        return
    if (run / MANIFEST).exists():  # killed after the training
        fitted = load_fitted(run)
    else:
        fitted = fit(task.config, open_log(task.data), run, resume=True, stop=stop)
    with atomic_file(folder / USERS) as path:
        per_user(fitted, task.metrics).write_parquet(path)
    write_text(folder / CONFIG, dump_toml(fitted.config))
    write_text(folder / LOG, (run / LOG).read_text(encoding="utf-8"))
    write_json(folder / CELL, describe_cell(fitted, task))
    if not task.keep_run:
        shutil.rmtree(run, ignore_errors=True)


def describe_cell(fitted: Fitted, task: Task) -> dict[str, Any]:
    """Return the document of `cell.json`."""
    document, facts = fitted.metrics, fitted.facts
    return {
        **task.labels,
        "data_fingerprint": facts["data_fingerprint"],
        "protocol_hash": document["protocol_hash"],
        "protocol": document["protocol"],
        "parameters": facts.get("parameters", {}).get("total", 0),
        "best_epoch": facts.get("best_epoch", 0),
        "epochs": len(fitted.history),
        "seconds": facts["wall_seconds"],
        "metrics": document["metrics"],
        "validation": document.get("validation", {}).get("metrics", {}),
        "zero_branch": document.get("zero_branch", {}),
        "fingerprint": task.fingerprint,
        "basis": task.basis,
    }


if __name__ == "__main__":
    sys.exit(main(run_cell, sys.argv[1:]))
