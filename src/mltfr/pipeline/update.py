"""Tomorrow: a fitted run with the rows that came after it.

    run's split + new rows --extend--> histories with the new rows behind them, each new row an example
        evaluate: the run's model scored on these examples
        update:   a run of the same weights and these histories; with epochs, training goes on from these weights on
                  all but the newest new rows, which choose the epoch and are scored
"""

from __future__ import annotations

import hashlib
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from safetensors.torch import save

from mltfr.baselines import BASELINES
from mltfr.errors import ConfigError, DataError
from mltfr.interactions import InteractionLog, LastTime, NewRows, Split, extend
from mltfr.interactions.last_time import last_time_facts
from mltfr.interactions.read_as import read_as_facts, tell_read_as
from mltfr.losses.distillation import DistillationConfig
from mltfr.names.config import MEMORY
from mltfr.names.texts import ItemTexts
from mltfr.pipeline.artifact import open_run, save_artifact
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.data_counts import count_data
from mltfr.pipeline.finished import finished_from
from mltfr.pipeline.fit import fit_split
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.models import BLEND, Model
from mltfr.pipeline.names import FINGERPRINT, read_names
from mltfr.pipeline.report_metrics import score_and_judge
from mltfr.training import Callback
from mltfr.training.checkpoint import plain_tensors

INHERITED = (
    "seed", "filters", "tables", "item_vectors", "names", FINGERPRINT, "rounds", "best_epoch", "parameters", "fusion",
    BLEND,
)  # fmt: skip
"""What the manifest of an updated run says as its parent's does."""


def with_new_rows(
    fitted: FittedModel, log: InteractionLog, train: bool = False, unseen: bool = False
) -> tuple[FittedModel, NewRows]:
    """Return a fitted model whose histories go on with new rows, each of them a test example, and what became of them.

    Args:
        fitted: the model and its data; both stay as they are.
        log: rows that came after its log: of known and new users, of known and new items.
        train: whether the split is one to train on, see `extend`; the model does not fit it where there are new items.
        unseen: whether rows that `filters.until` kept from the run are new as well.

    Raises:
        DataError: no row is left, or the log has a given test split, or times of another kind; or the run was shared
            without its users.
    """
    fitted.split.require_users("New rows go behind histories: ask whoever shared it for a run with its users.")
    data, new = extend(fitted.split, log, fitted.config.filters, LastTime.of_facts(fitted.facts), train, unseen)
    return replace(fitted, split=data, new_items=None), new


def to_evaluate(fitted: FittedModel, log: InteractionLog) -> tuple[FittedModel, NewRows]:
    """Return what `with_new_rows` does, where there is something to evaluate: for drift and backtests.

    All rows count that the run never saw: later ones, and those of its own log that `filters.until` left out.

    Raises:
        DataError: none of the new rows has anything of its user before it; and see `with_new_rows`.
    """
    later, new = with_new_rows(fitted, log, unseen=True)
    if not len(later.split.test):
        raise DataError(f"{new} So there is no row to predict. Give rows of known users, or longer histories.")
    return later, new


