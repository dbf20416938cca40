"""From the start of the process to the first training step of `mltfr fit`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.data import log_file
from harness.result import Budget, Result
from harness.settings import Settings
from harness.tables import NAMES, get_tables, stored

# What the command does, with a callback that ends it at the first step.
CHILD = """
import sys, time
from mltfr.cli.main import app
from mltfr.pipeline import resolve
from mltfr.interactions import load_interactions
from mltfr.recommender import Recommender
from mltfr.training import Console

class Done(Exception): pass

class Watch(Console):
    def on_batch_end(self, epoch, batch):
        print(time.process_time(), flush=True)
        raise Done

file, out, fusion, tokens = sys.argv[1:]
settings = resolve(fusion=fusion, tokens=tokens.split(",") if tokens else [])
try:
    Recommender(config=settings).fit(load_interactions(file), out, callback=Watch())
except Done:
    pass
"""


def start_bare(settings: Settings) -> list[Result]:
    """Without a fusion."""
    return _start(settings, "none", (), "bare SASRec")


def start_mltfr(settings: Settings) -> list[Result]:
    """With three tables that are prepared already, the refresh of their shortlists included."""
    if stored(3):
        get_tables(settings, 3)  # prepares them
        return _start(settings, "mltfr", NAMES[:3], "mltfr, 3 prepared tables")
    return _start(settings, "mltfr", ("synthetic", "synthetic-2"), "mltfr, 2 small made-up tables")


def _start(settings: Settings, fusion: str, tokens: tuple[str, ...], label: str) -> list[Result]:
    cpu, wall = [], []
    with tempfile.TemporaryDirectory() as folder:
        file = log_file(settings, Path(folder))
        for number in range(settings.repeats + 1):
            out = Path(folder) / f"run{number}"
            command = [sys.executable, "-c", CHILD, str(file), str(out), fusion, ",".join(tokens)]
            begun = time.perf_counter()
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
            ) as child:
                answer = child.stdout.readline() if child.stdout else ""
                stopped = time.perf_counter()
                _, errors = child.communicate()
            if not answer:
                raise RuntimeError(f"no first step: {errors}")
            if number:  # the first run fills the disk cache
                cpu.append(float(answer))
                wall.append(stopped - begun)
    what = f"process start to first training step: {label}"
    note = f"CPU {sorted(cpu)[len(cpu) // 2]:.2f} s; floor: the import of torch"
    least = settings.rates["import_seconds"] if settings.rates else None
    return [Result(what, "s", wall, "wall", budget=Budget(6, 4), note=note, floor=least)]
