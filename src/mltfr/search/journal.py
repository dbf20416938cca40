"""What a search has done, in a file of sealed lines: what `--resume` goes on with, and what the leaderboard tells."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, NamedTuple

from mltfr.errors import OutputError, RunError
from mltfr.search.clock import Clock
from mltfr.storage.files import read_json_lines, write_json_lines
from mltfr.storage.folder import damaged
from mltfr.storage.sealed import sealed, unsealed
from mltfr.study.job import REFUSED

JOURNAL = "search.jsonl"
REMEDY = "Remove it, and continue with --resume, which keeps what is trained; or choose another --out."
BEAT = 2.0
"""Seconds after which a command at work writes down how long it has been; so many of it count as spent in advance."""

LINES = {
    "begun": ("preset", "trials", "log", "files"),
    "planned": ("networks",),
    "process": ("run", "seconds", "code", "error"),
    "beat": ("running",),
    "found": ("lines", "seconds", "recommended"),
    "killed": (),
    "ended": (),
}
"""What a line of each kind tells, beside the time that is spent; those of other versions may tell other things."""


class Told(NamedTuple):
    """What the journal says of a run.

    Attributes:
        seconds: what its processes took in all.
        processes: how many there were.
        error: why the last one has failed; None where it has not.
        again: whether it failed under an earlier command, and not because of its settings.
    """

    seconds: float = 0.0
    processes: int = 0
    error: str | None = None
    again: bool = False

    @property
    def failed(self) -> bool:
        """Whether it has failed, and is not tried again."""
        return self.error is not None and not self.again


class Journal:
    """The lines of a search. The last one is a "beat" while a command is at work, and after it was killed.

    Args:
        folder: the search folder.
        clock: the time of the search; what earlier commands took becomes part of it.

    Raises:
        RunError: the file is damaged, or of another version.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder, self.file, self.clock = folder, folder / JOURNAL, clock
        self.records: list[dict[str, Any]] = []
        self.running: dict[str, float] = {}
        self.lock, self.at_work = Lock(), False
        if self.file.exists():
            with damaged(self.file, RunError, REMEDY):
                self.records = [_known(unsealed(record)) for record in read_json_lines(self.file)]
                clock.before = max((float(record["spent"]) for record in self.records), default=0.0)
                if self.records and self.records[-1]["kind"] == "beat":
                    beat = self.records.pop()
                    self.records.append({"kind": "killed", "spent": beat["spent"]})
                    self.records += [self._process(run, seconds) for run, seconds in beat["running"].items()]
        self.before = len(self.records)

    def find(self, kind: str) -> dict[str, Any] | None:
        """Return the last line of a kind; None where there is none."""
        return next((record for record in reversed(self.records) if record["kind"] == kind), None)

    def add(self, kind: str, **facts: Any) -> None:
        """Add a line.

        Args:
            kind: what has happened.
            facts: what there is to tell.
        """
        with self.lock:
            self.records.append({"kind": kind, "spent": round(self.clock.spent, 3), **facts})
            self._write()

    def began(self, run: Path) -> None:
        """Note that a process of a run has begun."""
        self.running[self.place(run)] = time.monotonic()

    def ended(self, run: Path, code: int, error: str | None) -> None:
        """Add a line for a process of a run that has ended, however it did."""
        place = self.place(run)
        with self.lock:
            self.records.append(self._process(place, time.monotonic() - self.running.pop(place), code, error))
            self._write()

    def place(self, run: Path) -> str:
        """Return a run folder, relative to the search's."""
        return run.relative_to(self.folder).as_posix()

    def of_run(self, run: Path) -> Told:
        """Return what is told of a run."""
        place = self.place(run)
        lines = [(number, each) for number, each in enumerate(self.records) if each.get("run") == place]
        if not lines:
            return Told()
        number, last = lines[-1]
        again = last["error"] is not None and last["code"] != REFUSED and number < self.before
        return Told(sum(each["seconds"] for _, each in lines), len(lines), last["error"], again)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Write down again and again how long the command has been at work, and at its end, however it comes."""
        over = Event()

        def beat() -> None:
            while not over.wait(BEAT):
                with self.lock, suppress(OutputError):  # the next line says so
                    self._write()

        thread = Thread(target=beat, daemon=True)
        self.at_work = True
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.at_work = False
            now = time.monotonic()
            self.records += [self._process(place, now - began) for place, began in self.running.items()]
            with suppress(OutputError):  # a full disk has been told already
                self.add("ended")

    def _process(self, place: str, seconds: float, code: int | None = None, error: str | None = None) -> dict[str, Any]:
        spent = round(self.clock.spent, 3)
        return {
            "kind": "process", "spent": spent, "run": place, "seconds": round(seconds, 3), "code": code, "error": error
        }  # fmt: skip

    def _write(self) -> None:
        beat = []
        if self.at_work:
            now = time.monotonic()
            running = {place: round(now - began, 3) for place, began in list(self.running.items())}
            beat = [{"kind": "beat", "spent": round(self.clock.spent + BEAT, 3), "running": running}]
        write_json_lines(self.file, map(sealed, [*self.records, *beat]))


def _known(record: dict[str, Any]) -> dict[str, Any]:
    """Return a line that tells what its kind has to tell.

    Raises:
        KeyError, ValueError: it does not, or its kind is unknown.
    """
    if record["kind"] not in LINES:
        raise ValueError(f"it has a line '{record['kind']}'")
    for field in ("spent", *LINES[record["kind"]]):
        record[field]
    return record
