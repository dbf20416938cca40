"""Two writers: a job is stopped in the middle, and another process begins, or continues, the same job.

Found wrong: a second writer that neither is told which process holds the folder nor waits for it; a first one that
cannot finish then; an end that differs from that of an undisturbed job; a folder that cannot be taken over once its
holder is killed.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from faults.after import around, do_undisturbed, facts_of, resumed, says_finished
from faults.cases import Case, Outcome
from faults.children import Child
from faults.jobs import JOBS, after, copy_material, inside
from faults.kills import wait_for_cells
from faults.operations import Operations, stop_self

NUMBERS = {"fit": 20, "recommend in parts": 20, "tokens": 20, "data prepare": 20, "study": 4}
PATIENCE = 8.0
"""Seconds after which a second writer counts as waiting."""
SECONDS, MEMORY = 240.0, None
prepare = do_undisturbed


def cases(scale: float) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the kinds, as often as each is tried."""
    for name, number in NUMBERS.items():
        least = 0 if name == "study" else 1  # it takes seconds
        for turn in range(max(least, round(scale * number))):
            yield name, {"killed": turn % 3 == 2, "resume": turn % 2 == 1}


def attempt(case: Case) -> Outcome:
    """Let two processes do one job, and compare."""
    job, place = JOBS[case.kind], case.scratch
    right = case.right / case.kind
    copy_material(case.material, place, job)
    untouched = around(place, job)
    at = int(case.random().integers(1, facts_of(right)["operations"]))
    first = Child(inside(place, after(lambda: Operations(at, stop_self()).install(), job.begin)))
    _wait_for_stop(first.process)
    second = Child(inside(place, job.resume if case.given["resume"] else job.begin))
    told = second.wait(until=lambda: time.monotonic() - second.begun > PATIENCE)
    what = "waited" if told is None else "done by the second" if told.code == 0 else "told who holds it"
    if case.given["killed"]:
        first.kill()
        what += ", taken over"
    else:
        os.kill(first.process, signal.SIGCONT)
    ended, told = first.wait(), told or second.wait()
    assert ended is not None
    assert told is not None
    wait_for_cells(place)
    wrong = ""
    named = str(first.process) in told.refusal or "another process is at work" in told.refusal  # before it is noted
    if told.code != 0 and not named and not says_finished(told):
        wrong = f"not told that process {first.process} holds it: {told}"
    elif not case.given["killed"] and ended.code != 0 and not (told.code == 0 and ended.refusal):
        wrong = f"the first could not finish: {ended}"
    wrong = wrong or resumed(job, place, right, untouched)
    return Outcome(what, f"stopped at operation {at}, {case.given}: {wrong}" if wrong else "")


def _wait_for_stop(process: int) -> None:
    """Wait until a process has stopped, or ended."""
    stat = Path(f"/proc/{process}/stat")
    for _ in range(10_000):
        if stat.read_text().rpartition(")")[2].split()[0] in "TZ":
            return
        time.sleep(0.002)
