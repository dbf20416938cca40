"""The main job: from an interaction log to a fitted and scored recommender."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event
from typing import Any

import torch

from mltfr.baselines import BASELINES, Baseline, BaselineConfig
from mltfr.config import dump_toml
from mltfr.errors import ConfigError, RunError
from mltfr.evaluation import EvaluationProtocol, evaluate
from mltfr.evaluation.evaluate import Shard
from mltfr.inference import ModelScorer
from mltfr.interactions import InteractionLog, PreparedSet, Split
from mltfr.memory import TrainingMemory, explain_out_of_memory
from mltfr.model import SequentialModel
from mltfr.pipeline.build import (
    build_loss,
    build_model,
    build_objective,
    count_parameters,
    load_run_tables,
    training_memory,
)
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.divided import divided
from mltfr.pipeline.fitted import Fitted, save_fitted
from mltfr.pipeline.folder import CHECKPOINT, CONFIG, LOG, TENSORBOARD, check_new, open_run, write_text
from mltfr.pipeline.scores import score
from mltfr.pipeline.supplied import supplied_vectors
from mltfr.tokens import describe
from mltfr.training import (
    CHECKPOINT_FORMAT,
    Checkpoints,
    Interrupted,
    JsonLines,
    Reporter,
    Reporters,
    TensorBoard,
    launched,
    load_checkpoint,
    make_process_group,
    train,
)
from mltfr.version import __version__


def fit(
    config: RunConfig,
    log: InteractionLog | PreparedSet,
    folder: Path | None = None,
    *,
    resume: bool = False,
    reporter: Reporter | None = None,
    stop: Event | None = None,
    measure: Callable[[Fitted, str | None], dict[str, Any]] = score,
) -> Fitted:
    """Split the log, train on its training part, choose on validation, and score test once.

    A baseline is fitted to the training part in one pass; nothing is chosen, and there is nothing to continue.

    Under torchrun or Ray Train every process calls this with the same arguments; the first one alone writes the run
    folder and scores test, and the others return an unscored recommender.

    Args:
        config: every setting.
        log: the interaction log, or a prepared set, whose filters and split then are the run's.
        folder: run folder to write, with checkpoints on the way; None keeps everything in memory.
        resume: continue an interrupted run in `folder`.
        reporter: hears of the progress.
        stop: when set, training writes a checkpoint and raises `Interrupted`; a baseline raises once it is fitted.
        measure: returns the document of `metrics.json`; a search of settings gives `score_validation`.

    Raises:
        DataError: the log cannot be split as asked, or item vectors are not usable.
        ConfigError: the settings ask for other filters or another split than those of a prepared set.
        TokenTableError: a token table is unknown or cannot be had.
        RunError: `folder` holds something else, or a checkpoint of other data, settings or versions.
        OutputError: the disk is full, or `folder` cannot be written.
        Interrupted: `stop` was set.
        LostProcessError: of several processes that train together, another one has ended.
    """
    started = time.monotonic()
    rank, _ = launched()
    if rank:  # the first process writes
        folder = None
    if folder is not None:
        check_new(folder, resume)
    config, data, report = divided(config, log)
    if not len(data.validation) and not isinstance(config.backbone, BaselineConfig):
        raise ConfigError("The validation part is empty, so no epoch can be chosen. Give a log with longer histories.")
    reporter = reporter or Reporter()
    group = make_process_group(config.training) if not isinstance(config.backbone, BaselineConfig) else None
    with group.main_process_first() if group is not None else nullcontext():  # it downloads what is missing
        tables = load_run_tables(config, reporter)
    facts: dict[str, Any] = {
        "seed": config.seed,
        "source": Path(log.source).name,
        "data_fingerprint": log.fingerprint(),
        "filters": [asdict(step) for step in report.steps],
        "split": data.method,
        "left_out": dict(data.left_out),
        "tables": describe(tables),
    }
    supplied = supplied_vectors(config, data.vocabulary, reporter)
    vectors = supplied.vectors if supplied is not None else None
    if supplied is not None:
        facts["item_vectors"] = supplied.report()
    fingerprint = _fingerprint(config, facts)
    if group is not None and group.broadcast(fingerprint) != fingerprint:
        raise RunError(
            f"Process {rank} does not have the first one's data, item vectors or versions of mltfr and torch. "
            "All processes must read the same files."
        )
    checkpoints = Checkpoints(folder / CHECKPOINT) if folder is not None else None
    checkpoint = load_checkpoint(checkpoints, fingerprint) if checkpoints is not None and resume else None
    started -= checkpoint.state.elapsed if checkpoint is not None else 0.0
    memory = training_memory(config, data) if not isinstance(config.backbone, BaselineConfig) else None
    if memory is not None and not rank:
        if config.training.check_memory:
            memory.require()
        reporter.message(str(memory))
        facts["estimate"] = memory.to_json()
    with open_run(folder) if folder is not None else nullcontext(), explain_out_of_memory(memory):
        reporters = [reporter]
        if folder is not None and checkpoints is not None:
            write_text(folder / CONFIG, dump_toml(config))
            reporters.append(JsonLines(folder / LOG, checkpoint.state.history if checkpoint is not None else []))
            if config.training.tensorboard:
                reporters.append(TensorBoard(folder / TENSORBOARD))
        everybody = Reporters(reporters)
        try:
            if isinstance(config.backbone, BaselineConfig):
                model: SequentialModel | Baseline = _baseline(config.backbone, data, everybody, stop)
                history: list[dict[str, Any]] = []
                facts |= {"rounds": 0}
            else:
                share = group.share_ranks(config.seed) if group is not None else None
                trained = train(
                    lambda: build_model(config, len(data.vocabulary), tables, vectors),
                    build_loss(config, data.vocabulary.counts),
                    data.train_histories(),
                    lambda model: _validation(model, data, config, share),
                    config.training,
                    seed=config.seed,
                    group=group,
                    objective=build_objective(config, len(data.vocabulary)),
                    checkpoints=checkpoints,
                    checkpoint=checkpoint,
                    fingerprint=fingerprint,
                    reporter=everybody,
                    stop=stop,
                )
                model, history = trained.model.eval(), trained.history
                facts |= {"rounds": trained.rounds, "best_epoch": trained.best_epoch}
                facts["parameters"] = count_parameters(trained.model)
                if trained.model.fusion is not None and (built := trained.model.fusion.report()):
                    facts["fusion"] = dict(built)
        finally:
            everybody.close()
        fitted = Fitted(config, model, data, facts, history=history)
        if rank:
            return fitted
        if config.training.shards > 1:  # whatever this process has drawn before
            torch.manual_seed(config.seed)
        fitted = replace(fitted, metrics=measure(fitted, folder.name if folder is not None else None))
        facts["wall_seconds"] = round(time.monotonic() - started, 1)
        if folder is not None and checkpoints is not None:
            for leftover in folder.glob(".*.partial"):  # of a process that was killed
                leftover.unlink()
            save_fitted(fitted, folder)
            checkpoints.clear()
        return fitted


def estimate_fit(config: RunConfig, log: InteractionLog | PreparedSet) -> TrainingMemory:
    """Return the memory that training would take, without fitting.

    Raises:
        ConfigError: a baseline, or settings that do not fit together.
        DataError: the log cannot be split as asked.
    """
    if isinstance(config.backbone, BaselineConfig):
        raise ConfigError(f"Baseline '{config.backbone.name}' is fitted in one pass; there is nothing to estimate.")
    config, data, _ = divided(config, log)
    return training_memory(config, data)


def _baseline(config: BaselineConfig, data: Split, reporter: Reporter, stop: Event | None) -> Baseline:
    started = time.monotonic()
    fitted = BASELINES.get(config.name).cls.fit(config, data.train_histories(), data.vocabulary.counts)
    if stop is not None and stop.is_set():
        raise Interrupted
    reporter.message(f"{config.name} fitted in {time.monotonic() - started:.1f} s")
    return fitted


def _validation(model: SequentialModel, data: Split, config: RunConfig, shard: Shard | None) -> dict[str, float]:
    protocol = EvaluationProtocol(
        split=data.method,
        remove_seen=config.evaluation.remove_seen,
        max_examples=config.training.validation_examples,
        sample_seed=config.seed,
    )
    scorer = ModelScorer(model, model.item_vectors.weight.device)
    return dict(evaluate(scorer, data, "validation", protocol, shard=shard).metrics)


def _fingerprint(config: RunConfig, facts: dict[str, Any]) -> str:
    """Return a hash of all that a checkpoint depends on."""
    versions = {"mltfr": __version__, "checkpoint": CHECKPOINT_FORMAT, "torch": torch.__version__}
    values = {"config": config.model_dump(mode="json"), "versions": versions, **facts}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
