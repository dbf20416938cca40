"""What a preparation holds does not grow with the log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

PEAK = """
import sys, threading
from pathlib import Path
from mltfr.interactions import load_interactions, prepare

def own():
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) * 1024

done, most = threading.Event(), [own()]
def watch():
    while not done.wait(0.002):
        most.append(own())
thread = threading.Thread(target=watch, daemon=True)
thread.start()
prepare(sys.argv[1], sys.argv[2], memory=4 << 20) if len(sys.argv) > 2 else load_interactions(sys.argv[1])
done.set()
thread.join()
print(max(most) - most[0])
"""


def write_log(path: Path, rows: int) -> int:
    """Write a log with long ids and few users, so that only the rows take memory; return its size."""
    rng = np.random.default_rng(0)
    name = "a-rather-long-prefix-of-an-identifier-"
    users, items = (pl.Series([f"{name}{kind}{n}" for n in range(400)]) for kind in ("u", "i"))
    pl.DataFrame({
        "user_id": users.gather(rng.integers(0, 400, rows)),
        "item_id": items.gather(rng.integers(0, 400, rows)),
        "timestamp": rng.permutation(rows),
    }).write_csv(path)  # fmt: skip
    return path.stat().st_size


def peak(*arguments: Path) -> int:
    command = [sys.executable, "-c", PEAK, *map(str, arguments)]
    alone = {**os.environ, "POLARS_MAX_THREADS": "1"}  # how much several threads hold depends on who runs when
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, env=alone).stdout)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_does_not_grow_with_the_log(tmp_path):
    sizes = [write_log(tmp_path / name, rows) for name, rows in (("small", 200_000), ("large", 800_000))]
    more = sizes[1] - sizes[0]
    small = peak(tmp_path / "small", tmp_path / "small-set")
    assert more > 50e6
    large = [peak(tmp_path / "large", tmp_path / "large-set-0")]
    while min(large) - small >= more / 3 and len(large) < 3:  # what an allocator keeps between pieces varies
        large.append(peak(tmp_path / "large", tmp_path / f"large-set-{len(large)}"))
    assert min(large) - small < more / 3
    assert peak(tmp_path / "large") - min(large) > more  # reading the log whole does take it
