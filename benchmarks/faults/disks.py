"""Disks: full, read-only or broken at one of the writing operations of a job, or while a file grows; then repaired.

Tried: every job that is killed too, with the operating system refusing the n-th operation and all later ones (full,
read-only) or that alone (broken); with files that may not grow beyond a size, for what libraries write in their own
code; and, where this process may mount one, on a disk in memory that is too small.

Found wrong: anything but one line and exit code 2 (or an end as if nothing had happened); another file changed or lost;
a job that cannot be continued afterwards to the same bytes.
"""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

from faults.after import around, do_undisturbed, facts_of, other_files, resumed, says_finished
from faults.cases import Case, Outcome
from faults.children import Ended, in_child
from faults.jobs import JOBS, after, copy_material, inside
from faults.kills import wait_for_cells
from faults.operations import Operations, fail

NUMBERS = {"fit": 40, "recommend in parts": 40, "tokens": 40, "data prepare": 30, "study": 8}
"""How many operations of every job are refused, evenly spaced."""
REFUSALS = {
    "full": (errno.ENOSPC, True), "read-only": (errno.EROFS, True), "broken": (errno.EIO, False)
}  # fmt: skip
SIZES = (0, 100, 300, 700, 1500, 4000, 9000)
ROOM = {"fit": 40, "recommend in parts": 40, "tokens": 40, "data prepare": 200}
"""Kilobytes that are too few, for a disk in memory."""
SECONDS, MEMORY = 240.0, None
prepare = do_undisturbed


def cases(scale: float) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield every job with every refusal."""
    for job, number in NUMBERS.items():
        if job == "study" and scale < 0.03:  # a study takes seconds
            continue
        turns = max(1, round(scale * number))
        for name in REFUSALS:
            yield from ((f"{job}: {name}", {"place": (turn + 0.5) / turns}) for turn in range(turns))
        for size in SIZES[:: max(1, round(0.2 / scale))]:
            yield f"{job}: files of a size at most", {"size": size}
        if job in ROOM and os.geteuid() == 0:
            steps = max(1, round(scale * 8))
            for step in range(steps):
                yield f"{job}: disk in memory", {"room": max(4, ROOM[job] * (step + 1) // (steps + 1)) << 10}


def attempt(case: Case) -> Outcome:
    """Let the disk refuse a job, look at what is left, repair the disk, and continue."""
    name, _, what = case.kind.partition(": ")
    job, place = JOBS[name], case.scratch
    right = case.right / name
    copy_material(case.material, place, job)
    untouched = around(place, job)
    mounted: Path | None = None
    if "size" in case.given:
        told, limits = f"files of {case.given['size']} bytes at most", (case.given["size"], resource.RLIM_INFINITY)
        ended = in_child(inside(place, after(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits), job.begin)))
    elif "room" in case.given:
        told, mounted = f"a disk of {case.given['room']} bytes", place / job.target
        mounted.mkdir(exist_ok=True)
        if not _mount(mounted, case.given["room"]):
            return Outcome("no disk in memory may be made here")
        ended = in_child(inside(place, job.begin))
    else:
        number = int(case.given["place"] * facts_of(right)["operations"])
        told = f"operation {number}"
        refused = Operations(number, fail(*REFUSALS[what]))
        ended = in_child(inside(place, after(refused.install, job.begin)))
    try:
        wait_for_cells(place)
        wrong = "" if ended.code == 0 else _told(ended) or other_files(place, job, untouched)
        if mounted is not None:
            _mount(mounted, 1 << 28, "remount,")
        wrong = wrong or resumed(job, place, right, untouched)
    finally:
        if mounted is not None:
            subprocess.run(["umount", "-l", mounted], check=True)
    return Outcome("nothing was lacking" if ended.code == 0 else "one line, then continued",
                   f"{told}: {wrong} (after: {ended})" if wrong else "")


def _told(ended: Ended) -> str:
    """Return what is wrong with how a job was refused."""
    if ended.refusal or says_finished(ended):
        return ""
    cells = ended.code == 1 and "mltfr: cell" in ended.errors and "Traceback" not in ended.errors
    return "" if cells else f"no single line: {ended}"


def _mount(folder: Path, size: int, more: str = "") -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"{more}size={size}", "soak", str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0
