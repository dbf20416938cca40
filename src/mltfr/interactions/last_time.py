"""The last moment of a log, so that rows of another file can be told to lie behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Self

import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.clock import PARTS, Unit, shown
from mltfr.interactions.log import InteractionLog, OrderedLog
from mltfr.interactions.raw import TIME


@dataclass(frozen=True)
class LastTime:
    """The latest time of a log, with what makes its number a moment.

    Attributes:
        time: the number.
        unit: its unit since 1970-01-01 UTC; None where the log's times are a counter.
        scale: the power of ten by which the source's times were multiplied (`Clock.scale`).
    """

    time: int | float
    unit: Unit | None = None
    scale: int = 1

    @classmethod
    def of(cls, log: OrderedLog) -> Self | None:
        """Return that of a log; None where it has no times, or its held-out parts are files of their own."""
        if not log.has_timestamps or log.has_test:
            return None
        return cls(log.span()[1], log.unit, log.clock.scale)

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Self | None:
        """Return what `last_time_facts` put into a manifest; None where it does not say it."""
        return cls(**facts["last_time"]) if "last_time" in facts else None

    def __str__(self) -> str:
        time = self.time / self.scale if self.scale != 1 else self.time
        return shown(time, self.unit) + (" UTC" if self.unit is not None else "")

    def later(self, log: InteractionLog) -> pl.Expr:
        """Return the condition that a row of another log lies behind this moment.

        Raises:
            DataError: one of the two logs counts, and the other has moments.
        """
        unit = log.unit
        if (unit is None) != (self.unit is None):
            kinds = ("a counter", "moments") if unit is None else ("moments", "a counter")
            raise DataError(
                f"{log.source}: its times are {kinds[0]}, but those of the run's log are {kinds[1]} (the last one is "
                f"{self}). Give the new rows with times of the same kind, or without any."
            )
        units = Fraction(PARTS[unit], PARTS[self.unit]) if unit is not None and self.unit is not None else Fraction(1)
        exact = Fraction(self.time) / self.scale * units * log.clock.scale
        return pl.col(TIME) > (math.floor(exact) if log.frame[TIME].dtype.is_integer() else float(exact))


def last_time_facts(last: LastTime | None) -> dict[str, Any]:
    """Return what a manifest says of a log's last time; nothing where it is not known."""
    return {} if last is None else {"last_time": asdict(last)}
