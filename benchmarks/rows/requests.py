"""One request: the ten best items of one history, exactly."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from harness.clock import Stopwatch
from harness.counts import Shapes
from harness.counts import request as counted
from harness.data import made_up_split, read_split
from harness.floor import floor_seconds
from harness.models import added, configure, ready_model
from harness.result import Budget, Result
from harness.settings import Settings
from harness.tables import get_tables
from mltfr.inference import ModelScorer, top_k
from mltfr.interactions import Split
from mltfr.pipeline import FittedModel, RunConfig, save_artifact
from mltfr.recommender import Recommender
from mltfr.tokens import PreparedTable, describe

REQUESTS = 100
MILLION = 1_000_000


def request(settings: Settings) -> list[Result]:
    """The log's own items."""
    split = read_split(settings)
    return _requests(settings, configure(settings), split, (), Budget(None, 3), "bare SASRec")


def request_mltfr(settings: Settings) -> list[Result]:
    """The log's own items, with three tables."""
    split = read_split(settings)
    tables, origin = get_tables(settings, 3)
    config = configure(settings, fusion="mltfr", tables=tables)
    return _requests(settings, config, split, tables, Budget(None, 3), f"mltfr, 3 tables, {origin}")


def request_million(settings: Settings) -> list[Result]:
    """A million items, of which a thousand users have about twenty each."""
    split = made_up_split(MILLION, 1000, settings.seed)
    return _requests(settings, configure(settings), split, (), Budget(None, 15), "bare SASRec")


def _requests(
    settings: Settings,
    config: RunConfig,
    split: Split,
    tables: Sequence[PreparedTable],
    budget: Budget,
    label: str,
) -> list[Result]:
    recommender = saved(config, split, tables)
    histories = [split.histories[user] for user in range(min(REQUESTS, len(split.user_ids)))]
    named = [split.vocabulary.decode(history) for history in histories]
    scorer = ModelScorer(ready_model(config, split, tables))
    shapes = Shapes.of(config, len(split.vocabulary))
    work = counted(shapes, int(median(len(history) for history in histories)))
    work += added(config, median(min(len(history), shapes.length) for history in histories), 0, tables, trained=False)
    least = floor_seconds(settings, work)
    what = f"one request, {len(split.vocabulary):,} items, exact top 10, p50: {label}"
    public: list[Callable[[], object]] = [
        partial(recommender.recommend, histories=[history], k=10) for history in named
    ]
    inner: list[Callable[[], object]] = [partial(top_k, scorer, [history], 10) for history in histories]
    asked = {
        "Recommender.recommend": (public, budget),
        "scoring and selection alone": (inner, Budget()),
    }
    results = []
    for by, (requests, bound) in asked.items():
        cpu, wall = _p50(requests, settings.repeats)
        note = f"CPU {median(cpu):.2f} ms"
        floor = 1000 * least if least is not None else None
        results.append(Result(f"{what}, {by}", "ms", wall, "wall", budget=bound, note=note, floor=floor))
    return results


def saved(config: RunConfig, split: Split, tables: Sequence[PreparedTable] = ()) -> Recommender:
    """Return a recommender as a user has it: saved, and loaded again."""
    fitted = FittedModel(
        config=config,
        model=ready_model(config, split, tables),
        split=split,
        facts={"split": split.method, "left_out": {}, "tables": describe(tables)},
    )
    with tempfile.TemporaryDirectory() as folder:
        save_artifact(fitted, Path(folder) / "run")
        return Recommender.load(Path(folder) / "run")


def _p50(requests: list[Callable[[], object]], repeats: int) -> tuple[list[float], list[float]]:
    """Return the medians over the requests, of CPU and wall milliseconds, one per repeat."""
    for warm_up in requests[:3]:
        warm_up()
    cpu, wall = [], []
    for _ in range(repeats):
        watch = Stopwatch()
        times = []
        for ask in requests:
            watch.lap()
            ask()
            times.append(watch.lap())
        cpu.append(1000 * median(time[0] for time in times))
        wall.append(1000 * median(time[1] for time in times))
    return cpu, wall
