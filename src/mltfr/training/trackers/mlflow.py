"""MLflow: its server, or its own database in the working folder."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from mltfr.training.trackers.tracker import PROJECT, Tracker

AT_ONCE = 100
"""Settings that a server takes at a time."""
LONGEST = 500
"""Characters of a setting's value that every version of a server takes."""


class MLflowTracker(Tracker):
    """Sends a fit to MLflow, where `MLFLOW_TRACKING_URI` and `MLFLOW_EXPERIMENT_NAME` say, by default `mlflow.db` here.

    Its names of metrics have no @: `validation/ndcg_at_10`.
    """

    extra: ClassVar[str] = "mlflow"
    package: ClassVar[str] = "mlflow-skinny"
    remedy: ClassVar[str] = "Check MLFLOW_TRACKING_URI, or leave the tracker out."

    def open(self, name: str, settings: Mapping[str, Any]) -> Any:
        """Open a run of the experiment, which is made if it is not there."""
        self.client = self.library.MlflowClient()
        project = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        known = self.client.get_experiment_by_name(project)
        experiment = known.experiment_id if known is not None else self.client.create_experiment(project)
        run = self.client.create_run(experiment, run_name=name).info.run_id
        param = self.library.entities.Param
        params = [param(key, str(value)[:LONGEST]) for key, value in settings.items()]
        for start in range(0, len(params), AT_ONCE):
            self.client.log_batch(run, params=params[start : start + AT_ONCE])
        return run

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Send numbers of an optimisation step."""
        metric, now = self.library.entities.Metric, int(1000 * time.time())
        values = [metric(name.replace("@", "_at_"), value, now, step) for name, value in numbers.items()]
        self.client.log_batch(self.run, metrics=values)

    def finish(self, complete: bool) -> None:
        """Close the run."""
        self.client.set_terminated(self.run, "FINISHED" if complete else "FAILED")
