"""Clocks, and measurements that alternate so that a busy machine disturbs all sides alike."""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Times:
    """Seconds of every repeat: of this process's CPU, and on the clock."""

    cpu: list[float]
    wall: list[float]


class Stopwatch:
    """Takes both times between two calls of `lap`."""

    def __init__(self) -> None:
        self.lap()

    def lap(self) -> tuple[float, float]:
        """Return the CPU and wall seconds since the last call."""
        now = time.process_time(), time.perf_counter()
        before = getattr(self, "before", now)
        self.before = now
        return now[0] - before[0], now[1] - before[1]


def measure(action: Callable[[], object], repeats: int, warm_up: int = 1) -> Times:
    """Run an action several times."""
    return alternate({"": [action]}, repeats, warm_up)[""]


def alternate(
    sides: Mapping[Name, Sequence[Callable[[], object]]], repeats: int, warm_up: int = 1
) -> dict[Name, Times]:
    """Run the actions of several sides in turn, and sum each side's times in every repeat.

    First of all sides the first action, then of all the second one; who begins changes with every action.

    Args:
        sides: as many actions for every side.
        repeats: how often all of it is measured.
        warm_up: how often the first actions run unmeasured before.
    """
    names = list(sides)
    for _ in range(warm_up):
        for name in names:
            sides[name][0]()
    times = {name: Times([], []) for name in names}
    for _ in range(repeats):
        gc.collect()
        for name in names:
            times[name].cpu.append(0.0)
            times[name].wall.append(0.0)
        for number in range(len(sides[names[0]])):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                watch = Stopwatch()
                sides[name][number]()
                cpu, wall = watch.lap()
                times[name].cpu[-1] += cpu
                times[name].wall[-1] += wall
    return times


def ratios(times: Times, base: Times) -> list[float]:
    """Return the ratio of CPU times, one per repeat."""
    return [own / other for own, other in zip(times.cpu, base.cpu, strict=True)]


def peak_megabytes() -> float:
    """Return the most memory that this process has held (peak resident set), in MB of 10^6 bytes.

    Linux hands `ru_maxrss` on from the process that started this one, so its own record is read there.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
