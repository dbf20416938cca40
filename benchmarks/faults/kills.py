"""Kills: SIGKILL at a random moment of a job, or right before or after one of its writing operations; then again.

Tried: fitting (both rounds, a checkpoint after every batch), a study, recommendations in parts, importing and preparing
token tables, preparing a log. A fourth of the jobs is killed a second time while it is continued.

Found wrong: a folder that has a manifest and is not complete; a job that cannot be continued by the same command; an
end that differs by one byte from that of an undisturbed job (but for times); a file left behind, or another file of the
folder changed. What other processes might be writing may stay for a day: it must be gone after a job of the day after.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.cases import Case, Outcome
from faults.children import Child, in_child
from faults.jobs import JOBS, Job, contents, copy_material, difference, inside
from faults.operations import Operations, kill_self

NUMBERS = {"fit": 40, "recommend in parts": 30, "tokens": 30, "data prepare": 30, "study": 12}
SECONDS, MEMORY = 240.0, None
UNEQUAL = ("results.parquet",)
"""Files that hold times."""


def cases(scale: float) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the kinds, as often as each is tried."""
    for name, number in NUMBERS.items():
        yield from [(name, {})] * max(1, round(scale * number))


def prepare(material: Path, folder: Path, kinds: set[str]) -> None:
    """Do every job undisturbed, and keep what it wrote, how long it took and its number of operations."""
    for name in kinds:
        job, place = JOBS[name], folder / name
        copy_material(material, place, job)

        def counted(job: Job = job) -> int | None:
            operations = Operations().install()
            try:
                return job.begin()
            finally:
                Path(".count").write_text(str(operations.count))

        ended = in_child(inside(place, counted), place)
        assert ended.code == 0, ended
        count = int((place / ".count").read_text())
        (place / ".count").unlink()
        (place / "facts.json").write_text(json.dumps({"seconds": ended.seconds, "operations": count}))


def attempt(case: Case) -> Outcome:
    """Kill a job, continue it, and compare."""
    job, place, material = JOBS[case.kind], case.scratch, case.scratch.parents[1] / "material"
    right = case.scratch.parents[1] / "kills-right" / case.kind
    facts = json.loads((right / "facts.json").read_text())
    random = case.random()
    copy_material(material, place, job)
    untouched = _without(contents(place), job.target)
    plan: list[str] = []
    for number in range(2 if random.random() < 0.25 else 1):
        work = job.resume if number else job.begin
        if random.random() < 0.5:
            at, when = int(random.integers(facts["operations"])), ("before", "after")[int(random.integers(2))]
            plan.append(f"{when} operation {at}")
            code = in_child(inside(place, _killed(work, at, when)), place).code
        else:
            moment = facts["seconds"] * float(random.random())
            plan.append(f"after {moment:.3f} s")
            child = Child(inside(place, work), place)
            time.sleep(moment)
            child.kill()
            ended = child.wait()
            code = ended.code if ended is not None else None
        _wait_for_cells(place)
        finished = (place / job.target / "manifest.json").exists()
        if finished and (wrong := _compare(place / job.target, right / job.target, ("checkpoint",))):
            return Outcome("wrong", f"{', '.join(plan)}: it looks finished, but {wrong}")
    done = in_child(inside(place, job.resume), place)
    told = f"{', '.join(plan)} (exit {code})"
    if done.code != 0 and not (finished and "holds" in done.refusal and "finished" in done.refusal):
        return Outcome("wrong", f"{told}: not continued: {done}")
    wrong = _compare(place / job.target, right / job.target)
    if wrong.startswith("stray") and ";" not in wrong:
        _age(place / job.target)
        in_child(inside(place, job.later or job.resume), place)
        wrong = ", ".join(name for name in contents(place / job.target) if "/." in f"/{name}" and ".lock" not in name)
    if wrong:
        return Outcome("wrong", f"{told}: {wrong}")
    if changed := difference(_without(contents(place), job.target), untouched):
        return Outcome("wrong", f"{told}: other files: {changed}")
    return Outcome("ended before the kill" if code == 0 else "continued to the same bytes")


def _age(folder: Path) -> None:
    """Let everything below a folder be two days old."""
    then = time.time() - 2 * 24 * 3600
    for path in sorted(folder.rglob("*"), reverse=True):
        os.utime(path, (then, then))


def _killed(work: Callable[[], int | None], at: int, when: str) -> Callable[[], int | None]:
    def do() -> int | None:
        Operations(at, kill_self(when)).install()
        return work()

    return do


def _compare(found: Path, right: Path, ignored: tuple[str, ...] = ()) -> str:
    both = (_comparable(folder, ignored) for folder in (found, right))
    return difference(*both)


def _comparable(folder: Path, ignored: tuple[str, ...]) -> dict[str, bytes]:
    return {
        name: content
        for name, content in contents(folder).items()
        if not name.endswith(UNEQUAL) and ".lock" not in name and not name.startswith(ignored or ("\0",))
    }


def _without(found: dict[str, bytes], target: str) -> dict[str, bytes]:
    """Leave out what a job writes, and what it prepares on the way."""
    return {name: content for name, content in found.items() if not name.startswith((f"{target}/", "home/"))}


def _wait_for_cells(place: Path) -> None:
    """Wait until the cells of a killed study have written their checkpoints."""
    for lock in place.glob("study/cells/*/.lock"):
        from filelock import FileLock

        with FileLock(lock):
            pass
