"""Many cases spread over processes, with a bound on time and memory.

A process with torch imported forks the ones that work; it computes nothing itself, so that a child finds every
library as a new process would. A child that crashes, hangs or eats the memory is a finding, not the end of the soak.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from faults.cases import Attempt, Case, Outcome
from faults.children import die_with_parent

STATUS = Path("/proc/self/status")


def spread(
    cases: Sequence[Case], attempt: Attempt, workers: int, seconds: float, memory: int | None = None
) -> Iterator[tuple[Case, Outcome]]:
    """Try all cases in forked processes, and yield them with their outcomes as they end.

    Args:
        cases: what to try.
        attempt: tries one case; an error that it lets through is a wrong outcome.
        workers: processes at once.
        seconds: a case that takes longer is ended, and wrong.
        memory: bytes that a case may take beyond what its process held; more is wrong, and twice as much is refused.
    """
    left = [list(range(number, len(cases), workers)) for number in range(workers)]
    chosen = selectors.DefaultSelector()
    at_work: dict[int, _Worker] = {}

    def start(number: int) -> None:
        if left[number]:
            worker = _Worker(number, cases, left[number], attempt, memory)
            at_work[number] = worker
            chosen.register(worker.pipe, selectors.EVENT_READ, worker)

    for number in range(workers):
        start(number)
    while at_work:
        for key, _ in chosen.select(timeout=0.2):
            worker: _Worker = key.data
            for index, outcome in worker.read():
                left[worker.number].remove(index)
                yield cases[index], outcome
        for number, worker in list(at_work.items()):
            late = time.monotonic() - worker.heard > seconds and worker.current is not None
            if late:
                os.kill(worker.process, signal.SIGKILL)
            if late or worker.closed:
                chosen.unregister(worker.pipe)
                told = worker.end()
                del at_work[number]
                if left[number]:
                    index = worker.current if worker.current is not None else left[number][0]
                    left[number].remove(index)
                    found = f"took more than {seconds:g} s" if late else f"its process ended by {told}"
                    yield cases[index], Outcome("over time" if late else "crash", found)
                start(number)


class _Worker:
    """A forked process that tries some of the cases and writes a line about each into a pipe."""

    def __init__(
        self, number: int, cases: Sequence[Case], indices: list[int], attempt: Attempt, memory: int | None
    ) -> None:
        self.number, self.current, self.closed, self.text = number, None, False, b""
        self.heard = time.monotonic()
        self.pipe, write = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            os.close(self.pipe)
            _work([(index, cases[index]) for index in indices], attempt, memory, write)
        os.close(write)

    current: int | None

    def read(self) -> Iterator[tuple[int, Outcome]]:
        """Yield the outcomes that have arrived."""
        arrived = os.read(self.pipe, 1 << 16)
        self.heard, self.closed = time.monotonic(), not arrived
        *lines, self.text = (self.text + arrived).split(b"\n")
        for line in lines:
            index, *outcome = json.loads(line)
            self.current = None if outcome else index
            if outcome:
                yield index, Outcome(*outcome)

    def end(self) -> str:
        """Wait for the process; return how it ended."""
        os.close(self.pipe)
        _, status = os.waitpid(self.process, 0)
        return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit code {os.WEXITSTATUS(status)}"


def _work(cases: list[tuple[int, Case]], attempt: Attempt, memory: int | None, pipe: int) -> NoReturn:
    die_with_parent()
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + 2 * memory, resource.RLIM_INFINITY))
    for index, case in cases:
        os.write(pipe, json.dumps([index]).encode() + b"\n")
        before = _peak(reset=True)
        try:
            outcome = attempt(case)
        except BaseException as error:  # Rust's panics are no Exception
            place = "".join(traceback.format_exception(error))[-1500:]
            outcome = Outcome("traceback", f"{type(error).__name__}: {error} ... {place}")
        took = _peak() - before
        if memory is not None and took > memory and not outcome.wrong:
            outcome = Outcome("over memory", f"took {took >> 20} MiB ({outcome.what})")
        os.write(pipe, json.dumps([index, outcome.what, outcome.wrong[:3000]]).encode() + b"\n")
    os._exit(0)


def _status(name: str) -> int:
    return int(STATUS.read_text().split(f"{name}:")[1].split()[0]) * 1024


def _peak(reset: bool = False) -> int:
    """Return the most memory that this process held since the last reset."""
    if reset:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    return _status("VmHWM")
