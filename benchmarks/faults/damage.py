"""Damage: one file of a folder cut off, emptied, or with one byte flipped; then the folder is used.

Tried: every file of a run, of the token store (tables and prepared ones), a prepared set, an interrupted run, a
half-finished and a finished folder of recommendations, a finished study and an approximate index, in turn.

Found wrong: anything but one line that says what is damaged, or the same answers and facts as of the undamaged folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from faults.cases import Case, Outcome, wordless
from faults.folders import FOLDERS, make_folders

NUMBERS = {
    "run": 250, "token store": 250, "prepared set": 180, "interrupted run": 120, "recommendations": 100, "study": 80,
    "index": 20, "finished recommendations": 40,
}  # fmt: skip
HOW = ("cut", "emptied", "flipped", "flipped", "flipped")
SECONDS, MEMORY = 60.0, 1 << 30
prepare = make_folders


def cases(scale: float) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the kinds, as often as each is tried."""
    for kind, number in NUMBERS.items():
        least = 0 if kind == "study" and scale < 0.03 else 1  # making one takes seconds
        for place in range(max(least, round(scale * number) if least else 0)):
            yield kind, {"place": place}


def attempt(case: Case) -> Outcome:
    """Damage a copy of a folder, use it, and compare."""
    from mltfr.errors import MltfrError

    right = case.right / case.kind
    shutil.copytree(right, case.scratch)
    target = case.scratch / FOLDERS[case.kind].damaged
    files = sorted(path for path in target.rglob("*") if path.is_file())
    files = [path for path in files if ".lock" not in path.name]
    random = case.random()
    number = case.given["place"]
    path = files[number % len(files)] if number < 3 * len(files) else files[int(random.integers(len(files)))]
    how = HOW[(number // len(files)) % len(HOW)]
    content = bytearray(path.read_bytes())
    where = int(random.integers(len(content))) if content else 0
    if how == "emptied" or not content:
        content.clear()
    elif how == "cut":
        del content[where:]
    else:
        content[where] ^= 1 << int(random.integers(8))
    path.write_bytes(content)
    told = f"{path.relative_to(target)} {how} at {where}"
    try:
        found = digest(FOLDERS[case.kind].use(case.scratch))
    except MltfrError as error:
        return Outcome("found out, one line", wordless(error, f"{told}: "))
    right_answers = _right_answers(case.kind, right)
    other = [name for name in right_answers if found.get(name) != right_answers[name]]
    if other or found.keys() != right_answers.keys():
        return Outcome("other answers", f"{told}: silently other {', '.join(other)}")
    return Outcome("the same answers and facts")


@cache
def _right_answers(kind: str, right: Path) -> dict[str, str]:
    copy = right.with_name(f"{right.name} used by {os.getpid()}")
    shutil.copytree(right, copy)
    return digest(FOLDERS[kind].use(copy))


def digest(answers: dict[str, Any]) -> dict[str, str]:
    """Return a checksum of every answer."""
    return {
        name: hashlib.sha256(json.dumps(answer, sort_keys=True, default=str).encode()).hexdigest()
        for name, answer in answers.items()
    }
