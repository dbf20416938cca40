"""A study that takes seconds, for tests."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import tomllib
import traceback
from pathlib import Path
from threading import Event
from typing import Any

import tomli_w

from mltfr.pipeline.artifact import CHECKPOINT
from mltfr.storage.child import Ended
from mltfr.storage.lock import locked
from mltfr.study.job import CRASHED, DONE, LOCK_TIMEOUT, train
from mltfr.study.spec import read_spec

TEXT = """
title = "Small"
seeds = [0]
[data.made-up]
name = "synthetic"
synthetic = {users = 120, items = 40, topics = 4}
[settings]
training = {samples = "positions", epochs = 2, first_round_epochs = 1, batch_size = 32, advanced.fisher_examples = 16}
backbone = {hidden = 8, blocks = 1, max_length = 10}
tokens.width = 8
[backbones.sasrec]
[fusions.none]
[fusions.mltfr]
fusion.filter = {shortlist = 16, keep = 2}
[tables.one]
tables = ["synthetic-2"]
"""


def small(**changes: Any) -> dict[str, Any]:
    """Return the small study with some keys changed; "a__b" is the key b in the table a, None removes a key."""
    values: dict[str, Any] = tomllib.loads(TEXT)
    for key, value in changes.items():
        *path, last = key.split("__")
        table = values
        for part in path:
            table = table.setdefault(part, {})
        if value is None:
            table.pop(last, None)
        else:
            table[last] = copy.deepcopy(value)
    return values


def write(folder: Path, **changes: Any) -> Path:
    """Write the small study into a folder and return its path."""
    path = folder / "study.toml"
    path.write_text(tomli_w.dumps(small(**changes)))
    return path


class LaunchedHere:
    """Trains the runs of a study in this process, one at a time, and may stop the study after some."""

    def __init__(self, stop: Event | None = None, after: int = 100) -> None:
        self.stop, self.after, self.runs = stop, after, 0

    def __call__(self, run: Path, threads: int, stop: Event, kill: Event) -> Ended:
        run.mkdir(exist_ok=True)
        try:
            with locked(run, LOCK_TIMEOUT, within=[CHECKPOINT]):  # as `attempt`: a killed one may not be gone yet
                train(run, read_spec(run), stop)
        except Exception:
            return Ended(CRASHED, traceback.format_exc())
        self.runs += 1
        if self.runs == self.after and self.stop is not None:
            self.stop.set()
        return Ended(DONE, "")


def start(file: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    """Start `mltfr study` in a process of its own."""
    command = [sys.executable, "-c", "from mltfr.cli.main import main; main()", "study", str(file), "--out", str(out)]
    environment = {**os.environ, "MLTFR_OFFLINE": "1"}
    return subprocess.Popen(
        [*command, *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
