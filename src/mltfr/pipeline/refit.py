"""A fitted run's recommender, fitted anew on all of its log, with as many epochs as validation had chosen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from threading import Event
from typing import Any

from mltfr.errors import ConfigError
from mltfr.interactions import Split
from mltfr.memory import explain_out_of_memory
from mltfr.pipeline.blend import Member, facts_of_member
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.estimator import Session
from mltfr.pipeline.estimators import make_estimator
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.inputs import read_tables
from mltfr.pipeline.models import BLEND, REFIT, BlendModel
from mltfr.pipeline.names import read_names
from mltfr.storage.main_memory import readable
from mltfr.training import Callback

BEFORE = ("run", "split", "users", "examples", "protocol_hash", "metrics", "popularity")
"""What the manifest keeps of the scores of the run before the refit."""


def check_refit(config: RunConfig) -> None:
    """Refuse settings whose models cannot be fitted without a validation split.

    Raises:
        ConfigError: two rounds are weighed on it, a teacher has learned from less, or new items are placed by it.
    """
    refused = {
        "training.keep_rounds": config.training.keep_rounds,
        "distillation.teacher": bool(config.distillation.teacher),
        "names.new_items": config.names.new_items,
    }
    for key, is_set in refused.items():
        if is_set:
            raise ConfigError(f"'{key}' is set, which needs a validation split, and a refit has none. Leave one out.")


def refit(fitted: FittedModel, data: Split, callback: Callback, stop: Event | None = None) -> FittedModel:
    """Return a fitted run's recommender fitted anew on all interactions, without scores of its own.

    A network is trained for as many epochs, of each round, as validation had chosen; nothing is held out.

    Args:
        fitted: the run. Its scores are not those of the refitted model, which has none; they are kept among its facts.
        data: its log with nothing held out, see `Split.everything`.
        callback: told what takes time.
        stop: when set, the training ends and `Interrupted` is raised.

    Raises:
        ConfigError: see `check_refit`; a blend, whose members are refitted one by one; or the memory is too small.
        Interrupted: `stop` was set.
    """
    started, config = time.monotonic(), fitted.config
    check_refit(config)
    estimator, ends = make_estimator(config), epochs_of_rounds(fitted)
    tables = read_tables(config, data, callback, read_names(config, data.vocabulary))
    memory = estimator.memory(data)
    available = memory.available if memory is not None and config.training.check_memory else None
    if memory is not None and available is not None and memory.needed > available:
        raise ConfigError(
            f"A refit would need {readable(memory.needed)} more memory, and {readable(available)} are available. Free "
            "some and refit again; the run itself stays as it is."
        )
    with explain_out_of_memory(memory):
        result = estimator.fit(data, tables, Session(callback, stop, ends=ends))
    facts = {**_kept(fitted), **tables.facts, **result.facts, REFIT: _told(fitted, data, ends)}
    facts["wall_seconds"] = round(time.monotonic() - started, 1)
    return FittedModel(config, result.model, data, facts, {}, result.history)


def refit_blend(blended: FittedModel, members: Sequence[FittedModel], data: Split) -> FittedModel:
    """Return a blend of refitted members, in its order, with its weights.

    Args:
        blended: the blend.
        members: its members, refitted.
        data: the log with nothing held out.
    """
    if not isinstance(blended.model, BlendModel):
        raise TypeError(f"{blended!r} is no blend")
    model = blended.model.with_members([member.model for member in members])
    told = []
    for number, (before, each) in enumerate(zip(blended.facts[BLEND]["members"], members, strict=True)):
        member = Member(before["run"], each.config, each.model, each.facts, number)
        told.append({**facts_of_member(member), "weight": before["weight"]})
    facts = {**_kept(blended), BLEND: {**blended.facts[BLEND], "members": told}, REFIT: _told(blended, data, ())}
    return replace(blended, model=model, split=data, facts=facts, metrics={})


def epochs_of_rounds(fitted: FittedModel) -> tuple[int, ...]:
    """Return the best epoch of every round that a network was trained in; nothing of a baseline."""
    best = {record["round"]: record["epoch"] for record in fitted.history if record.get("best")}
    return tuple(best[number] for number in sorted(best))


def _kept(fitted: FittedModel) -> dict[str, Any]:
    """Return what of a run's facts holds of it refitted, too."""
    facts = {key: value for key, value in fitted.facts.items() if key not in ("estimate", "pace", "weights_sha256")}
    return {**facts, "left_out": {}}


def _told(fitted: FittedModel, data: Split, ends: Sequence[int]) -> dict[str, Any]:
    """Return what the manifest says of a refit, with the scores of the run before it, under a name of their own."""
    scores = {key: fitted.metrics[key] for key in BEFORE if key in fitted.metrics}
    validation = fitted.metrics.get("validation", {}).get("metrics")
    if validation is not None:
        scores["validation"] = validation
    return {"interactions": data.training_interactions, "epochs": list(ends), "scores_before": scores}
