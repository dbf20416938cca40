"""Trackio: a database on this machine, which `trackio show` looks at."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any, ClassVar

from mltfr.training.trackers.tracker import PROJECT, Tracker

QUIET = {"embed": False, "auto_log_gpu": False, "auto_log_cpu": False}
"""It sends what it is told, and does not record the use of the machine; older versions know fewer of these."""


class TrackioTracker(Tracker):
    """Sends a fit to trackio: kept on this machine unless `TRACKIO_SPACE_ID` or `TRACKIO_SERVER_URL` names another."""

    extra: ClassVar[str] = "trackio"
    package: ClassVar[str] = "trackio"
    remedy: ClassVar[str] = "Check TRACKIO_SPACE_ID and TRACKIO_SERVER_URL, or leave the tracker out."

    def open(self, name: str, settings: Mapping[str, Any]) -> Any:
        """Open a run."""
        known = signature(self.library.init).parameters
        quiet = {key: value for key, value in QUIET.items() if key in known}
        return self.library.init(project=PROJECT, name=name, config=dict(settings), **quiet)

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Send numbers of an optimisation step."""
        self.run.log(dict(numbers), step=step)

    def finish(self, complete: bool) -> None:
        """Close the run; trackio does not know whether it is complete."""
        self.run.finish()
