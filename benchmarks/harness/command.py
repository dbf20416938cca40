"""A fit as a user runs it: a command, what it took, how many epochs, and its validation score."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

POLL = 0.05
STOPPED = 130
ROUNDS = re.compile(r"round 1 of (\d+)")


class FailedError(Exception):
    """The command ended with an error; the message is its last line."""


@dataclass(frozen=True)
class Fitted:
    """A fit that has ended, or was stopped after some epochs and is reckoned to its end.

    Attributes:
        seconds: the whole command; of one that was stopped, with its maximum numbers of epochs.
        epoch_seconds: of an epoch with its validation, the median.
        epochs: of every round; of one that was stopped, its maximum numbers.
        measured: epochs that were run.
        whole: whether it ran to its end.
        metric: what chooses the epoch.
        score: best one on validation in the last round that was run.
    """

    seconds: float
    epoch_seconds: float
    epochs: tuple[int, ...]
    measured: int
    whole: bool
    metric: str
    score: float

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return asdict(self)


def fit_command(log: Path, out: Path, options: Sequence[str]) -> list[str]:
    """Return the command that fits a recommender and no baseline."""
    return [sys.executable, "-m", "mltfr", "fit", str(log), "--out", str(out), "--no-baselines", *options]


def fit(log: Path, out: Path, options: Sequence[str], epochs: int | None = None) -> Fitted:
    """Fit, to the end or until `epochs` have passed.

    Raises:
        FailedError: the command failed.
    """
    begun, few = time.perf_counter(), False
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(fit_command(log, out, options), stdout=subprocess.DEVNULL, stderr=errors)
        while process.poll() is None:
            time.sleep(POLL)
            if not few and epochs is not None and len(_records(out)) >= epochs:
                few = True
                process.send_signal(signal.SIGINT)
        seconds = time.perf_counter() - begun
        errors.seek(0)
        said = errors.read()
    if process.returncode not in ((0, STOPPED) if few else (0,)):
        raise FailedError((said.strip().splitlines() or [f"exit code {process.returncode}"])[-1])
    records, whole = _records(out), process.returncode == 0
    took = [record["seconds"] for record in records]
    rounds = [record["round"] for record in records]
    lengths = tuple(rounds.count(number) for number in sorted(set(rounds)))
    if not whole:
        lengths = _most_epochs(out, said)
        seconds += median(took) * sum(lengths) - sum(took)
    scores = [record["validation"] for record in records if record["round"] == rounds[-1] and "validation" in record]
    metric = next(iter(scores[0]))  # the one that chooses comes first
    best = max(score[metric] for score in scores)
    return Fitted(seconds, median(took), lengths, len(records), whole, metric, best)


def together(commands: Sequence[Sequence[str]], variables: Mapping[str, str]) -> None:
    """Run commands at the same time, with further variables, and wait for the last one.

    Raises:
        FailedError: one of them failed.
    """
    environment = {**os.environ, **variables}
    with tempfile.TemporaryFile("w+") as errors:
        processes = [
            subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors) for command in commands
        ]
        codes = [process.wait() for process in processes]
        if any(codes):
            errors.seek(0)
            raise FailedError(errors.read().strip().splitlines()[-1])


def _records(out: Path) -> list[dict[str, Any]]:
    """Return what a run's log says of its epochs so far."""
    log = out / "log.jsonl"
    if not log.is_file():
        return []
    return [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]


def _most_epochs(out: Path, said: str) -> tuple[int, ...]:
    """Return the maximum number of epochs of every round of a run that was stopped."""
    training = tomllib.loads((out / "config.toml").read_text())["training"]
    found = ROUNDS.search(said)
    first = min(training["first_round_epochs"], training["epochs"])
    return (*[first] * (int(found[1]) - 1 if found else 0), training["epochs"])
