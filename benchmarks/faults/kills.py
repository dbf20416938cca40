"""Kills: SIGKILL at a random moment of a job, or right before or after one of its writing operations; then again.

Tried: fitting (both rounds, a checkpoint after every batch), a study, recommendations in parts, importing and preparing
token tables, preparing a log. A fourth of the jobs is killed a second time while it is continued.

Found wrong: a folder that has a manifest and is not complete; a job that cannot be continued by the same command; an
end that differs by one byte from that of an undisturbed job (but for times); a file left behind, or another file of the
folder changed. What other processes might be writing may stay for a day: it must be gone after a job of the day after.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.after import around, do_undisturbed, facts_of, resumed
from faults.cases import Case, Outcome
from faults.children import Child, in_child
from faults.jobs import JOBS, NEW_CELLS, after, copy_material, inside
from faults.operations import Operations, kill_self

NUMBERS = {"fit": 40, "recommend in parts": 30, "tokens": 30, "data prepare": 30, "study": 12, NEW_CELLS: 3}
SECONDS, MEMORY = 240.0, None
prepare = do_undisturbed


def cases(scale: float) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the kinds, as often as each is tried."""
    for name, number in NUMBERS.items():
        least = 0 if name in ("study", NEW_CELLS) else 1  # they take seconds
        yield from [(name, {})] * max(least, round(scale * number))


def attempt(case: Case) -> Outcome:
    """Kill a job, continue it, and compare."""
    job, place = JOBS[case.kind], case.scratch
    right = case.right / case.kind
    facts, random = facts_of(right), case.random()
    copy_material(case.material, place, job)
    untouched = around(place, job)
    plan: list[str] = []
    for number in range(2 if random.random() < 0.25 else 1):
        work = job.resume if number else job.begin
        if random.random() < 0.5:
            at, when = int(random.integers(facts["operations"])), ("before", "after")[int(random.integers(2))]
            plan.append(f"{when} operation {at}")
            code = in_child(inside(place, killed_at(work, at, when))).code
        else:
            moment = facts["seconds"] * float(random.random())
            plan.append(f"after {moment:.3f} s")
            child = Child(inside(place, work))
            time.sleep(moment)
            child.kill()
            ended = child.wait()
            code = ended.code if ended is not None else None
        wait_for_cells(place)
    wrong = resumed(job, place, right, untouched)
    return Outcome(
        "ended before the kill" if code == 0 else "continued to the same bytes",
        f"{', '.join(plan)} (exit {code}): {wrong}" if wrong else "",
    )


def killed_at(work: Callable[[], int | None], at: int, when: str) -> Callable[[], int | None]:
    """Return a function that does something, and is killed before or after an operation."""
    return after(lambda: Operations(at, kill_self(when)).install(), work)


def wait_for_cells(place: Path) -> None:
    """Wait until the cells of a killed study have written their checkpoints."""
    for lock in place.glob("study/cells/*/.mltfr.lock"):
        from filelock import FileLock

        with FileLock(lock):
            pass
