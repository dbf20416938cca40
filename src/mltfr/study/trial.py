"""One trial of a search in a process of its own: `python -m mltfr.study.trial FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Event

from mltfr.pipeline import fit, load_fitted
from mltfr.pipeline.folder import MANIFEST, write_json
from mltfr.pipeline.scores import score_validation
from mltfr.study.data import open_log
from mltfr.study.process import main
from mltfr.study.task import RESULT, RUN, Task


def run_trial(folder: Path, task: Task, stop: Event) -> None:
    """Fit, and write the validation score of the best epoch; test is not scored.

    Raises:
        Interrupted: `stop` was set; the run folder in the trial's folder holds a checkpoint.
        MltfrError: the settings or the data do not allow the run.
    """
    run = folder / RUN
    if (run / MANIFEST).exists():  # killed after the training
        fitted = load_fitted(run)
    else:
        fitted = fit(task.config, open_log(task.data), run, resume=True, stop=stop, measure=score_validation)
    result = {
        "fingerprint": task.fingerprint,
        "value": fitted.metrics["metrics"][task.metrics[0]],
        "epochs": len(fitted.history),
        "seconds": fitted.facts["wall_seconds"],
    }
    write_json(folder / RESULT, result)


if __name__ == "__main__":
    sys.exit(main(run_trial, sys.argv[1:]))
