"""How long it takes to explain ten items of a history of 50: `python benchmarks/explain.py RUN ... [--out FILE]`.

    python benchmarks/explain.py RUN ... [--history 50] [--items 10] [--repeats 20] [--cores 2]
                                 [--out benchmarks/results/explain.json]

Beside each run's time stands that of recommending to the same history, and their ratio, and a fresh mltfr on three
tables in place of the run's fusion: time does not depend on its weights. Times are medians over made-up histories, of
the clock on the wall and of the processor: where something else runs (`load before`), the latter says what it takes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
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
    loaded = {Path(run).name: Recommender.load(run) for run in given.runs}
    runs = {name: each for title, run in loaded.items() for name, each in both(title, run)}
    rows = [measure(name, run, given.history, given.items, given.repeats) for name, run in runs.items()]
    print(f"{'run':46} {'explain':>10} {'processor':>10} {'recommend':>10} {'ratio':>7}")
    for row in rows:
        spent = [f"{row[f'{what} ms']:7.1f} ms" for what in ("explain", "explain processor", "recommend")]
        print(f"{row['run']:46} {' '.join(spent)} {row['ratio']:7.0f}")
    if given.out is not None:
        given.out.write_text(json.dumps({"about": about, "rows": rows}, indent=2) + "\n")
    return int(any(row["explain ms"] > ALLOWED for row in rows))


def measure(name: str, run: Any, length: int, items: int, repeats: int) -> dict[str, Any]:
    """Return the milliseconds of explaining items of histories of one length, and of recommending to them."""
    ids = run.fitted.split.vocabulary.item_ids
    random = np.random.default_rng(0)
    times: dict[str, list[float]] = {}
    for number in range(repeats + 1):
        history = [ids[row] for row in random.choice(len(ids), length, replace=False)]
        for what, ask in (("explain", run.explain), ("recommend", run.recommend)):
            begun, used = time.perf_counter(), time.process_time()
            found = ask(histories=[history], k=items)
            if number:  # the first one prepares what all others use
                times.setdefault(what, []).append(1000 * (time.perf_counter() - begun))
                times.setdefault(f"{what} processor", []).append(1000 * (time.process_time() - used))
            if len(found) != items:
                raise RuntimeError(f"{name}: {len(found)} of {items} items")
    spent = {f"{what} ms": round(median(each), 2) for what, each in times.items()}
    ratio = round(spent["explain processor ms"] / spent["recommend processor ms"], 1)
    return {"run": name, "items": len(ids), "history": length, "explained": items, **spent, "ratio": ratio}


def both(title: str, run: Any) -> list[tuple[str, Any]]:
    """Return a run, and its model with a fresh fusion in place of its own."""
    from mltfr import Recommender
    from mltfr.inference import Retriever
    from mltfr.pipeline import resolve
    from mltfr.pipeline.build import build_model
    from mltfr.tokens import describe, load_tables

    settings = {key: getattr(run.config.backbone, key) for key in ("hidden", "max_length")}
    config = resolve(backbone=run.config.backbone.name, fusion="mltfr", overrides={"backbone": settings})
    tables = load_tables(config.tokens)
    model = build_model(config, len(run.fitted.split.vocabulary), tables).eval()
    fitted = replace(run.fitted, config=config, model=model, facts={**run.fitted.facts, "tables": describe(tables)})
    fresh = Recommender(config=config)
    fresh._fitted = fitted, Retriever(fitted.scorer)
    return [(title, run), (f"{title} with a fresh mltfr", fresh)]


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
