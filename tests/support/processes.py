"""How tests of several processes start them, find them, and compare what they wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

SMALL = [
    "tokens.tables=['synthetic-2']", "tokens.width=8", "fusion.filter.shortlist=16", "fusion.filter.keep=4",
    "backbone.hidden=16", "backbone.max_length=10", "backbone.dropout=0.3", "training.batch_size=31",
    "training.epochs=2", "training.first_round_epochs=2", "training.device='cpu'",
    "training.advanced.fisher_examples=40",
]  # fmt: skip
"""Settings that train in a moment, with everything that draws random numbers."""


def words(settings: list[str]) -> list[str]:
    """Return settings as the words of a command line."""
    return [word for setting in settings for word in ("--set", setting)]


OPTIONS = words(SMALL)
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start a command in two processes under torchrun."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MLTFR_OFFLINE": "1"}
    command = [*TORCHRUN, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def descendants(name: str, of: int | None = None) -> list[int]:
    """Return the processes started, at any remove, by `of` (this process) whose command line holds `name`."""
    parents, commands = {}, {}
    for folder in Path("/proc").iterdir():
        try:
            number = int(folder.name)
            parents[number] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            commands[number] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (ValueError, OSError):  # no process, or one that has just ended
            continue

    def is_ours(number: int) -> bool:
        while number in parents:
            if number == (of or os.getpid()):
                return True
            number = parents[number]
        return False

    return [number for number, command in commands.items() if name in command and is_ours(number)]


def wait_until(true: Callable[[], Any], seconds: float = 120) -> Any:
    """Return what `true` returns once it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.02)
    raise AssertionError("waited too long")


def checkpointed(run: Path, round_number: int, step: int) -> bool:
    """Return whether a run's checkpoint has got as far."""
    try:
        state = json.loads((run / "checkpoint/state.json").read_text())
    except (OSError, ValueError):
        return False
    return (state["round"], state["step"]) >= (round_number, step)


def assert_same_run(run: Path, other: Path) -> None:
    """Compare weights to rounding, and metrics and losses with them."""
    weights, others = load_file(run / "weights.safetensors"), load_file(other / "weights.safetensors")
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        torch.testing.assert_close(value, others[name], rtol=0, atol=1e-5, msg=name)
    documents = [json.loads((folder / "metrics.json").read_text()) for folder in (run, other)]
    assert documents[0]["metrics"] == documents[1]["metrics"]
    assert documents[0]["validation"]["metrics"] == documents[1]["validation"]["metrics"]
    assert (run / "config.toml").read_text() == (other / "config.toml").read_text()
    histories = [[json.loads(line) for line in (f / "log.jsonl").read_text().splitlines()] for f in (run, other)]
    assert len(histories[0]) == len(histories[1])
    for mine, its in zip(*histories, strict=True):
        assert (mine["round"], mine["epoch"], mine["step"]) == (its["round"], its["epoch"], its["step"])
        assert abs(mine["loss"] - its["loss"]) < 1e-5
