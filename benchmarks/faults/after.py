"""What a job must leave behind, whatever happened to it: the folder of an undisturbed one, and nothing else."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from faults.children import Ended, in_child
from faults.jobs import JOBS, Job, contents, copy_material, difference, inside
from faults.operations import Operations

UNEQUAL = ("results.parquet",)
"""Files that hold times."""


def do_undisturbed(material: Path, folder: Path, kinds: set[str]) -> None:
    """Do every job once for all sections, and keep what it wrote, how long it took and its number of operations."""
    shared = material.with_name("undisturbed")
    shared.mkdir(exist_ok=True)
    folder.symlink_to(shared)
    for kind in kinds:
        job, place = JOBS[kind.partition(":")[0]], folder / kind.partition(":")[0]
        if place.exists():
            continue
        copy_material(material, place, job)

        def counted(job: Job = job) -> int | None:
            operations = Operations().install()
            try:
                return job.begin()
            finally:
                Path(".count").write_text(str(operations.count))

        ended = in_child(inside(place, counted))
        assert ended.code == 0, ended
        count = int((place / ".count").read_text())
        (place / ".count").unlink()
        (place / "facts.json").write_text(json.dumps({"seconds": ended.seconds, "operations": count}))


def facts_of(right: Path) -> dict[str, float]:
    """Return how long an undisturbed job took, and its number of operations."""
    return dict(json.loads((right / "facts.json").read_text()))


def resumed(job: Job, place: Path, right: Path, untouched: dict[str, bytes]) -> str:
    """Do a job to its end, and return what is then wrong; empty if nothing is.

    A temporary file that another process might be writing may stay for a day: it must be gone after a job of the day
    after.
    """
    finished = (place / job.target / "manifest.json").exists()
    if finished and (wrong := compare(place / job.target, right / job.target, ("checkpoint", ".work", ".job"))):
        return f"it looks finished, but {wrong}"
    done = in_child(inside(place, job.resume))
    if done.code != 0 and not (finished and says_finished(done)):
        return f"not continued: {done}"
    wrong = compare(place / job.target, right / job.target)
    if wrong.startswith("stray") and ";" not in wrong:
        _age(place / job.target)
        in_child(inside(place, job.later or job.resume))
        hidden = [name for name in contents(place / job.target) if "/." in f"/{name}" and ".lock" not in name]
        wrong = f"left for ever: {', '.join(hidden)}" if hidden else ""
    return wrong or other_files(place, job, untouched)


def says_finished(ended: Ended) -> bool:
    """Return whether a job was refused because it is done already."""
    return "holds" in ended.refusal and "finished" in ended.refusal


def other_files(place: Path, job: Job, untouched: dict[str, bytes]) -> str:
    """Return what of a place has changed that the job has no business with."""
    changed = difference(around(place, job), untouched)
    return f"other files: {changed}" if changed else ""


def around(place: Path, job: Job) -> dict[str, bytes]:
    """Return the files of a place without what the job writes, and what it prepares on the way."""
    ours = (f"{job.target}/", "home/")
    return {name: content for name, content in contents(place).items() if not name.startswith(ours)}


def compare(found: Path, right: Path, ignored: tuple[str, ...] = ()) -> str:
    """Return the first difference of two folders; empty if they are the same but for locks and times."""
    both = (_comparable(folder, ignored) for folder in (found, right))
    return difference(*both)


def _comparable(folder: Path, ignored: tuple[str, ...]) -> dict[str, bytes]:
    return {
        name: content
        for name, content in contents(folder).items()
        if not name.endswith(UNEQUAL) and ".lock" not in name and not name.startswith(ignored or ("\0",))
    }


def _age(folder: Path) -> None:
    """Let everything below a folder be two days old."""
    then = time.time() - 2 * 24 * 3600
    for path in sorted(folder.rglob("*"), reverse=True):
        os.utime(path, (then, then))
