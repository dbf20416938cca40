"""State of a study: which cells are done, running, waiting or failed, and how long the rest will take."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from mltfr.study.cell import Cell, Group

State = Literal["waiting", "running", "done", "failed"]


@dataclass
class Schedule:
    """The state of every cell, and the trials that are still to come.

    Attributes:
        cells: all cells in order.
        jobs: processes at once.
        trials: trials left, by group.
        states: state by cell name.
        running: group and start time of every running process, by its name.
        seconds: durations of finished cells and trials, by group.
        failures: last error of every failed cell, by its name.
    """

    cells: Sequence[Cell]
    jobs: int
    trials: dict[Group, int] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    running: dict[str, tuple[Group, float]] = field(default_factory=dict)
    seconds: defaultdict[Group, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[str, str] = field(default_factory=dict)

    def waiting(self) -> list[Cell]:
        """Return the cells that are neither begun nor over."""
        return [cell for cell in self.cells if cell.name not in self.states]

    def count(self) -> Counter[State]:
        """Return how many cells are in each state."""
        return Counter(self.states.get(cell.name, "waiting") for cell in self.cells)

    def begin(self, name: str, group: Group) -> None:
        """Record that a process of a group has begun."""
        self.running[name] = (group, time.monotonic())

    def end(self, name: str) -> float:
        """Record that a process has ended; return its seconds."""
        return time.monotonic() - self.running.pop(name)[1]

    def time_left(self) -> float | None:
        """Return the seconds that the rest will take, from the durations so far; None before the first one."""
        if not any(self.seconds.values()):
            return None
        running = [max(0.0, self._expected(group) - (time.monotonic() - at)) for group, at in self.running.values()]
        trials_under_way = Counter(group for name, (group, _) in self.running.items() if name == group.name)
        waiting = sum(self._expected(cell.group) for cell in self.waiting())
        waiting += sum((left - trials_under_way[group]) * self._expected(group) for group, left in self.trials.items())
        return max((waiting + sum(running)) / self.jobs, max(running, default=0.0))

    def _expected(self, group: Group) -> float:
        """Return the mean duration of those finished cells and trials that are most like a group's."""
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
