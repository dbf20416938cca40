"""Time and size of a run's report, and of that of a run with ten times the users.

    python benchmarks/report.py RUN [--repeats 3] [--copies 10]

The larger run is the same model with every user several times; a report is made in a process of its own, and timed with
all that Python loads.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.machine import machine
from mltfr.interactions import Examples, Split
from mltfr.interactions.histories import Histories
from mltfr.pipeline.artifact import load_artifact, open_run, save_artifact

SECONDS, BYTES, GROWTH = 20.0, 2_000_000, 0.05
"""The budget of a report of a run on Amazon Beauty, and how much larger ten times the users may make it."""


def main() -> int:
    """Measure and print; return 1 where a budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run folder written by mltfr fit")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--copies", type=int, default=10)
    given = parser.parse_args()
    for name, value in machine().items():
        print(f"{name}: {value}")
    with tempfile.TemporaryDirectory() as folder:
        larger = Path(folder) / "larger"
        users = with_copies(given.run, larger, given.copies)
        seconds, size = measured(given.run, Path(folder), given.repeats)
        of_larger, grown = measured(larger, Path(folder), given.repeats)
    growth = grown / size - 1
    print(f"{users:,} users: {seconds:.1f} s (median of {given.repeats}), {size:,} bytes")
    print(f"{given.copies * users:,} users: {of_larger:.1f} s, {grown:,} bytes ({growth:+.2%})")
    return int(seconds > SECONDS or size > BYTES or growth > GROWTH)


def measured(run: Path, folder: Path, repeats: int) -> tuple[float, int]:
    """Return the median seconds of a report, and its bytes."""
    out, seconds = folder / f"{run.name}.html", []
    for _ in range(repeats):
        start = time.perf_counter()
        command = [sys.executable, "-m", "mltfr", "report", str(run), "--out", str(out), "--overwrite"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)), out.stat().st_size


def with_copies(run: Path, out: Path, copies: int) -> int:
    """Write a run with every user several times; return how many users it had."""
    fitted = load_artifact(run)
    with open_run(out, resume=False):
        save_artifact(replace(fitted, split=copied(fitted.split, copies)), out)
    return len(fitted.split.user_ids)


def copied(split: Split, copies: int) -> Split:
    """Return a split with every user several times, under ids of their own."""
    users, lengths = len(split.user_ids), np.diff(split.histories.offsets)

    def examples(found: Examples) -> Examples:
        user = np.concatenate([found.user + copy * users for copy in range(copies)]).astype(found.user.dtype)
        return replace(found, user=user, cut=np.tile(found.cut, copies))

    offsets = np.concatenate([[0], np.cumsum(np.tile(lengths, copies))]).astype(split.histories.offsets.dtype)
    return replace(
        split,
        user_ids=[f"{copy}-{user}" for copy in range(copies) for user in split.user_ids],
        vocabulary=replace(split.vocabulary, counts=split.vocabulary.counts * copies),
        histories=Histories(offsets, np.tile(split.histories.items, copies)),
        train_length=np.tile(split.train_length, copies),
        validation=examples(split.validation),
        test=examples(split.test),
        training=None,
        others=None,
    )


if __name__ == "__main__":
    sys.exit(main())
