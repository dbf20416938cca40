"""The cells of a study in forked processes: the same entry point as always, without importing torch for every cell."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

from faults.children import die_with_parent

STATUS = struct.Struct("<i")


class CellServer:
    """A process, forked before anything is computed, that forks one for every cell it is told of.

    A cell's stdin ends with the process that made the server, as that of a process of its own does.
    """

    def __init__(self) -> None:
        self.socket, other = socket.socketpair()
        read, self.alive = os.pipe()
        if os.fork() == 0:
            die_with_parent()
            self.socket.close()
            os.close(self.alive)
            with suppress(OSError):
                while told := other.recv(4096):
                    other.sendall(STATUS.pack(_run(Path(told.decode()), read)))
            os._exit(0)
        other.close()
        os.close(read)

    def launch(self, run: Path, threads: int, stop: Event, kill: Event) -> tuple[int, str]:
        """Train a run in a process, and wait for its end; as `mltfr.study.launch.launch`."""
        from mltfr.study.launch import Ended

        self.socket.sendall(str(run.absolute()).encode())
        answer = self.socket.recv(STATUS.size)
        return Ended(STATUS.unpack(answer)[0] if answer else -signal.SIGKILL, "see the child's stderr")


def _run(run: Path, stdin: int) -> int:
    process = os.fork()
    if process == 0:
        code = 1
        try:
            from mltfr.study.job import main

            os.dup2(stdin, 0)
            code = main(run)
        finally:
            os._exit(code)
    _, status = os.waitpid(process, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def study(resume: bool, forked: bool = True) -> int:
    """Run `study.toml` into the folder `study`; return the exit code of the command line.

    Args:
        resume: whether a study that is there is continued.
        forked: whether cells are forked; else each is a new process, as for everybody.
    """
    chosen: dict[str, Any] = {"launch": CellServer().launch} if forked else {}
    from mltfr.study import run_study

    outcome = run_study(Path("study.toml"), Path("study"), resume=resume, jobs=1, **chosen)
    for cell, message in outcome.failures.items():
        sys.stderr.write(f"mltfr: cell {cell} failed: {message}\n")
    return 1 if outcome.failures else 0
