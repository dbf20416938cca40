"""All baselines on one log, each in a run folder of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Event
from typing import Any

from mltfr.baselines import BASELINES
from mltfr.errors import ConfigError
from mltfr.interactions import InteractionLog, PreparedSet
from mltfr.pipeline.artifact import check_new
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.fit import fit
from mltfr.pipeline.presets import resolve
from mltfr.training import Callback, Callbacks

SHARED = ("reading", "seed", "filters", "split", "evaluation", "training")
"""What a configuration file says for all baselines; of training, the metric that the best one is chosen by."""


def baseline_configs(file: Mapping[str, Any] | None = None, overrides: Iterable[str] = ()) -> dict[str, RunConfig]:
    """Return the settings of every baseline by its name.

    Args:
        file: nested settings of a configuration file, which may be that of another backbone's run.
        overrides: `KEY=VALUE` texts for all of them.

    Raises:
        ConfigError: an unknown setting, or a value out of range.
    """
    shared = {key: value for key, value in (file or {}).items() if key in SHARED}
    overrides = list(overrides)
    return {
        name: resolve(file=shared, backbone=name, baselines=False, overrides=overrides) for name in BASELINES.names()
    }


class _Once(Callbacks):
    """Says what is the same for all baselines once."""

    said: frozenset[str] = frozenset()

    def message(self, text: str) -> None:
        if text not in self.said:
            self.said |= {text}
            super().message(text)


def fit_baselines(
    configs: Mapping[str, RunConfig],
    log: InteractionLog | PreparedSet,
    folder: Path,
    *,
    resume: bool = False,
    callback: Callback | None = None,
    stop: Event | None = None,
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Fit every baseline into `folder/NAME`, and return their `metrics.json`, and why some could not be fitted.

    Args:
        configs: settings by name, as of `baseline_configs`.
        log: the interaction log, or a prepared set.
        folder: where the run folders are made.
        resume: leave those that are finished as they are.
        callback: called on progress.
        stop: when set, the baseline at work is the last one, and `Interrupted` is raised.

    Raises:
        RunError: a run folder is there already, or holds something else.
        ConfigError: none of them can be fitted to this log or on this machine.
        DataError, OutputError, Interrupted: see `fit`.
    """
    callback = _Once([callback or Callback()])
    for name in configs:
        check_new(folder / name, resume)
    scores: dict[str, dict[str, Any]] = {}
    refused: dict[str, str] = {}
    for name, config in configs.items():
        callback.message(f"fitting {name}")
        try:
            scores[name] = fit(config, log, folder / name, resume=resume, callback=callback, stop=stop).metrics
        except ConfigError as error:
            refused[name] = str(error)
    if not scores:
        raise ConfigError(next(iter(refused.values())))
    return scores, refused
