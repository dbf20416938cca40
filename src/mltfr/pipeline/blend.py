"""Blend fitted runs of one log into one: the mean of their probabilities, weighted on validation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from mltfr.errors import ConfigError, DataError, shown
from mltfr.evaluation.asked import rules_of
from mltfr.fusion.none import NoFusionConfig
from mltfr.inference import Retriever, Scorer
from mltfr.interactions.splits.new_items import NEW_ITEMS
from mltfr.pipeline.alike import check_held_out, require_alike
from mltfr.pipeline.artifact import load_artifact, open_run, save_artifact
from mltfr.pipeline.blend_weights import Weighed, weigh
from mltfr.pipeline.config import BlendConfig, RunConfig
from mltfr.pipeline.data_counts import count_data
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.models import BLEND, BlendModel, Model
from mltfr.pipeline.report_metrics import score_and_judge
from mltfr.pipeline.update import INHERITED, weights_checksum
from mltfr.tokens import TokensConfig
from mltfr.training import Callback, TrainingConfig

OF_THE_LOG = (
    "source", "data_fingerprint", "notes", "filters", "split", "left_out", "chain", "new_rows", "read_as", "last_time",
)  # fmt: skip
"""What the manifest of a blend says as its members' do."""
OF_A_MEMBER = tuple(name for name in INHERITED if name not in ("filters", BLEND))
"""What it says of every member, as the member's own manifest does."""
REQUESTS = 20
"""Requests that are timed."""


@dataclass(frozen=True)
class Member:
    """One member of a blend.

    Attributes:
        name: what the run is called.
        config: its settings.
        model: a network or a baseline.
        facts: what the manifest says of it.
        run: number of the run that it comes from.
        share: how much it counts in that run.
    """

    name: str
    config: RunConfig
    model: Model
    facts: Mapping[str, Any]
    run: int
    share: float = 1.0


def blend(
    runs: Mapping[str, FittedModel | Path],
    folder: Path | None = None,
    weights: Sequence[float] | None = None,
    *,
    callback: Callback | None = None,
    measure: Callable[[FittedModel, str | None], dict[str, Any]] | None = None,
    also: Mapping[str, Callable[[FittedModel], pl.DataFrame]] | None = None,
) -> FittedModel:
    """Return the blend of fitted runs, and score it as any run.

    A run that is a blend itself stands for its members, so that all weights are chosen together.

    Args:
        runs: fitted models, or their run folders, by name; the first one's settings say how scores are measured.
        folder: run folder to write; None keeps everything in memory.
        weights: one for every run, in any unit; by default those under which the validation targets are most probable.
        callback: called on progress.
        measure: returns the document of `metrics.json`: `score_and_judge` if not given.
        also: further tables of the run folder, by the name of their Parquet file, which the manifest lists too.

    Raises:
        ConfigError: the weights are no weights of these runs, or there is no validation split to choose them on.
        DataError: the runs are of other data, filters, splits or items, or asked for items held out of training.
        RunError: a folder holds no finished run, or a damaged one; or `folder` holds something else.
        OutputError: the disk is full, or `folder` cannot be written.
    """
    started, callback = time.monotonic(), callback or Callback()
    given = check_weights(weights, len(runs))
    with open_run(folder, resume=False) if folder is not None else nullcontext(False):
        first, members = _read(runs, callback)
        data, protocol, metric = first.split, first.protocol(), first.config.judged_by
        if given is None and len(members) > 1 and not len(data.validation):
            raise ConfigError(
                "The runs have no validation split to choose weights on. Hold one out, or give weights: --weights 1,1"
            )
        shares = None if given is None else [given[member.run] * member.share for member in members]
        weighed = weigh([member.model for member in members], data, protocol, metric, shares, callback)
        told = weighed.facts([facts_of_member(member) for member in members], chosen=given is None)
        for line in in_words(told, metric):
            callback.message(line)
        of_the_log = {key: first.facts[key] for key in OF_THE_LOG if key in first.facts}
        facts = {"seed": first.config.seed, **of_the_log, "tables": [], "rounds": 0, BLEND: told}
        blended = FittedModel(blend_config([member.config for member in members]), weighed.model, data, facts)
        told["request"] = cost = request_cost(blended, weighed)
        callback.message(cost_in_words(cost, told))
        if len(data.test):
            with callback:
                named = folder.name if folder is not None else None
                scores = score_and_judge(blended, named, callback) if measure is None else measure(blended, named)
                blended.metrics.update(scores)
            blended.metrics["counts"] = count_data(data, protocol).to_json()
        facts["wall_seconds"] = round(time.monotonic() - started, 1)
        if folder is not None:
            save_artifact(blended, folder, also)
        return blended


def _read(runs: Mapping[str, FittedModel | Path], callback: Callback) -> tuple[FittedModel, list[Member]]:
    """Return the first run, with the data of all, and the members that all of them bring; one log at a time is read."""
    first: tuple[str, FittedModel] | None = None
    members: list[Member] = []
    for number, (name, run) in enumerate(runs.items()):
        if isinstance(run, Path):
            callback.message(f"reading {name}")
        fitted = load_artifact(run) if isinstance(run, Path) else run
        if first is None:
            first = name, fitted
            _check_items(name, fitted)
            check_held_out(name, fitted.split)
        else:
            require_alike(*first, name, fitted)
        members += members_of(name, fitted, number)
    if first is None:
        raise ConfigError("A blend needs at least one run: mltfr blend RUN RUN --out BLEND")
    return first[1], members


