"""How long it takes to explain ten items of a history of 50: `python benchmarks/explain.py RUN ... [--out FILE]`.

    python benchmarks/explain.py RUN ... [--history 50] [--items 10] [--repeats 20] [--cores 2]
                                 [--out benchmarks/results/explain.json]

Beside each run's time stands that of recommending to the same history, and their ratio. Times are medians over made-up
histories; `load before` shows whether something else ran.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ALLOWED = 200.0
"""Milliseconds that are asked for, of ten items and a history of 50."""


def main() -> int:
    """Measure, print and write; return 1 if one takes longer than is asked for."""
    given = _arguments()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.cores])
    import torch

    from harness.machine import load_average, machine
    from mltfr import Recommender

    torch.set_num_threads(given.cores)
    about = machine() | {"cores used": given.cores, "repeats": given.repeats, "load before": load_average()}
    runs = {Path(run).name: Recommender.load(run) for run in given.runs}
    rows = [measure(name, run, given.history, given.items, given.repeats) for name, run in runs.items()]
    print(f"{'run':40} {'explain':>10} {'recommend':>10} {'ratio':>7}")
    for row in rows:
        print(f"{row['run']:40} {row['explain ms']:7.1f} ms {row['recommend ms']:7.2f} ms {row['ratio']:7.0f}")
    if given.out is not None:
        given.out.write_text(json.dumps({"about": about, "rows": rows}, indent=2) + "\n")
    return int(any(row["explain ms"] > ALLOWED for row in rows))


def measure(name: str, run: Any, length: int, items: int, repeats: int) -> dict[str, Any]:
    """Return the milliseconds of explaining items of histories of one length, and of recommending to them."""
    ids = run.fitted.split.vocabulary.item_ids
    random = np.random.default_rng(0)
    times: dict[str, list[float]] = {"explain": [], "recommend": []}
    for number in range(repeats + 1):
        history = [ids[row] for row in random.choice(len(ids), length, replace=False)]
        for what, ask in (("explain", run.explain), ("recommend", run.recommend)):
            begun = time.perf_counter()
            found = ask(histories=[history], k=items)
            if number:  # the first one prepares what all others use
                times[what].append(1000 * (time.perf_counter() - begun))
            if len(found) != items:
                raise RuntimeError(f"{name}: {len(found)} of {items} items")
    spent = {f"{what} ms": round(median(each), 2) for what, each in times.items()}
    ratio = round(spent["explain ms"] / spent["recommend ms"], 1)
    return {"run": name, "items": len(ids), "history": length, "explained": items, **spent, "ratio": ratio}


def _arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--history", type=int, default=50)
    parser.add_argument("--items", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--out", type=Path)
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
