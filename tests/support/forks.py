"""The command line, or a function, in a process of its own that starts at once: a fork of a server with its imports."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

SERVER = get_context("forkserver")
SERVER.set_forkserver_preload([
    "duckdb", "mltfr.cli.main", "mltfr.batch", "mltfr.interactions.prepare", "mltfr.pipeline.models",
    "mltfr.report.write", "mltfr.search.auto", "polars.testing", "pytest",
])  # fmt: skip
"""It computes nothing: libraries make their threads on use, after the fork."""


def forked(call: Callable[..., object], *arguments: Any, environment: Mapping[str, str] | None = None) -> BaseProcess:
    """Call a function in a process of its own, with this environment or that of now; return the process.

    The server has the environment of the test that started it, so it is replaced before the call.
    """
    given = dict(os.environ if environment is None else environment)
    process = SERVER.Process(target=_call, args=(given, call, arguments), daemon=True)
    process.start()
    return process


class Forked:
    """`mltfr` in a process of its own, which writes what it says to two files.

    Args:
        arguments: of the command line.
        said: folder for the two files.
        environment: variables beside those of this process; PYTHONPATH counts, too.
    """

    def __init__(self, *arguments: str | Path, said: Path, environment: Mapping[str, str] | None = None) -> None:
        self._files = said / "stdout", said / "stderr"
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "MLTFR_OFFLINE": "1", **(environment or {})}
        self._process = forked(_work, list(map(str, arguments)), self._files, environment=variables)

    def is_alive(self) -> bool:
        """Return whether it is at work."""
        return self._process.is_alive()

    def send(self, signal: int) -> None:
        """Send a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal)

    def ended(self, seconds: float = 120) -> tuple[int, str, str]:
        """Return, at its end, the exit code and what it said on stdout and on stderr."""
        self._process.join(seconds)
        assert self._process.exitcode is not None, "it has not ended"
        return self._process.exitcode, *(file.read_text() for file in self._files)  # type: ignore[return-value]


def together(*arguments: str | Path, said: Path) -> list[tuple[int, str, str]]:
    """Run a command in two processes that train together, told so as by torchrun; return how each ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": f"{port}"}
    processes = []
    for rank in ("0", "1"):
        (said / rank).mkdir()
        own = {**told, "RANK": rank, "LOCAL_RANK": rank}
        processes.append(Forked(*arguments, said=said / rank, environment=own))
    return [process.ended() for process in processes]


def _call(environment: dict[str, str], call: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", *sys.path)]
    call(*arguments)


def _work(arguments: list[str], files: tuple[Path, Path]) -> None:
    from mltfr.cli.main import main

    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["mltfr", *arguments]
    main()
