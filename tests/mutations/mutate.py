"""Make known faults, one after the other, and print those that no test notices: `python tests/mutations/mutate.py`.

Each fault of `mutations.toml` is made in a copy of `src/`, in a process forked from this one, which has imported the
libraries once. A fault is noticed when one of its tests fails, or takes longer than `SECONDS`.
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
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
LIBRARIES = ("torch", "polars", "pytest", "pydantic", "scipy.sparse", "scipy.stats", "hypothesis", "rich.table")
SECONDS = 180
"""Time after which a fault counts as noticed: it made a test wait for ever."""


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


def run_tests(mutation: Mutation) -> int:
    """Return pytest's exit code with the fault made; called in a process of its own."""
    signal.alarm(SECONDS)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        (source / "mltfr" / mutation.file).write_text(mutation.made_in(source), "utf-8")
        os.environ |= {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(source))
        sys.path = [path for path in sys.path if Path(path).resolve() != ROOT / "src"]
        os.chdir(ROOT)
        pytest: Any = importlib.import_module("pytest")
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={folder}/tests"]
        return int(pytest.main([*options, *mutation.tests]))


def run_all(mutations: list[Mutation], jobs: int) -> dict[Mutation, int]:
    """Return the exit codes of all, `jobs` at a time; negative where a signal ended the process."""
    waiting, running, codes = list(enumerate(mutations)), dict[int, int](), dict[int, int]()
    while waiting or running:
        while waiting and len(running) < jobs:
            number, mutation = waiting.pop(0)
            child = os.fork()
            if child == 0:
                code = 99
                try:
                    code = run_tests(mutation)
                finally:
                    os._exit(code)
            running[child] = number
        child, status = os.wait()
        number = running.pop(child)
        codes[number] = os.waitstatus_to_exitcode(status)
        outcomes = {0: "SURVIVED", 1: "noticed", -signal.SIGALRM: "noticed (time)"}
        print(outcomes.get(codes[number], f"error {codes[number]}"), mutations[number], flush=True)
    return {mutations[number]: code for number, code in codes.items()}


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
    if run_tests_apart(nothing):
        sys.exit("The tests fail without a fault: mend them first.")
    codes = run_all(chosen, given.jobs)
    survivors = [each for each, code in codes.items() if code == 0]
    errors = [each for each, code in codes.items() if code not in (0, 1, -signal.SIGALRM)]
    print(f"{len(codes)} faults made in {time.monotonic() - began:.0f} s; not noticed: {len(survivors)}")
    for each in survivors:
        print(f"  {each}")
    for each in errors:
        print(f"  no test ran: {each}")
    sys.exit(bool(survivors or errors))


def run_tests_apart(mutation: Mutation) -> int:
    """Return pytest's exit code, from a process of its own."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            code = run_tests(mutation)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main()