def _check_items(name: str, fitted: FittedModel) -> None:
    """Refuse a run that is asked for items held out of training, of which a blend keeps no vectors."""
    if fitted.config.split.method == NEW_ITEMS:
        raise DataError(
            f"{name}: its split '{NEW_ITEMS}' asks for items that training has not seen, and a blend knows none of "
            "them. Blend runs of another split."
        )


def check_weights(weights: Sequence[float] | None, runs: int) -> list[float] | None:
    """Return weights that sum to one; None where none are given.

    Raises:
        ConfigError: there is not one for every run, one is negative or no number, or all are zero.
    """
    if weights is None:
        return None
    try:
        weights = [float(weight) for weight in weights]
    except (TypeError, ValueError):
        raise ConfigError(f"weights is {shown(weights)}; expected a list of numbers, one for every run.") from None
    listed = ", ".join(f"{weight:g}" for weight in weights)
    if len(weights) != runs:
        raise ConfigError(f"weights are {listed}: {len(weights)} for {runs} runs. Give one for every run, in order.")
    if min(weights) < 0 or not 0 < sum(weights) < math.inf:
        raise ConfigError(f"weights are {listed}; expected numbers of at least 0, one of them above 0.")
    return [weight / sum(weights) for weight in weights]


def members_of(name: str, fitted: FittedModel, number: int) -> list[Member]:
    """Return what a run brings into a blend: itself, or the members of a blend, each as much as it counts there."""
    model = fitted.model
    if not isinstance(model, BlendModel):
        return [Member(name, fitted.config, model, fitted.facts, number)]
    backbone, told = fitted.config.backbone, fitted.facts[BLEND]["members"]
    if isinstance(backbone, BlendConfig):
        configs = backbone.members
    else:  # of two rounds
        configs, told = (fitted.config,) * len(told), [{**fitted.facts, **facts} for facts in told]
    return [
        Member(f"{name}/{facts['run']}", config, member, facts, number, share)
        for config, member, facts, share in zip(configs, model.members, told, model.weights.tolist(), strict=True)
    ]


def facts_of_member(member: Member) -> dict[str, Any]:
    """Return what the manifest of a blend says of a member."""
    kept = {key: member.facts[key] for key in OF_A_MEMBER if key in member.facts}
    checksum = member.facts.get("weights_sha256") or weights_checksum(member.model)
    return {"run": member.name, "model": member.config.title, "tables": [], **kept, "weights_sha256": checksum}


def blend_config(configs: Sequence[RunConfig]) -> RunConfig:
    """Return the settings of a blend of runs: how data are read and measured is that of the first.

    Args:
        configs: settings of the runs; those of a blend stand for its members'.
    """
    first = configs[0]
    members: list[RunConfig] = []
    for config in configs:
        members += config.singles
    return RunConfig(
        seed=first.seed,
        reading=first.reading,
        filters=first.filters,
        split=first.split,
        evaluation=first.evaluation,
        tokens=TokensConfig(tables=()),
        backbone=BlendConfig(members=tuple(members)),
        fusion=NoFusionConfig(),
        training=TrainingConfig(metric=first.training.metric),
    )


def in_words(facts: Mapping[str, Any], metric: str) -> list[str]:
    """Return a line for every member: its weight, and its own score on validation."""
    width = max(len(member["run"]) for member in facts["members"])
    return [
        f"{member['run']:<{width}}  weight {member['weight']:.3f}"
        + (f", validation {metric} {member['validation'][metric]:.4f}" if "validation" in member else "")
        for member in facts["members"]
    ]


def request_cost(blended: FittedModel, weighed: Weighed) -> dict[str, float]:
    """Return the median milliseconds of a lone request to the blend, and to its best member, or its dearest one."""
    seconds = {"blend": seconds_of_a_request(blended.scorer(), blended)}
    if weighed.best is not None and len(weighed.model.members) > 1:
        seconds["best_member"] = seconds_of_a_request(weighed.model.members[weighed.best].scorer(), blended)
    return {name: round(1000 * value, 3) for name, value in seconds.items()}


def seconds_of_a_request(scorer: Scorer, fitted: FittedModel) -> float:
    """Return the median seconds of a lone request to a scorer of a fitted model's users."""
    split, retriever = fitted.split, Retriever(lambda: scorer)
    users = np.linspace(0, len(split.histories) - 1, REQUESTS).astype(int)
    times = []
    for user in (users[0], *users):  # the first one prepares what all others use
        begun = time.perf_counter()
        retriever.top_k([split.histories[user]], 10, rules_of(fitted.protocol()))
        times.append(time.perf_counter() - begun)
    return median(times[1:])


def cost_in_words(cost: Mapping[str, float], facts: Mapping[str, Any]) -> str:
    """Return what a request costs, in a line."""
    line = f"a request takes {cost['blend']:.1f} ms"
    if "best_member" not in cost:
        return line
    best = facts["members"][facts["best"]]["run"]
    return f"{line}, {cost['blend'] / cost['best_member']:.1f} times as long as {best}, its best member"
