"""How training with the fusion grows with the tokens of a table, and with the number of tables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import mean

from harness.clock import measure
from harness.data import read_split
from harness.models import configure, ready_model
from harness.result import Result
from harness.settings import Settings
from harness.tables import random_table
from harness.trainer import Stepper, StepTimes, train_epochs
from mltfr.inference import ModelScorer, top_k
from mltfr.interactions import Split
from mltfr.pipeline import RunConfig
from mltfr.tokens import PreparedTable, TokensConfig

USERS, ROWS = 128 * 12, 32_000


def vocabulary(settings: Settings) -> list[Result]:
    """One table of so many tokens."""
    tables = _tables(settings, [settings.point])
    return _measure(settings, tables, "tokens of a table", f"{settings.point:,} tokens")


def number(settings: Settings) -> list[Result]:
    """So many tables of equal size."""
    tables = _tables(settings, [ROWS] * settings.point)
    return _measure(settings, tables, "number of tables", f"{settings.point} table(s) of {ROWS:,} tokens")


def _measure(settings: Settings, tables: Sequence[PreparedTable], axis: str, size: str) -> list[Result]:
    split = read_split(settings)
    config = configure(settings, "fusion.consensus_weight=0", loss="cross_entropy", fusion="mltfr", tables=tables)
    steps = StepTimes()  # of the same batches at every point, so their mean compares
    train_epochs(config, split, 1, tables, users=USERS, callback=steps)
    refreshed = measure(partial(Stepper(config, split, tables).refresh, settings.seed), settings.repeats)
    read = _read(settings, config, split, tables)

    def point(what: str, unit: str, values: list[float]) -> Result:
        return Result(f"{what}: {size}", unit, values, series=f"{axis} / {what}", at=settings.point)

    return [
        point("mltfr training step, cross_entropy", "ms", [1000 * mean(steps.times.cpu)]),
        point("refresh of the shortlists", "ms", [1000 * time for time in refreshed.cpu]),
        point("mltfr top 20, 1,024 users", "ms", [1000 * time for time in read]),
    ]


def _read(settings: Settings, config: RunConfig, split: Split, tables: Sequence[PreparedTable]) -> list[float]:
    histories = [split.histories[user] for user in range(1024)]
    scorer = ModelScorer(ready_model(config, split, tables))
    return measure(partial(top_k, scorer, histories, 20), settings.repeats).cpu


def _tables(settings: Settings, sizes: Sequence[int]) -> list[PreparedTable]:
    width = TokensConfig().width
    return [random_table(f"made-up-{n}", rows, width, settings.seed + n) for n, rows in enumerate(sizes)]
