"""Make known faults, one after the other, and print those that no test notices: `python tests/mutations/mutate.py`.

Each fault of `mutations.toml` is made in a copy of `src/`, in a process forked from this one, which has imported the
libraries once. A fault is noticed when one of its tests fails. Tests that take much longer than without a fault are
listed apart: they may wait for ever because of the fault, or because of the machine.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
LIBRARIES = ("torch", "polars", "pytest", "pydantic", "scipy.sparse", "scipy.stats", "hypothesis", "rich.table")
TIMES, MORE = 3, 30
"""A fault's tests may take so many times as long as all tests without a fault, and so many seconds more."""

NOTICED = 1
OUTCOMES = {0: "not noticed", NOTICED: "noticed", -signal.SIGALRM: "took too long"}
"""By pytest's exit code, negative where a signal ended it; with any other, no test ran."""


class Mutation(NamedTuple):
    """One fault: a text that occurs once in a file of `src/mltfr`, what it becomes, and the tests that should fail."""

    file: str
    was: str
    becomes: str
    tests: tuple[str, ...]

    def made_in(self, source: Path) -> str:
        """Return the file's text with the fault in it."""
        return (source / "mltfr" / self.file).read_text("utf-8").replace(self.was, self.becomes)

    def __str__(self) -> str:
        return f"{self.file}: {' '.join(self.was.split())}  ->  {' '.join(self.becomes.split())}"


def read_mutations() -> list[Mutation]:
    """Return the list."""
    entries = tomllib.loads(Path(__file__).with_name("mutations.toml").read_text("utf-8"))["mutation"]
    return [Mutation(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


def run_tests(mutation: Mutation, folder: str) -> int:
    """Return pytest's exit code with the fault made in a copy of `src/`; called in a process of its own."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    source = Path(folder) / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (source / "mltfr" / mutation.file).write_text(mutation.made_in(source), "utf-8")
    os.environ["PYTHONPATH"] = str(source)
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(source))
    sys.path = [path for path in sys.path if Path(path).resolve() != ROOT / "src"]
    os.chdir(ROOT)
    pytest: Any = importlib.import_module("pytest")
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={folder}/tests"]
    return int(pytest.main([*options, *mutation.tests]))


class Trial:
    """The tests of a fault, in a process group of its own, so that nothing of it stays."""

    def __init__(self, mutation: Mutation, limit: int = 0) -> None:
        self.mutation = mutation
        self.folder = tempfile.mkdtemp(prefix="mutation-")
        self.process = os.fork()
        if self.process == 0:
            code = 99
            try:
                os.setsid()
                signal.alarm(limit)
                code = run_tests(mutation, self.folder)
            finally:
                os._exit(code)

    def clean_up(self) -> None:
        """End what the tests have started and left, and remove their folder."""
        with suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


def run_all(mutations: list[Mutation], jobs: int, limit: int) -> dict[Mutation, int]:
    """Return the exit codes of all, `jobs` at a time; negative where a signal ended the process."""
    waiting, running, codes = list(mutations), dict[int, Trial](), dict[Mutation, int]()
    while waiting or running:
        while waiting and len(running) < jobs:
            trial = Trial(waiting.pop(0), limit)
            running[trial.process] = trial
        process, status = os.wait()
        trial = running.pop(process)
        trial.clean_up()
        code = codes[trial.mutation] = os.waitstatus_to_exitcode(status)
        if trial.mutation.was:
            print(OUTCOMES.get(code, f"error {code}"), trial.mutation, flush=True)
    return codes


def main() -> None:
    """Make all faults, or those of some files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", help="files of src/mltfr whose faults are made; all if none is named")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="faults at a time")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    began = time.monotonic()
    chosen = [each for each in read_mutations() if not given.files or each.file in given.files]
    for library in LIBRARIES:
        importlib.import_module(library)
    nothing = Mutation("version.py", "", "", tuple(sorted({test for each in chosen for test in each.tests})))
    if any(run_all([nothing], 1, 0).values()):
        sys.exit("The tests fail without a fault: mend them first.")
    codes = run_all(chosen, given.jobs, int(TIMES * (time.monotonic() - began)) + MORE)
    print(f"{len(codes)} faults made in {time.monotonic() - began:.0f} s")
    for outcome in sorted({code for code in codes.values() if code != NOTICED}):
        print(f"{OUTCOMES.get(outcome, f'error {outcome}')}:")
        for each in (each for each, code in codes.items() if code == outcome):
            print(f"  {each}")
    sys.exit(any(code != NOTICED for code in codes.values()))


if __name__ == "__main__":
    main()
