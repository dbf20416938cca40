"""The best settings of one backbone with one fusion, by trials on validation; test is scored once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from mltfr.config import merge
from mltfr.errors import ConfigError, shown
from mltfr.search.arms import DATA
from mltfr.search.check import check_request, check_values
from mltfr.search.journal import Journal
from mltfr.search.request import Outcome, Request
from mltfr.search.rows import TRIAL, Row, finished_row
from mltfr.search.run import run_search
from mltfr.search.work import Work
from mltfr.study.cell import Cell
from mltfr.study.config import StudyConfig
from mltfr.study.launch import Launch, launch
from mltfr.study.plan import make_plan
from mltfr.study.space import Range, TuningConfig, Value
from mltfr.study.tuning import GroupTuning

Space = Mapping[str, Range | tuple[Value, ...]]
SPACE: Space = {
    "training.learning_rate": Range(low=1e-4, high=1e-2, log=True),
    "backbone.dropout": Range(low=0.1, high=0.7),
    "backbone.hidden": (32, 64, 128),
    "backbone.blocks": (1, 2, 3),
}
"""Settings that are searched where none are named."""
DECIDED = {"backbone.name": "Use --backbone", "fusion.name": "Use --fusion"}
"""Settings that are options, with what to use instead."""
BASELINES = ("popularity", "markov", "item-knn")
"""Baselines beside the trials."""


def tune(
    request: Request,
    out: Path,
    backbone: str,
    fusion: str,
    space: Space | None = None,
    *,
    resume: bool = False,
    stop: Event | None = None,
    began: float | None = None,
    launch: Launch = launch,
) -> Outcome:
    """Search the settings of a backbone with a fusion: first as they are, then as TPE proposes them.

    Args:
        request: what is searched, and for how long; `trials` is the number of trials.
        out: the search folder.
        backbone: name of the backbone.
        fusion: name of the fusion.
        space: settings with their choices or range; `SPACE` if not given.
        resume: continue a search that is there; its time is that of all commands together.
        stop: when set, the training at work writes a checkpoint, and nothing new begins.
        began: moment of the monotonic clock at which the command began; now if not given.
        launch: trains a run in a process; by default on this machine.

    Raises:
        MissingExtraError: Optuna is not installed.
        ConfigError, DataError, FetchError, Interrupted, RunError, OutputError: see `auto`.
    """
    check_request(request, DECIDED)
    searched = tuning_config(request, space or SPACE)
    study = tuned_study(request, backbone, fusion, searched)
    check_values(next(cell.config for cell in make_plan(study) if cell.is_trained), searched.space)

    def search(work: Work, plan: Sequence[Cell], baselines: Sequence[Cell], about: str) -> str:
        (cell,) = (cell for cell in plan if cell.is_trained)
        spec = partial(work.inputs.trial_spec, cell.group)
        tuning = GroupTuning(work.folder.tuning, cell.group, cell.config, searched, work.metric, spec, alone=True)
        work.trials = lambda: trial_rows(tuning, work.metric, work.journal)
        about = f"{about}, then {tuning.trials} trials of {cell.config.title} over {', '.join(tuning.space)}"
        work.progress.message(about)
        work.run_baselines(baselines)
        work.run([cell], tunings={cell.group: tuning})
        return about

    return run_search(study, request, out, search, resume, stop, began, launch, kind=TRIAL)


def tuning_config(request: Request, space: Space) -> TuningConfig:
    """Return what is searched, and how often.

    Raises:
        ConfigError: something may not be searched.
    """
    choices = {key: each.model_dump(by_alias=True) if isinstance(each, Range) else each for key, each in space.items()}
    return TuningConfig.parse({"trials": request.trials, "seed": request.seed, "space": choices}, "tuning")


def tuned_study(request: Request, backbone: str, fusion: str, searched: TuningConfig) -> StudyConfig:
    """Return the study of one backbone with one fusion whose settings are searched.

    Raises:
        ConfigError: something in it is unknown, or may not be searched.
    """
    named = bool(request.data.settings.get("names", {}).get("file"))
    tables = {"tokens": {"tables": list(request.tokens)}} if request.tokens else {}
    return StudyConfig.parse(
        {
            "title": "search",
            "metrics": [request.metric],
            "compare_with": fusion,
            "seeds": [request.seed],
            "threads": request.threads,
            "baselines": [*BASELINES, *["name-knn"] * named],
            "data": {DATA: request.data.model_dump(exclude_none=True)},
            "settings": merge(request.settings, {"training": {"metric": request.metric}, "trackers": []}),
            "backbones": {backbone: {}},
            "fusions": {fusion: tables},
            "tuning": searched.model_dump(by_alias=True),
        },
        "search",
    )


def trial_rows(tuning: GroupTuning, metric: str, journal: Journal) -> list[Row]:
    """Return a row for every trial; the run of the best one alone is kept."""
    return [_row(tuning, record, metric, journal) for record in tuning.records]


def _row(tuning: GroupTuning, record: Mapping[str, Any], metric: str, journal: Journal) -> Row:
    name, settings, run = f"trial {record['trial']}", json.dumps(record["settings"]), tuning.run(record)
    place, seconds = journal.place(run), journal.of_run(run).seconds
    if record["value"] is None:
        return Row(name, TRIAL, "failed", None, place, 0, seconds, None, settings, record["error"])
    if record is tuning.best():
        return finished_row(run, name, TRIAL, place, metric, seconds, settings)
    return Row(name, TRIAL, "finished", record["value"], place, record["epochs"], seconds, None, settings)


def parse_space(texts: Sequence[str]) -> dict[str, Range | tuple[Value, ...]]:
    """Return what `--vary` says: `KEY=a,b,c` for choices, `KEY=LOW..HIGH` for a range, with `:log` or `:int` behind it.

    Raises:
        ConfigError: a text has another form.
    """
    space: dict[str, Range | tuple[Value, ...]] = {}
    for text in texts:
        key, separator, choices = text.partition("=")
        if not separator or not choices:
            raise _wrong(text)
        low, dots, rest = choices.partition("..")
        high, *flags = rest.split(":")
        if not dots:
            space[key.strip()] = tuple(_value(part.strip()) for part in choices.split(","))
            continue
        if not set(flags) <= {"log", "int"}:
            raise _wrong(text)
        try:
            ends = {"low": float(low), "high": float(high)}
        except ValueError:
            raise _wrong(text) from None
        space[key.strip()] = Range.parse({**ends, "log": "log" in flags, "int": "int" in flags}, f"--vary {text}")
    return space


def _wrong(text: str) -> ConfigError:
    return ConfigError(
        f"--vary {shown(text)} is neither KEY=a,b,c nor KEY=LOW..HIGH, with :log or :int behind it. Example: --vary "
        "training.learning_rate=1e-4..1e-2:log"
    )


def _value(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
