"""All baselines on one log, each in a run folder of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Event
from typing import Any

from mltfr.baselines import BASELINES
from mltfr.config import merge, parse_overrides
from mltfr.errors import ConfigError
from mltfr.interactions import InteractionLog, PreparedSet
from mltfr.names.config import OF_WORDS, NamesConfig
from mltfr.pipeline.artifact import check_new
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.fit import fit
from mltfr.pipeline.presets import resolve
from mltfr.training import Callback, Callbacks

SHARED = ("reading", "seed", "filters", "split", "evaluation", "training", "trackers")
"""What a configuration file says for all baselines; of training, the metric that the best one is chosen by."""


def baseline_configs(
    file: Mapping[str, Any] | None = None,
    overrides: Iterable[str] = (),
    item_names: str | None = None,
    name_columns: str | None = None,
) -> dict[str, RunConfig]:
    """Return the settings of every baseline by its name; those that read names are left out where there are none.

    Args:
        file: nested settings of a configuration file, which may be that of another backbone's run.
        overrides: `KEY=VALUE` texts for all of them; of names, for those that read them.
        item_names: path of the names of the items, or "ids" for the ids themselves.
        name_columns: columns of that file, separated by commas; all that hold words if not given.

    Raises:
        ConfigError: an unknown setting, or a value out of range.
    """
    shared = {key: value for key, value in (file or {}).items() if key in SHARED}
    of_all, of_file = parse_overrides(overrides), (file or {}).get("names", {})
    flags = {"file": item_names, "columns": name_columns}
    layers: list[dict[str, Any]] = [
        {key: of_file[key] for key in OF_WORDS if key in of_file},
        {key: value for key, value in flags.items() if value is not None},
        of_all.pop("names", {}),
    ]
    names = {"names": merge(*layers)}
    are_used = NamesConfig.parse(names["names"], "names").are_used
    return {
        entry.name: resolve(
            file=merge(shared, names) if entry.cls.reads_names else shared,
            backbone=entry.name,
            baselines=False,
            overrides=of_all,
        )
        for entry in BASELINES
        if are_used or not entry.cls.reads_names
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
