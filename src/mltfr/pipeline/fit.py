"""The main job: from an interaction log to a fitted and scored recommender."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import polars as pl
import torch

from mltfr.config import dump_toml
from mltfr.errors import ConfigError, RunError
from mltfr.interactions import InteractionLog, LastTime, PreparedSet, Split
from mltfr.interactions.filter_steps import FilterStep
from mltfr.interactions.last_time import last_time_facts
from mltfr.interactions.read_as import read_as_facts, tell_read_as
from mltfr.interactions.splits.new_items import NEW_ITEMS
from mltfr.memory import TrainingMemory, explain_out_of_memory
from mltfr.names.texts import ItemTexts
from mltfr.pipeline.artifact import (
    CHECKPOINT,
    CONFIG,
    LOG,
    TENSORBOARD,
    check_new,
    open_run,
    other_settings,
    save_artifact,
)
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.data_counts import count_data
from mltfr.pipeline.estimator import Session
from mltfr.pipeline.estimators import make_estimator
from mltfr.pipeline.finished import finished_run, listed
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.inputs import read_tables, split_log
from mltfr.pipeline.names import FINGERPRINT, read_names
from mltfr.pipeline.new_item_rows import new_item_rows
from mltfr.pipeline.new_items import learn_new_items
from mltfr.pipeline.report_metrics import score_and_judge
from mltfr.pipeline.teacher import read_teacher, teacher_facts
from mltfr.pipeline.tracking import tracked
from mltfr.storage.files import write_text
from mltfr.storage.folder import MANIFEST
from mltfr.training import (
    CHECKPOINT_FORMAT,
    Callback,
    Callbacks,
    Checkpoints,
    JsonLines,
    TensorBoard,
    launched,
    load_checkpoint,
    make_trackers,
)
from mltfr.version import __version__


def fit(
    config: RunConfig,
    log: InteractionLog | PreparedSet,
    folder: Path | None = None,
    *,
    resume: bool = False,
    callback: Callback | None = None,
    stop: Event | None = None,
    enough: Event | None = None,
    measure: Callable[[FittedModel, str | None], dict[str, Any]] | None = None,
    also: Mapping[str, Callable[[FittedModel], pl.DataFrame]] | None = None,
    names: Any = None,
) -> FittedModel:
    """Split the log, train on its training split, choose on validation, and score test once.

    A baseline is fitted to the training split in one pass; nothing is chosen, and there is nothing to continue.

    Under torchrun or Ray Train every process calls this with the same arguments; the first one alone writes the run
    folder and scores test, and the others return an unscored recommender.

    Args:
        config: every setting.
        log: the interaction log, or a prepared set, whose filters and split then are the run's.
        folder: run folder to write, with checkpoints on the way; None keeps everything in memory.
        resume: continue an interrupted run in `folder`; a finished one of the same settings and log is returned.
        callback: called on progress.
        stop: when set, training writes a checkpoint and raises `Interrupted`; a baseline raises once it is fitted.
        enough: when set, training ends with the best weights so far, and the run is finished as usual.
        measure: returns the document of `metrics.json`: `score_and_judge` if not given; a study passes `score`, its
            search `score_validation`.
        also: further tables of the run folder, by the name of their Parquet file, which the manifest lists too.
        names: names of the items, where they are no file that the settings name; see `item_texts`.

    Raises:
        DataError: the log cannot be split as asked, or item vectors or names are not usable.
        ConfigError: the settings ask for other filters or another split than those of a prepared set.
        TokenTableError: a token table is unknown or cannot be had.
        RunError: `folder` holds something else, or a checkpoint of other data, settings or versions; or another
            process is at work in it.
        OutputError: the disk is full, or `folder` cannot be written.
        Interrupted: `stop` was set.
        MissingExtraError: an experiment tracker is not installed.
        TrackerError: one cannot be started.
        LostProcessError: of several processes that train together, another one has ended.
    """
    callback = callback or Callback()
    rank, processes = launched()
    if folder is not None and processes > 1 and not rank:
        check_new(folder, resume and not (folder / MANIFEST).exists())  # the other processes would wait
    folder = None if rank else folder  # the main process writes
    with open_run(folder, resume, also or ()) if folder is not None else nullcontext(False) as finished:
        if folder is not None and finished:
            return finished_run(config, log, folder, callback, names)
        started = time.monotonic()
        trackers = None if rank else make_trackers(config.trackers)  # what is missing is told before the work
        # 1. split
        if not rank:
            tell_read_as(log.read_as, callback)
        config, data, facts = split_log(config, log)
        counts = None
        if not rank:
            steps = [FilterStep(**step) for step in facts["filters"]]
            counts = count_data(data, config.evaluation.protocol(data.method), steps)
            counts.tell(callback)
        texts = read_names(config, data.vocabulary, names)
        with tracked(config, callback, folder, trackers) as run:
            measure = measure or partial(score_and_judge, callback=callback, texts=texts)
            fitted = fit_split(
                config, data, facts, folder, resume, run.callback, stop, measure, started, texts=texts, enough=enough
            )
            fitted.facts.update(last_time_facts(LastTime.of(log) if isinstance(log, InteractionLog) else log.last_time))
            for document in (fitted.facts, fitted.metrics):
                document.update(read_as_facts(log.read_as))
            if texts is not None and config.split.method == NEW_ITEMS and "baselines" in fitted.metrics:
                with callback:
                    fitted.metrics["baselines"] |= new_item_rows(fitted, callback)
            if counts is not None:
                fitted.metrics["counts"] = counts.to_json()
            if texts is not None and not rank:
                fitted.metrics["names"] = fitted.facts["names"]["coverage"]
            if folder is not None:
                save_artifact(fitted, folder, also)
            run.metrics = fitted.metrics
        return fitted


def fit_split(
    config: RunConfig,
    data: Split,
    facts: dict[str, Any],
    folder: Path | None,
    resume: bool,
    callback: Callback,
    stop: Event | None,
    measure: Callable[[FittedModel, str | None], dict[str, Any]],
    started: float,
    parent: FittedModel | None = None,
    texts: ItemTexts | None = None,
    enough: Event | None = None,
) -> FittedModel:
    """Train on a split's training part, choose on validation, and score test once; the folder is open.

    Args:
        config: every setting.
        data: the split.
        facts: what the manifest says of it; more is put in.
        folder: see `fit`.
        resume: see `fit`.
        callback: see `fit`.
        stop: see `fit`.
        measure: see `fit`.
        started: moment of the monotonic clock at which the work began.
        parent: the fitted model whose weights a network begins with; None for initial values.
        texts: what is said about the items, where the run uses it; None with a network's parent, whose weights have it.
        enough: see `fit`.
    """
    rank, _ = launched()
    if folder is not None and resume and (other := other_settings(config, folder)):
        raise RunError(
            f"{folder}: holds an interrupted run with other settings ({listed(other)}). Give the same ones, choose "
            "another --out, or remove the folder."
        )
    # 2. tables
    estimator = make_estimator(config)
    estimator.check(data)
    with estimator.main_process_first():  # it downloads what is missing
        tables = read_tables(config, data, callback, texts)
    facts |= tables.facts | ({FINGERPRINT: texts.fingerprint()} if texts is not None else {})
    facts |= teacher_facts(config)
    # 3. model: the memory it takes, and the checkpoint it continues from
    fingerprint = _fingerprint(config, facts)
    estimator.check_processes(fingerprint)
    checkpoints = Checkpoints(folder / CHECKPOINT) if folder is not None else None
    checkpoint = load_checkpoint(checkpoints, fingerprint) if checkpoints is not None and resume else None
    started -= checkpoint.state.elapsed if checkpoint is not None else 0.0
    memory = estimator.memory(data)
    if memory is not None and not rank:
        if config.training.check_memory:
            memory.require()
        callback.message(str(memory))
        facts["estimate"] = memory.to_json()
    with explain_out_of_memory(memory):
        # 4. train
        history = checkpoint.state.history if checkpoint is not None else parent.history if parent is not None else []
        callback.on_resume(history)
        with _reporters(config, folder, callback, history) as everybody:
            teacher = read_teacher(config, data, facts, folder and folder / CHECKPOINT, everybody, stop)
            session = Session(everybody, stop, enough, checkpoints, checkpoint, parent, fingerprint, teacher)
            result = estimator.fit(data, tables, session)
        facts |= result.facts
        fitted = FittedModel(config, result.model, data, facts, history=result.history)
        if rank:
            return fitted
        if tables.names is not None and tables.names.new is not None:
            protocol = config.evaluation.protocol(data.method)
            new_items, of_new = learn_new_items(result.model, tables.names.new, data, protocol, callback)
            facts |= of_new
            fitted = replace(fitted, new_items=new_items)
        # 5. score
        if config.training.shards > 1:  # whatever this process has drawn before
            torch.manual_seed(config.seed)
        with callback:
            fitted = replace(fitted, metrics=measure(fitted, folder.name if folder is not None else None))
    facts["wall_seconds"] = round(time.monotonic() - started, 1)
    return fitted


def estimate_fit(config: RunConfig, log: InteractionLog | PreparedSet) -> TrainingMemory:
    """Return the memory that training would take, without fitting.

    Raises:
        ConfigError: a baseline, or settings that do not fit together.
        DataError: the log cannot be split as asked.
    """
    config, data, _ = split_log(config, log)
    memory = make_estimator(config).memory(data)
    if memory is None:
        raise ConfigError(f"Baseline '{config.backbone.name}' is fitted in one pass; there is nothing to estimate.")
    return memory


@contextmanager
def _reporters(
    config: RunConfig, folder: Path | None, callback: Callback, history: list[dict[str, Any]]
) -> Iterator[Callback]:
    """Yield the callback, with those beside it that write into the run folder; close them afterwards."""
    callbacks = [callback]
    if folder is not None:
        write_text(folder / CONFIG, dump_toml(config))
        callbacks.append(JsonLines(folder / LOG, history))
        if config.training.tensorboard:
            callbacks.append(TensorBoard(folder / TENSORBOARD))
    everybody = Callbacks(callbacks)
    try:
        yield everybody
    finally:
        everybody.close()


def _fingerprint(config: RunConfig, facts: dict[str, Any]) -> str:
    """Return a hash of all that a checkpoint depends on."""
    versions = {"mltfr": __version__, "checkpoint": CHECKPOINT_FORMAT, "torch": torch.__version__}
    values = {"config": config.deciding(), "versions": versions, **facts}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
