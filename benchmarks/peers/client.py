"""Starts an adapter in its environment and speaks with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from mltfr.interactions import UNKNOWN, Split
from peers.environments import HERE, PEERS

OURS = "mltfr"


class PeerError(Exception):
    """An adapter ended before it answered; the message is the last thing it said."""


class Client:
    """One adapter's process, from its start to its end.

    Args:
        name: the peer, or `mltfr`.
        settings: what the adapter is told.

    Raises:
        PeerError: it ended before its first training step.
    """

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        self.name = name
        self.work = tempfile.TemporaryDirectory()
        self.errors = Path(self.work.name) / "stderr.txt"
        folder = Path(self.work.name) / "data"
        folder.mkdir()
        python = sys.executable if name == OURS else str(PEERS[name].python)
        script = HERE / "adapters" / f"with_{name}.py"
        environment = dict(os.environ)
        if name != OURS:
            environment.pop("PYTHONPATH", None)  # a peer sees its own packages only
        begun = time.perf_counter()
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [python, str(script), json.dumps(settings | {"folder": str(folder)})],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
                cwd=self.work.name,
            )
        try:
            self.start_cpu = float(self._answer()["ready"])
        except PeerError:
            self.close()
            raise
        self.start_wall = time.perf_counter() - begun

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """Send a command and wait for its answer.

        Raises:
            PeerError: the process ended instead.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.work.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            said = [line for line in self.errors.read_text(errors="replace").splitlines() if line.strip()]
            raise PeerError(f"{self.name} ended: {said[-1].strip() if said else 'no message'}")
        return dict(json.loads(line))


def write_codes(split: Split, path: Path) -> None:
    """Write the file that every adapter reads; what training does not know gets codes of its own."""
    items = split.histories.items.astype(np.int64)
    unknown = items == UNKNOWN
    items[unknown] = len(split.vocabulary) + 1 + np.arange(unknown.sum())
    np.savez(
        path,
        offsets=split.histories.offsets,
        items=items,
        train_length=split.train_length,
        known=len(split.vocabulary),
    )
