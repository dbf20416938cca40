"""Filters on a log, each with its counts before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, TypeVar

import polars as pl
from pydantic import NonNegativeInt, field_validator, model_validator

from mltfr.config import Config
from mltfr.errors import ConfigError, DataError
from mltfr.interactions.borders import Border, as_border, before, in_order, not_before, shown_span, threshold
from mltfr.interactions.checks import SameTime
from mltfr.interactions.filter_steps import FilterStep
from mltfr.interactions.log import Condition, InteractionLog, OrderedLog
from mltfr.interactions.raw import ITEM, USER
from mltfr.interactions.where import parse_where

Log = TypeVar("Log", bound=OrderedLog)


class FilterConfig(Config):
    """Which interactions are kept; 0 and None keep all. The filters run in the order of these settings."""

    elsewhere: ClassVar[str] = "For a condition on a column of the log there is filters.where (--where 'rating >= 4')."

    same_time: SameTime = "refuse"
    """Whether interactions that repeat another one with the same time are an error, or count: days as times."""
    where: str | None = None
    """Condition on rows over the log's columns, met as it is read: `rating >= 4 and event in buy,cart`."""
    since: Border | None = None
    """Earliest time that is kept: a date or datetime (UTC), or a number as the log has it."""
    until: Border | None = None
    """Time from which on nothing is kept: a date or datetime (UTC), or a number as the log has it."""
    consecutive_repeats: Literal["keep", "drop"] = "keep"
    """Whether an item that a user chooses twice in a row counts twice."""
    max_user_interactions: NonNegativeInt = 0
    """Interactions that a user may have: who has more, as robots do, is removed with all of them."""
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

    @field_validator("where")
    @classmethod
    def _condition(cls, value: str | None) -> str | None:
        try:
            return None if value is None else parse_where(value).text
        except ConfigError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.since is not None and self.until is not None and not in_order(self.since, self.until):
            raise ValueError(f"since ({self.since}) must lie before until ({self.until})")
        least, most = max(self.min_user_interactions, self.core), self.max_user_interactions
        if 0 < most < least:
            raise ValueError(f"max_user_interactions ({most}) leaves no user, since {least} are needed")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of `load_interactions` that are filters."""
        return {"same_time": self.same_time, "where": self.where}

    def as_read(self, log: InteractionLog) -> Self:
        """Return the filters with those that a log was read with, so that settings read its file again."""
        found = {"same_time": "keep"} if log.same_time == "keep" else {}
        return self.model_copy(update=found | ({"where": log.picked.where} if log.picked else {}))


@dataclass(frozen=True)
class FilterReport:
    """The counts before the first filter ("before") and after each."""

    steps: tuple[FilterStep, ...]


def apply_filters(log: Log, config: FilterConfig) -> tuple[Log, FilterReport]:
    """Return the log without what the config excludes, and what each filter left.

    Raises:
        ConfigError: `where` is not the condition that the log was read with.
        DataError: nothing is left, times are needed and missing, or the log has a given test split, which a
            filter would no longer fit.
    """
    read_with = log.picked.where if log.picked else None
    if config.where not in (None, read_with):
        raise ConfigError(
            f"{log.source}: filters.where is {config.where!r}, and picks rows as a log is read; this one was read with "
            f"{read_with!r}. Give it to load_interactions(..., where=...), or fit the file or table itself."
        )
    steps = _steps_of_reading(log)
    for name, condition in [*_borders(config, log), *_filters(config)]:
        _refuse_given(log, name)
        times = f": times go from {shown_span(log)}" if name in ("since", "until") else ""
        size, log = len(log), log.keep(condition)
        while name == "core" and len(log) != size:  # who was enough may not be any more
            size, log = len(log), log.keep(condition)
        steps.append(FilterStep(name, *log.totals()))
        if not len(log):
            raise DataError(
                f"{log.source}: no interaction is left after '{name}' ({steps[-2].interactions:,} before it). "
                f"Loosen that filter{times}."
            )
    return log, FilterReport(tuple(steps))


def _steps_of_reading(log: OrderedLog) -> list[FilterStep]:
    """Return the counts before the first filter, and after those that were met as the log was read.

    Rows that lack something are none before a filter, unless a condition on the rows found them.
    """
    rows, users, items = log.totals()
    steps = [FilterStep("before", rows + log.repeats, users, items)]
    if log.picked is not None:
        steps, usable = [log.picked.before, log.picked.after], steps[0]
        if log.picked.after.interactions != usable.interactions and not log.has_test:  # which counts all of its parts
            steps.append(replace(usable, name="skip_invalid"))
    return steps + [FilterStep("same_time", rows, users, items)] * bool(log.repeats)


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
    if config.max_user_interactions:
        yield "max_user_interactions", _counted(USER, "user", "<=", config.max_user_interactions)
    if config.min_user_interactions:
        yield "min_user_interactions", _counted(USER, "user", ">=", config.min_user_interactions)
    if config.min_item_interactions:
        yield "min_item_interactions", _counted(ITEM, "item", ">=", config.min_item_interactions)
    if k:
        user, item = _counted(USER, "user", ">=", k), _counted(ITEM, "item", ">=", k)
        yield "core", Condition(user.expression & item.expression, f"{user.sql} AND {item.sql}")
    if config.most_recent:
        place = pl.int_range(pl.len(), dtype=pl.Int64).over(USER)
        last = place >= pl.len().over(USER).cast(pl.Int64) - config.most_recent
        number = "row_number() OVER (PARTITION BY user ORDER BY place DESC)"
        yield "most_recent", Condition(last, f"{number} <= {config.most_recent}")


def _counted(column: str, name: str, sign: Literal["<=", ">="], border: int) -> Condition:
    sql = f"{name} IN (SELECT {name} FROM log GROUP BY {name} HAVING count(*) {sign} {border})"  # noqa: S608
    count = pl.len().over(column)
    return Condition(count >= border if sign == ">=" else count <= border, sql)
