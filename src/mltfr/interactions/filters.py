"""Filters on a log, each with its counts before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal, Self

import polars as pl
from pydantic import NonNegativeInt, field_validator, model_validator

from mltfr.config import Config
from mltfr.errors import DataError
from mltfr.interactions.log import InteractionLog
from mltfr.interactions.raw import ITEM, TIME, USER
from mltfr.interactions.timestamps import numbers


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


def apply_filters(log: InteractionLog, config: FilterConfig) -> tuple[InteractionLog, FilterReport]:
    """Return the log without what the config excludes, and what each filter left.

    Raises:
        DataError: nothing is left, times are needed and missing, or the log has a given test part, which a
            filter would no longer fit.
    """
    frame = log.frame
    steps = [_step("before", frame)]
    for name, keep in _filters(config):
        if log.test is not None:
            raise DataError(f"{log.source}: has a given test part, so '{name}' cannot be applied. Filter the files.")
        if name in ("since", "until") and not log.has_timestamps:
            raise DataError(f"{log.source}: '{name}' needs timestamps, and the log has none. Leave it out.")
        frame = _core(frame, config.core) if name == "core" else frame.filter(keep)
        steps.append(_step(name, frame))
        if frame.is_empty():
            raise nothing_left(log.source, name, steps[-2].interactions)
    return replace(log, frame=frame), FilterReport(tuple(steps))


def nothing_left(source: str, name: str, before: int) -> DataError:
    """Return the error about a filter that left nothing."""
    return DataError(
        f"{source}: no interaction is left after '{name}' ({before:,} before it). Loosen that filter."
    )


def moment(value: float | str | None) -> float | None:
    """Return a time as the log holds it."""
    return float(numbers(pl.Series([value]))[0]) if isinstance(value, str) else value


def _filters(config: FilterConfig) -> Iterator[tuple[str, pl.Expr]]:
    since, until = moment(config.since), moment(config.until)
    if since is not None:
        yield "since", pl.col(TIME) >= since
    if until is not None:
        yield "until", pl.col(TIME) < until
    if config.consecutive_repeats == "drop":
        yield "consecutive_repeats", (pl.col(ITEM) != pl.col(ITEM).shift(1).over(USER)).fill_null(True)
    if config.min_user_interactions:
        yield "min_user_interactions", pl.len().over(USER) >= config.min_user_interactions
    if config.min_item_interactions:
        yield "min_item_interactions", pl.len().over(ITEM) >= config.min_item_interactions
    if config.core:
        yield "core", pl.lit(True)
    if config.most_recent:
        place = pl.int_range(pl.len(), dtype=pl.Int64).over(USER)
        yield "most_recent", place >= pl.len().over(USER).cast(pl.Int64) - config.most_recent


def _core(frame: pl.DataFrame, k: int) -> pl.DataFrame:
    """Remove users and items with fewer than `k` interactions until every one left has them."""
    enough = (pl.len().over(USER) >= k) & (pl.len().over(ITEM) >= k)
    size = -1
    while len(frame) != size:
        size = len(frame)
        frame = frame.filter(enough)
    return frame


def _step(name: str, frame: pl.DataFrame) -> FilterStep:
    return FilterStep(name, len(frame), frame[USER].n_unique(), frame[ITEM].n_unique())
