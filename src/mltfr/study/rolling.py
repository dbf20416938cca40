"""Rolling time splits (backtests): one log cut at several moments, each cut an ordinary `global-time` split."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from mltfr.config import Config
from mltfr.errors import ConfigError, DataError
from mltfr.interactions import FilterConfig, InteractionLog, PreparedSet, SplitConfig, apply_filters
from mltfr.interactions.borders import Border, as_border, as_text, shown_span, threshold
from mltfr.interactions.clock import PARTS
from mltfr.interactions.dates import NANOS
from mltfr.interactions.splits import split_lengths

Span = int | float | str
"""A length of time: `28d`, or a number where the log's times are a counter."""
UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "min": 60, "s": 1}
"""Seconds of the units of a span."""
_SPAN = re.compile(rf"(\d+(?:\.\d+)?) ?({'|'.join(UNITS)})", re.IGNORECASE)
_EXAMPLES = "28d or 12h (w, d, h, min, s), or a number where times are a counter"


class RollingConfig(Config):
    """Windows of a log. Each trains on all before its validation, which lasts a span, as does the test behind it."""

    windows: int = Field(ge=1, le=999)
    """Number of windows; the last one tests the newest rows."""
    span: Span
    """Length of each validation and of each test."""
    step: Span | None = None
    """How far the borders move from window to window; `span` if not given, so that no row is tested twice."""
    until: Border | None = None
    """Where the last test ends. If not given, behind the log's last row, on the next whole day (hour, second)."""

    @field_validator("span", "step")
    @classmethod
    def _length(cls, value: Span | None) -> Span | None:
        if value is not None and not _size(value) > 0:
            raise ValueError(f"{value!r} is no length of time. It is {_EXAMPLES}")
        return value

    @field_validator("until", mode="before")
    @classmethod
    def _time(cls, value: object) -> object:
        return None if value is None else as_border(value)

    @model_validator(mode="after")
    def _alike(self) -> Self:
        if self.step is not None and isinstance(self.step, str) != isinstance(self.span, str):
            raise ValueError(f"span ({self.span!r}) and step ({self.step!r}) must both be times, or both numbers")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Label of every window, the oldest first: w1, w2, ..."""
        width = len(str(self.windows))
        return tuple(f"w{number:0{width}}" for number in range(1, self.windows + 1))


def windows_of(
    rolling: RollingConfig, log: InteractionLog | PreparedSet, filters: FilterConfig, where: str
) -> list[dict[str, Any]]:
    """Return the settings of every window, as `cut` does, each of them with rows to train on, to choose by and to test.

    Args:
        rolling: how many windows, and how long.
        log: the log as it is read.
        filters: those of the data set.
        where: where `rolling` stands in the study file, for messages.

    Raises:
        ConfigError: the log has a split of its own, it cannot be cut, or a window lacks examples.
        DataError: `until` or `since` is a date, and the log's times are a counter.
    """
    if isinstance(log, PreparedSet) or log.has_test:
        raise ConfigError(f"{where}: {log.source} comes with a split of its own. Give the log that it was made from.")
    windows = cut(rolling, log, filters.since, where)
    for label, window in zip(rolling.labels, windows, strict=True):
        config, of_window = SplitConfig(**window["split"]), filters.model_copy(update=window["filters"])
        try:
            method, _, lengths = split_lengths(apply_filters(log, of_window)[0], config)
            lengths.require(method)
            if not lengths.validation.any():
                border = as_text(config.validation_from)
                raise DataError(f"No user with a row before {border} has one in the validation behind it.")
        except DataError as error:
            raise ConfigError(f"{where}, window {label}: {error} Or take a longer span, or fewer windows.") from error
    return windows


def cut(rolling: RollingConfig, log: InteractionLog, since: Border | None, where: str) -> list[dict[str, Any]]:
    """Return the settings of every window, the oldest first: a `global-time` split of the rows before its end.

    Args:
        rolling: how many windows, and how long.
        log: the log as it is read.
        since: the filter of the same name.
        where: where `rolling` stands in the study file, for messages.

    Raises:
        ConfigError: the log has no times, they and the spans are not of one kind, or the first window leaves nothing to
            train on.
        DataError: `until` or `since` is a date, and the log's times are a counter.
    """
    if not log.has_timestamps:
        raise ConfigError(f"{where}: {log.source} has no times to cut windows by. Add them, or leave it out.")
    ticks = _ticks(rolling, log, where)
    span = _size(rolling.span) * ticks
    step = span if rolling.step is None else _size(rolling.step) * ticks
    first, last = (Fraction(time) for time in log.span())
    if since is not None:
        first = max(first, Fraction(threshold(since, log, "filters.since")))
    if rolling.until is not None:
        end = Fraction(threshold(rolling.until, log, f"{where}.until"))
    else:
        grain = _grain((span, step), ticks, log)
        end = Fraction((math.floor(last / grain) + 1) * grain)
    room = end - 2 * span - first
    if room - (rolling.windows - 1) * step <= 0:
        fit = max(0, math.ceil(room / step))
        raise ConfigError(
            f"{where}: the first of {rolling.windows} windows has nothing to train on: the times of {log.source} go "
            f"from {shown_span(log)}. Take a shorter span{f', or at most {fit} windows' if fit else ''}."
        )
    found = []
    for back in reversed(range(rolling.windows)):
        until = end - back * step
        validation, test, stop = (_as_border(time, log) for time in (until - 2 * span, until - span, until))
        borders = {"method": "global-time", "validation_from": validation, "test_from": test}
        found.append({"split": borders, "filters": {"until": stop}})
    return found


def _size(span: Span) -> Fraction:
    """Return a span in seconds, or as the number that it is; 0 where it is none."""
    if not isinstance(span, str):
        return Fraction(span) if math.isfinite(span) else Fraction(0)
    found = _SPAN.fullmatch(span.strip())
    return Fraction(found[1]) * UNITS[found[2].lower()] if found else Fraction(0)


def _ticks(rolling: RollingConfig, log: InteractionLog, where: str) -> int:
    """Return how many of the log's numbers one of a span is: of a second, or of a counter's step.

    Raises:
        ConfigError: the one is a time, and the other is a counter.
    """
    if (log.unit is None) is isinstance(rolling.span, str):
        expected = "a number" if log.unit is None else "a time such as 28d or 12h"
        raise ConfigError(
            f"{where}: span is {rolling.span!r}, but the times of {log.source} go from {shown_span(log)}, "
            f"{'a counter' if log.unit is None else 'a clock'}. Give {expected}."
        )
    return log.clock.scale * (1 if log.unit is None else PARTS[log.unit])


def _grain(lengths: Sequence[Fraction], ticks: int, log: InteractionLog) -> int:
    """Return what the end of the last test is a multiple of: a day or an hour where all lengths are, else 1."""
    if log.unit is None:
        return ticks
    sizes = (UNITS["d"] * ticks, UNITS["h"] * ticks)
    return next((size for size in sizes if all(length % size == 0 for length in lengths)), ticks)


def _as_border(time: Fraction, log: InteractionLog) -> Border:
    """Return a time of the log as a setting: a date, a datetime, or a number as the source has it."""
    time /= log.clock.scale
    if log.unit is None:
        return int(time) if time.denominator == 1 else float(time)
    nanos = math.ceil(time * NANOS / PARTS[log.unit])
    text = str(np.datetime64(nanos, "ns") if nanos % NANOS else np.datetime64(nanos // NANOS, "s"))
    return text.removesuffix("T00:00:00")