def update(
    parent: FittedModel,
    log: InteractionLog,
    folder: Path | None = None,
    name: str | None = None,
    *,
    epochs: int = 0,
    resume: bool = False,
    callback: Callback | None = None,
    stop: Event | None = None,
) -> tuple[FittedModel, NewRows]:
    """Return a run whose histories go on with new rows, scored on them, and what became of the rows.

    Args:
        parent: the run that is updated; it stays as it is.
        log: rows that came after its log.
        folder: run folder to write; None keeps everything in memory.
        name: what the parent is called in the manifest.
        epochs: epochs that a network trains on from the parent's weights, at most; a baseline is computed anew. The
            epoch is chosen on the newest rows, and the weights stay where none is better. With 0 nothing is trained.
        resume: continue an interrupted update in `folder`; a finished one of the same run and rows is returned.
        callback: called on progress.
        stop: when set, training writes a checkpoint and raises `Interrupted`.

    Raises:
        DataError: see `with_new_rows`; or the names that a baseline is made of cannot be read any more.
        ConfigError: these were given in memory.
        TokenTableError: a token table is unknown or cannot be had.
        RunError: `folder` holds something else, or another process is at work in it.
        OutputError: the disk is full, or `folder` cannot be written.
        Interrupted: `stop` was set.
    """
    started = time.monotonic()
    measure = partial(score_and_judge, callback=callback or Callback(), parent=parent)
    run, callback = folder.name if folder is not None else None, callback or Callback()
    with open_run(folder, resume) if folder is not None else nullcontext(False) as finished:
        tell_read_as(log.read_as, callback)
        if parent.new_items is not None:
            callback.message("vectors of new items are not carried over: fit again with --new-items to have them")
        later, new = with_new_rows(parent, log, train=epochs > 0)
        config, facts = _config(parent, epochs), _facts(parent, log, later.split, new, name)
        if epochs:
            facts.pop(BLEND, None)
        if folder is not None and finished:
            return finished_from(config, facts, folder, callback), new
        counts = count_data(later.split, config.evaluation.protocol(later.split.method))
        if counts.test.targets:
            counts.tell(callback)
        if epochs:
            texts = _names_again(config, later.split)
            updated = fit_split(
                config, later.split, facts, folder, resume, callback, stop, measure, started, parent, texts
            )
        else:
            updated = replace(later, facts=facts, metrics={})
            if len(updated.split.test):
                with callback:
                    updated = replace(updated, metrics=measure(updated, run))
            updated.facts["wall_seconds"] = round(time.monotonic() - started, 1)
        if updated.metrics:
            updated.metrics["counts"] = counts.to_json()
        if folder is not None:
            save_artifact(updated, folder)
        return updated, new


def _names_again(config: RunConfig, data: Split) -> ItemTexts | None:
    """Return what is said about the items of a baseline that is made of names, anew; None for other runs.

    Raises:
        ConfigError: they were given in memory.
        DataError: they cannot be read any more.
    """
    entry = BASELINES.find(config.backbone.name)
    if entry is None or not entry.cls.reads_names:
        return None
    if config.names.file == MEMORY:
        raise ConfigError(
            f"{config.backbone.name} is computed anew from the names of items, which were given in memory. Update it "
            "without epochs, or fit it again with the names and all rows."
        )
    return read_names(config, data.vocabulary)


def _config(parent: FittedModel, epochs: int) -> RunConfig:
    """Return the settings of an update: epochs are counted on from the one that the parent's weights are of."""
    if not epochs:
        return parent.config
    epochs += parent.facts.get("best_epoch", 0)
    training = parent.config.training.model_copy(update={"epochs": epochs, "keep_rounds": False})
    alone = DistillationConfig()  # a teacher of the log before says nothing of new items
    return parent.config.model_copy(update={"training": training, "distillation": alone})


def _facts(parent: FittedModel, log: InteractionLog, data: Split, new: NewRows, name: str | None) -> dict[str, Any]:
    """Return what the manifest says of an updated run, with the chain of the runs that it comes from, oldest first."""
    before = parent.facts
    chain = {
        "run": name,
        "source": before.get("source"),
        "data_fingerprint": before.get("data_fingerprint"),
        "weights_sha256": weights_checksum(parent.model),
    }
    both = f"{before.get('data_fingerprint')} {log.fingerprint()}"
    return {
        **{key: before[key] for key in INHERITED if key in before},
        "source": Path(log.source).name,
        "data_fingerprint": hashlib.sha256(both.encode()).hexdigest(),
        "notes": list(log.notes),
        "split": data.method,
        "left_out": dict(data.left_out),
        "chain": [*before.get("chain", ()), chain],
        "new_rows": new.to_json(),
        **read_as_facts(log.read_as),
        **last_time_facts(LastTime.of(log) or LastTime.of_facts(before)),
    }


def weights_checksum(model: Model) -> str:
    """Return the SHA-256 that the manifest of a saved run lists for its weights."""
    return hashlib.sha256(save(plain_tensors(model.state_dict()))).hexdigest()
