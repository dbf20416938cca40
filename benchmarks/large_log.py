"""How long a large log takes to read, check and split, in memory and as a prepared set, and what memory.

    python benchmarks/large_log.py make --rows 20000000 --folder big
    python benchmarks/large_log.py read big/log.csv         # 20 million clean rows: at most 20 s on two cores
    python benchmarks/large_log.py whole big/log.csv
    python benchmarks/large_log.py prepare big/log.csv --memory 1G
    python benchmarks/large_log.py fit big/set          # one epoch of a small SASRec on the prepared set

Each line says seconds on the clock and of the CPU, the peak of what the process held for itself (anonymous memory:
files that are mapped can be dropped at any time), and the peak of all of its memory.
"""

from __future__ import annotations

import argparse
import shutil
import threading
import time
from pathlib import Path

import numpy as np

from mltfr.storage.progress import Progress


def anonymous() -> int:
    """Return the bytes that this process holds for itself."""
    text = Path("/proc/self/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0]) * 1024


class Peak:
    """The most anonymous memory while a block runs, above what there was before."""

    def __enter__(self) -> Peak:
        self.before = self.most = anonymous()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.started, self.cpu = time.perf_counter(), time.process_time()
        self.thread.start()
        return self

    def watch(self) -> None:
        while not self.done.wait(0.005):
            self.most = max(self.most, anonymous())

    def __exit__(self, *error: object) -> None:
        self.seconds, self.cpu = time.perf_counter() - self.started, time.process_time() - self.cpu
        self.done.set()
        self.thread.join()
        self.bytes = self.most - self.before

    def tell(self, what: str, size: int) -> None:
        text = Path("/proc/self/status").read_text()
        peak = int(text.split("VmHWM:")[1].split()[0]) / 1024
        print(f"{what}: {self.seconds:.1f} s ({self.cpu:.1f} CPU s), {self.bytes / 2**20:,.0f} MiB of its own, "
              f"{peak:,.0f} MiB in all; input {size / 2**20:,.0f} MiB", flush=True)


def make(folder: Path, rows: int, seed: int = 0) -> None:
    """Write a made-up log as CSV and Parquet: rows in the order of time, a user for every 20, popular items."""
    import polars as pl

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    users, items = max(2, rows // 20), max(2, rows // 200)
    item = (items * rng.random(rows) ** 3).astype(np.int32)
    frame = pl.DataFrame({
        "user_id": pl.Series(rng.integers(0, users, rows, dtype=np.int32)),
        "item_id": pl.Series(item),
        "timestamp": 1_500_000_000 + np.sort(rng.integers(0, 200_000_000, rows)),
    }).with_columns(pl.format("u{}", "user_id").alias("user_id"), pl.format("i{}", "item_id").alias("item_id"))
    frame = frame.unique(maintain_order=True)
    frame.write_csv(folder / "log.csv")
    frame.write_parquet(folder / "log.parquet")


class Stages(Progress):
    """Notes when each stage of a preparation begins."""

    def __init__(self) -> None:
        self.begun: dict[str, float] = {}

    def start(self, task: str, total: int | None = None, done: int = 0) -> None:
        self.begun[task] = time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "read", "whole", "prepare", "fit"])
    parser.add_argument("path", type=Path, nargs="?")
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--folder", type=Path, default=Path("big"))
    parser.add_argument("--memory", default="1G")
    given = parser.parse_args()
    if given.what == "make":
        make(given.folder, given.rows)
        return
    from mltfr.interactions import load_interactions, prepare, split
    from mltfr.interactions.prepare import memory_bytes

    def size(path: Path) -> int:
        return sum(p.stat().st_size for p in path.rglob("*")) if path.is_dir() else path.stat().st_size

    if given.what == "read":
        with Peak() as peak:
            rows = len(load_interactions(given.path))
        peak.tell(f"{given.path}: {rows:,} rows read and checked", size(given.path))
    elif given.what == "whole":
        with Peak() as peak:
            log = load_interactions(given.path)
            read = time.perf_counter() - peak.started
            split(log)
        peak.tell(f"{given.path}: read and checked in {read:.1f} s, with split", size(given.path))
    elif given.what == "prepare":
        out = given.path.parent / "set"
        shutil.rmtree(out, ignore_errors=True)
        stages = Stages()
        with Peak() as peak:
            prepare(given.path, out, memory=memory_bytes(given.memory), progress=stages)
        print(", ".join(f"{stage} from {begun - peak.started:.1f}" for stage, begun in stages.begun.items()))
        peak.tell(f"{given.path}: prepared within {given.memory}", size(given.path))
    else:
        from mltfr import Recommender
        from mltfr.training import Callback

        settings = ["backbone.hidden=16", "backbone.max_length=20", "training.samples=positions",
                    "training.validation_examples=1000", "loss.name=bce", "training.batch_size=4096"]
        recommender = Recommender(backbone="sasrec", fusion="none", tokens=[], epochs=1, settings=settings)
        prepared = load_interactions(given.path)
        with Peak() as peak:
            recommender.fit(prepared, given.path.parent / "run", callback=Callback())
        peak.tell(f"{given.path}: fitted", size(given.path))


if __name__ == "__main__":
    main()
