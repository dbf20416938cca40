"""What every adapter speaks: one JSON document a line, commands in, measurements out.

Runs inside a peer's environment, so only the standard library is used. An adapter is started with its settings
as one JSON argument. It says `{"ready": cpu seconds}` after its first training step, then answers commands:

- `{"do": "count"}`: batches of an epoch, counted by making them all: `{"batches": n}`
- `{"do": "epoch", "batches": n or null}`: one epoch, or its first n batches: `{"cpu":, "wall":, "batches":}`
- `{"do": "evaluate"}`: full ranking of the test part: `{"cpu":, "wall":, "metrics": {...}}`
- `{"do": "recommend"}`: top 20 of all users: `{"cpu":, "wall":, "users": n}`
- `{"do": "memory"}`: most memory held so far, MB of 10^6 bytes: `{"peak":}`
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

Settings = dict[str, Any]


@dataclass(frozen=True)
class Epoch:
    """CPU and wall seconds of some batches, and how many there were."""

    cpu: float
    wall: float
    batches: int


class Peer(Protocol):
    """What an adapter can do."""

    def count(self) -> int:
        """Return the batches of an epoch, counted."""

    def train(self, batches: int | None) -> Epoch:
        """Train one epoch, or its first batches; the time of the very first call is not looked at."""

    def evaluate(self) -> dict[str, float]:
        """Rank every test target among all items and return the metrics."""

    def recommend(self) -> int:
        """Make the top 20 of all users and return how many users there are."""


class Clock:
    """CPU and wall seconds since it was made."""

    def __init__(self) -> None:
        self.begun = time.process_time(), time.perf_counter()

    def read(self) -> dict[str, float]:
        """Return both."""
        return {"cpu": time.process_time() - self.begun[0], "wall": time.perf_counter() - self.begun[1]}


def serve(build: Callable[[Settings], Peer]) -> None:
    """Build the peer from the settings, do one training step, then answer commands until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not come between the answers

    def say(document: dict[str, Any]) -> None:
        answers.write(json.dumps(document) + "\n")
        answers.flush()

    settings = json.loads(sys.argv[1])
    del sys.argv[1:]  # some libraries read them
    peer = build(settings)
    peer.train(1)
    say({"ready": time.process_time()})
    for line in sys.stdin:
        say(_answer(peer, json.loads(line)))


def _answer(peer: Peer, command: dict[str, Any]) -> dict[str, Any]:
    if command["do"] == "count":
        return {"batches": peer.count()}
    if command["do"] == "epoch":
        return vars(peer.train(command["batches"])).copy()
    if command["do"] == "memory":
        return {"peak": _peak_megabytes()}
    clock = Clock()
    done = peer.evaluate() if command["do"] == "evaluate" else peer.recommend()
    return {**clock.read(), "metrics" if command["do"] == "evaluate" else "users": done}


def _peak_megabytes() -> float:
    with open("/proc/self/status") as status:
        peak = next(line for line in status if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024 / 1e6
