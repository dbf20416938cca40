"""Filters on a log, each with its counts before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal, Self, TypeVar

import polars as pl
from pydantic import NonNegativeInt, field_validator, model_validator

from mltfr.config import Config
from mltfr.errors import DataError
from mltfr.interactions.log import Condition, OrderedLog
from mltfr.interactions.raw import ITEM, TIME, USER
from mltfr.interactions.timestamps import numbers

Log = TypeVar("Log", bound=OrderedLog)


class FilterConfig(Config):
    """Which interactions are kept; 0 and None keep all. The filters run in the order of these settings."""

    since: float | str | None = None
    """Earliest time that is kept: a timestamp, or an ISO date where the data has dates."""
    until: float | str | None = None
    """Time from which on nothing is kept: a timestamp, or an ISO date where the data has dates."""
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
    def _as_text(cls, value: object) -> object:
        return value.isoformat() if isinstance(value, date) else value  # TOML has dates of its own

    @field_validator("since", "until")
    @classmethod
    def _time(cls, value: float | str | None) -> float | str | None:
        if isinstance(value, str) and numbers(pl.Series([value])).null_count():
            raise ValueError(f"{value!r} is neither a timestamp nor an ISO date (2024-05-31)")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        since, until = moment(self.since), moment(self.until)
        if since is not None and until is not None and since >= until:
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
    for name, condition in _filters(config):
        if log.has_test:
            raise DataError(f"{log.source}: has a given test part, so '{name}' cannot be applied. Filter the files.")
        if name in ("since", "until") and not log.has_timestamps:
            raise DataError(f"{log.source}: '{name}' needs timestamps, and the log has none. Leave it out.")
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


def moment(value: float | str | None) -> float | None:
    """Return a time as the log holds it."""
    return float(numbers(pl.Series([value]))[0]) if isinstance(value, str) else value


def _filters(config: FilterConfig) -> Iterator[tuple[str, Condition]]:
    since, until, k = moment(config.since), moment(config.until), config.core
    if since is not None:
        yield "since", Condition(pl.col(TIME) >= since, f"time >= '{since!r}'::DOUBLE")
    if until is not None:
        yield "until", Condition(pl.col(TIME) < until, f"time < '{until!r}'::DOUBLE")
    if config.consecutive_repeats == "drop":
        changes = (pl.col(ITEM) != pl.col(ITEM).shift(1).over(USER)).fill_null(True)
        before = "lag(item) OVER (PARTITION BY user ORDER BY place)"
        yield "consecutive_repeats", Condition(changes, f"item IS DISTINCT FROM {before}")
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
