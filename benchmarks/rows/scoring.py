"""Scoring everybody: evaluation, top lists, and what the fusion adds to them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from harness.clock import Times, alternate, measure, ratios
from harness.counts import Shapes, inference
from harness.data import read_split
from harness.floor import floor_ratio, floor_seconds
from harness.models import added, configure, ready_model
from harness.result import Budget, Result
from harness.settings import Settings
from harness.tables import get_tables
from mltfr.evaluation import evaluate
from mltfr.inference import ModelScorer, top_k
from mltfr.interactions import History, length_sorted_batches

GROUP = 1024


def fusion_inference(settings: Settings) -> list[Result]:
    """Top 20 of some users, bare and fused, in turn; and the reading of the histories alone."""
    split = read_split(settings)
    histories = list(split.histories)[: 8 * GROUP]
    groups = [histories[start : start + GROUP] for start in range(0, len(histories), GROUP)]
    tables, origin = get_tables(settings, 3)
    scorers = {
        "bare": ModelScorer(ready_model(configure(settings), split)),
        "mltfr": ModelScorer(ready_model(configure(settings, fusion="mltfr", tables=tables), split, tables)),
    }

    def read(scorer: ModelScorer, group: list[History]) -> None:
        for index in length_sorted_batches(group, 256):
            scorer.queries([group[i] for i in index])

    def compare(action: Callable[..., object], *more: object) -> dict[str, Times]:
        sides = {name: [partial(action, scorer, group, *more) for group in groups] for name, scorer in scorers.items()}
        return alternate(sides, settings.repeats)

    config = configure(settings, fusion="mltfr", tables=tables)
    lengths = np.array([len(history) for history in histories])
    positions = float(np.minimum(lengths, Shapes.of(config, len(split.vocabulary)).length).sum())
    work = added(config, positions, 0, tables, trained=False)
    whole, reading = compare(top_k, 20), compare(read)
    what = "mltfr inference over bare inference, 3 tables"
    return [
        Result(
            f"{what}: top 20",
            "x",
            ratios(whole["mltfr"], whole["bare"]),
            "ratio of CPU",
            budget=Budget(None, 1.1),
            note=origin,
            floor=floor_ratio(settings, work, whole["bare"]),
        ),
        Result(
            f"{what}: reading histories alone",
            "x",
            ratios(reading["mltfr"], reading["bare"]),
            "ratio of CPU",
            note=origin,
            floor=floor_ratio(settings, work, reading["bare"]),
        ),
    ]


def evaluation(settings: Settings) -> list[Result]:
    """Full-ranking evaluation, as early stopping does it, and with all the details of a report."""
    split = read_split(settings)
    scorer = ModelScorer(ready_model(configure(settings), split))
    short = measure(lambda: evaluate(scorer, split, "test"), settings.repeats)
    long = measure(lambda: evaluate(scorer, split, "test", details=True), settings.repeats)
    what = f"full-ranking evaluation, {len(split.test):,} users"
    least = floor_seconds(settings, inference(Shapes.of(configure(settings), len(split.vocabulary)), split.test.cut))
    return [
        Result(what, "s", short.cpu, wall=short.wall, budget=Budget(4, 2), floor=least),
        Result(f"{what}, with slices and beyond accuracy", "s", long.cpu, wall=long.wall),
    ]


def top_20(settings: Settings) -> list[Result]:
    """Top 20 for all users, seen items removed."""
    split = read_split(settings)
    histories = list(split.histories)
    scorer = ModelScorer(ready_model(configure(settings), split))
    times = measure(lambda: top_k(scorer, histories, 20), settings.repeats)
    rates = [len(histories) / time for time in times.cpu]
    shapes = Shapes.of(configure(settings), len(split.vocabulary))
    least = floor_seconds(settings, inference(shapes, split.histories.lengths))
    most = None if least is None else len(histories) / least
    budget = Budget(None, 20_000, at_least=True)
    what = "top 20 for all users, seen removed"
    return [Result(what, "users/s", rates, wall=times.wall, budget=budget, floor=most)]
