"""The clock: set back or forward while a job is interrupted or at work, and files that come from the future.

Tried: every job that is killed too, killed at an operation and continued with the clock a year back, a year ahead, or
all files of its folder dated ten years ahead, or 1970; and done at once while the clock jumps back by a day.

Found wrong: an end that differs from that of an undisturbed job, but for the times that it notes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from faults.after import around, do_undisturbed, facts_of, resumed
from faults.cases import Case, Outcome
from faults.children import in_child
from faults.jobs import JOBS, NEW_CELLS, after, copy_material, inside
from faults.kills import killed_at, wait_for_cells
from faults.operations import Operations

YEAR = 365 * 24 * 3600.0
SHIFTS = {"a year back": -YEAR, "a year ahead": YEAR}
DATES = {"dated ten years ahead": 10 * YEAR, "dated 1970": None}
JUMP = "a day back while at work"
SECONDS, MEMORY = 240.0, None
prepare = do_undisturbed


def cases(scale: float) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield every job with every clock."""
    for turn in range(max(1, round(scale * 4))):
        for job in [job for job in JOBS if job != NEW_CELLS] if scale >= 0.1 else ["fit"]:
            if job != "study" or turn == 0:
                yield from ((f"{job}: {what}", {}) for what in (*SHIFTS, *DATES, JUMP))


def attempt(case: Case) -> Outcome:
    """Interrupt a job, change the clock, continue, and compare."""
    name, _, what = case.kind.partition(": ")
    job, place = JOBS[name], case.scratch
    right = case.right / name
    copy_material(case.material, place, job)
    untouched = around(place, job)
    at = int(case.random().integers(facts_of(right)["operations"]))
    if what == JUMP:
        jump = Operations(at, lambda name, moment: _shift(-YEAR / 365) if moment == "before" else None)
        in_child(inside(place, after(jump.install, job.begin)))
    else:
        in_child(inside(place, killed_at(job.begin, at, "after")))
        wait_for_cells(place)
    if what in DATES:
        then = time.time() + DATES[what] if DATES[what] is not None else 0.0
        for path in sorted((place / job.target).rglob("*"), reverse=True):
            os.utime(path, (then, then))
    shift = partial(_shift, SHIFTS.get(what, 0.0))
    shifted = replace(job, resume=after(shift, job.resume), later=after(shift, job.later or job.resume))
    wrong = resumed(shifted, place, right, untouched)
    return Outcome("the same bytes", f"operation {at}: {wrong}" if wrong else "")


def _shift(seconds: float) -> None:
    """Set the clock of this process; the monotonic one, which no system ever sets back, stays."""
    now, nanoseconds = time.time, time.time_ns
    time.time = lambda: now() + seconds  # type: ignore[assignment]
    time.time_ns = lambda: nanoseconds() + int(seconds * 1e9)  # type: ignore[assignment]


