"""A measured figure, and the budget it is held against."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal

Basis = Literal["CPU", "wall", "ratio of CPU", "ratio of wall", "peak"]


@dataclass(frozen=True)
class Budget:
    """What a figure must reach: `now`, and `later`; None where there is no such demand."""

    now: float | None = None
    later: float | None = None
    at_least: bool = False

    def reached(self, value: float, bound: float | None) -> bool | None:
        """Return whether a value keeps within a bound; None without one."""
        if bound is None:
            return None
        return value >= bound if self.at_least else value <= bound


@dataclass(frozen=True)
class Result:
    """One line of the table.

    Attributes:
        what: what was measured.
        unit: of the values: s, ms, x, MB, users/s, %.
        values: one per repeat; the median is held against the budget.
        basis: what the values come from.
        wall: seconds on the clock, one per repeat, where the values are CPU time.
        budget: what must be reached.
        note: what a reader has to know besides.
        floor: the least value (of a rate: the greatest) that this machine allows for the counted work.
        series: line of the growth plot that this is a point of: `axis / line`; empty for none.
        at: where on that axis.
    """

    what: str
    unit: str
    values: list[float]
    basis: Basis = "CPU"
    wall: list[float] = field(default_factory=list)
    budget: Budget = field(default_factory=Budget)
    note: str = ""
    floor: float | None = None
    series: str = ""
    at: float | None = None

    @property
    def median(self) -> float:
        """The figure."""
        return median(self.values)

    @property
    def over_floor(self) -> float | None:
        """How many times the floor the figure is; of a rate, how many times faster the floor would be."""
        if not self.floor:
            return None
        return self.floor / self.median if self.budget.at_least else self.median / self.floor

    def to_json(self) -> dict[str, Any]:
        """Return everything, with the median and the verdicts."""
        budget = self.budget
        return {
            **asdict(self),
            "median": self.median,
            "over_floor": self.over_floor,
            "reached_now": budget.reached(self.median, budget.now),
            "reached_later": budget.reached(self.median, budget.later),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Result:
        """Return what `to_json` wrote."""
        own = {name: document[name] for name in cls.__dataclass_fields__ if name != "budget"}
        return cls(**own, budget=Budget(**document["budget"]))
