"""A fit as callbacks hear of it, from the settings to the scores, and the trackers that the settings name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mltfr.config import flatten
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.shared import settings_to_share
from mltfr.training import Callback, Callbacks, Tracker


@dataclass
class Tracked:
    """A fit that is being tracked.

    Attributes:
        callback: called on progress.
        metrics: the document of `metrics.json`, once there is one.
    """

    callback: Callback
    metrics: dict[str, Any] | None = None


@contextmanager
def tracked(
    config: RunConfig, callback: Callback, folder: Path | None, trackers: Sequence[Tracker] | None
) -> Iterator[Tracked]:
    """Tell callbacks, those of trackers too, that a fit begins, and with what scores it ends, or without.

    They are told the settings as they may leave this machine: a callback of the caller's may be a tracker too.

    Args:
        config: every setting, as it is fitted with.
        callback: called on progress.
        folder: run folder, whose name the run has; None for a fit in memory.
        trackers: those that the settings name; None in a process that does not report, but another one of the training.

    Raises:
        TrackerError: a tracker cannot be started.
    """
    if trackers is None:
        yield Tracked(callback)
        return
    everybody = Callbacks([callback, *trackers])
    found = Tracked(everybody)
    try:
        name = folder.name if folder is not None else config.title
        everybody.on_fit_start(name, flatten(settings_to_share(config).model_dump(mode="json")))
        yield found
    finally:
        everybody.on_fit_end(found.metrics)
