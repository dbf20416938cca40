"""What is done, running, waiting and failed, and how long the rest will take."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from mltfr.study.plan import Cell, Group

State = Literal["waiting", "running", "done", "failed"]


@dataclass
class Board:
    """The state of every cell, and the trials that are still to come.

    Attributes:
        cells: all cells in order.
        jobs: processes at once.
        trials: trials left, by group.
        states: state by cell name.
        begun: start of every running process, by group.
        seconds: what finished cells and trials took, by group.
        failures: what went wrong, by cell name.
        started: when the study was started.
    """

    cells: Sequence[Cell]
    jobs: int
    trials: dict[Group, int] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    begun: dict[str, tuple[Group, float]] = field(default_factory=dict)
    seconds: defaultdict[Group, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def state(self, cell: Cell) -> State:
        """Return a cell's state."""
        return self.states.get(cell.name, "waiting")

    def waiting(self) -> list[Cell]:
        """Return the cells that are neither begun nor over."""
        return [cell for cell in self.cells if self.state(cell) == "waiting"]

    def count(self, cells: Sequence[Cell] | None = None) -> Counter[State]:
        """Return how many of some cells are in each state."""
        return Counter(self.state(cell) for cell in (self.cells if cells is None else cells))

    def begin(self, key: str, group: Group) -> None:
        """Note that a process of a group has begun."""
        self.begun[key] = (group, time.monotonic())

    def end(self, key: str) -> float:
        """Note that it has ended; return its seconds."""
        return time.monotonic() - self.begun.pop(key)[1]

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.started

    def time_left(self) -> float | None:
        """Return the seconds that the rest will take, from what finished ones took; None before the first one."""
        if not any(self.seconds.values()):
            return None
        running = [max(0.0, self._expected(group) - (time.monotonic() - at)) for group, at in self.begun.values()]
        trials_under_way = Counter(group for key, (group, _) in self.begun.items() if key == group.name)
        waiting = sum(self._expected(cell.group) for cell in self.waiting())
        waiting += sum((left - trials_under_way[group]) * self._expected(group) for group, left in self.trials.items())
        return max((waiting + sum(running)) / self.jobs, max(running, default=0.0))

    def _expected(self, group: Group) -> float:
        """Return the mean of the nearest relatives that have finished."""
        for alike in (
            lambda other: other == group,
            lambda other: other[:3] == group[:3],
            lambda other: other[:2] == group[:2],
            lambda other: other[0] == group[0],
            lambda other: True,
        ):
            known = [value for other, values in self.seconds.items() if alike(other) for value in values]
            if known:
                return sum(known) / len(known)
        return 0.0


def duration(seconds: float | None) -> str:
    """Return seconds for people: "48 s", "12 min", "3 h 05 min"."""
    if seconds is None:
        return "unknown"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
