"""Experiment trackers, each a callback: one file per tracker."""

from __future__ import annotations

from collections.abc import Iterable

from mltfr.training.trackers.mlflow import MLflowTracker
from mltfr.training.trackers.tracker import Tracker
from mltfr.training.trackers.trackio import TrackioTracker
from mltfr.training.trackers.wandb import WandbTracker

TRACKERS: dict[str, type[Tracker]] = {
    tracker.extra: tracker for tracker in (MLflowTracker, WandbTracker, TrackioTracker)
}
"""Trackers by the name that the setting `trackers` gives them."""



def make_trackers(names: Iterable[str]) -> list[Tracker]:
    """Return the trackers of these names, each once.

    Raises:
        MissingExtraError: one is not installed.
    """
    return [TRACKERS[name]() for name in dict.fromkeys(names)]


__all__ = ["TRACKERS", "MLflowTracker", "Tracker", "TrackioTracker", "WandbTracker", "make_trackers"]
