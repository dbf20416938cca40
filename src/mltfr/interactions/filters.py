"""Filters on a log, each with its counts before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self, TypeVar

import polars as pl
from pydantic import NonNegativeInt, field_validator, model_validator

from mltfr.config import Config
from mltfr.errors import DataError
from mltfr.interactions.borders import Border, as_border, before, in_order, not_before, threshold
from mltfr.interactions.log import Condition, OrderedLog
from mltfr.interactions.raw import ITEM, USER

Log = TypeVar("Log", bound=OrderedLog)


class FilterConfig(Config):
    """Which interactions are kept; 0 and None keep all. The filters run in the order of these settings."""

    same_time: Literal["refuse", "keep"] = "refuse"
    """Whether interactions that repeat another one with the same time are an error, or count: days as times."""
    since: Border | None = None
    """Earliest time that is kept: a date or datetime (UTC), or a number as the log has it."""
    until: Border | None = None
    """Time from which on nothing is kept: a date or datetime (UTC), or a number as the log has it."""
    consecutive_repeats: Literal["keep", "drop"] = "keep"
    """Whether an item that a user chooses twice in a row counts twice."""
    min_user_interactions: NonNegativeInt = 0
    """Interactions that a user needs; applied once."""
    min_item_interactions: NonNegativeInt = 0
    """Interactions that an item needs; applied once, after the users."""
    core: NonNegativeInt = 0
    """k-core: users and items with fewer interactions are removed until none is left."""
    most_recent: NonNegativeInt = 0
    """Interactions kept of every user, the last ones."""

    @field_validator("since", "until", mode="before")
    @classmethod
    def _time(cls, value: object) -> object:
        return None if value is None else as_border(value)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.since is not None and self.until is not None and not in_order(self.since, self.until):
            raise ValueError(f"since ({self.since}) must lie before until ({self.until})")
        return self


@dataclass(frozen=True)
class FilterStep:
    """What one filter did: interactions, users and items after it."""

    name: str
    interactions: int
    users: int
    items: int


@dataclass(frozen=True)
class FilterReport:
    """The counts before the first filter ("before") and after each."""

    steps: tuple[FilterStep, ...]


def apply_filters(log: Log, config: FilterConfig) -> tuple[Log, FilterReport]:
    """Return the log without what the config excludes, and what each filter left.

    Raises:
        DataError: nothing is left, times are needed and missing, or the log has a given test split, which a
            filter would no longer fit.
    """
    steps = [FilterStep("before", *log.totals())]
    for name, condition in [*_borders(config, log), *_filters(config)]:
        _refuse_given(log, name)
        size, log = len(log), log.keep(condition)
        while name == "core" and len(log) != size:  # who was enough may not be any more
            size, log = len(log), log.keep(condition)
        steps.append(FilterStep(name, *log.totals()))
        if not len(log):
            raise DataError(
                f"{log.source}: no interaction is left after '{name}' ({steps[-2].interactions:,} before it). "
                "Loosen that filter."
            )
    return log, FilterReport(tuple(steps))


def _refuse_given(log: OrderedLog, name: str) -> None:
    if log.has_test:
        raise DataError(f"{log.source}: has a given test part, so '{name}' cannot be applied. Filter the files.")


def _borders(config: FilterConfig, log: OrderedLog) -> Iterator[tuple[str, Condition]]:
    """Yield the filters by time; the whole log tells the unit of its times."""
    for name, border, condition in (("since", config.since, not_before), ("until", config.until, before)):
        if border is None:
            continue
        _refuse_given(log, name)
        if not log.has_timestamps:
            raise DataError(f"{log.source}: '{name}' needs timestamps, and the log has none. Leave it out.")
        yield name, condition(threshold(border, log, f"filters.{name}"))


def _filters(config: FilterConfig) -> Iterator[tuple[str, Condition]]:
    k = config.core
    if config.consecutive_repeats == "drop":
        changes = (pl.col(ITEM) != pl.col(ITEM).shift(1).over(USER)).fill_null(True)
        previous = "lag(item) OVER (PARTITION BY user ORDER BY place)"
        yield "consecutive_repeats", Condition(changes, f"item IS DISTINCT FROM {previous}")
    if config.min_user_interactions:
        yield "min_user_interactions", _frequent(USER, "user", config.min_user_interactions)
    if config.min_item_interactions:
        yield "min_item_interactions", _frequent(ITEM, "item", config.min_item_interactions)
    if k:
        user, item = _frequent(USER, "user", k), _frequent(ITEM, "item", k)
        yield "core", Condition(user.expression & item.expression, f"{user.sql} AND {item.sql}")
    if config.most_recent:
        place = pl.int_range(pl.len(), dtype=pl.Int64).over(USER)
        last = place >= pl.len().over(USER).cast(pl.Int64) - config.most_recent
        number = "row_number() OVER (PARTITION BY user ORDER BY place DESC)"
        yield "most_recent", Condition(last, f"{number} <= {config.most_recent}")


def _frequent(column: str, name: str, least: int) -> Condition:
    sql = f"{name} IN (SELECT {name} FROM log GROUP BY {name} HAVING count(*) >= {least})"  # noqa: S608
    return Condition(pl.len().over(column) >= least, sql)
