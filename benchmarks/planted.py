"""Does the filter find what is planted? Fit every kind of recommender to planted signals of several seeds.

    python benchmarks/planted.py [--seeds 0 1 ... 9] [--kinds mltfr random ...] [--out benchmarks/results/planted.json]

A seed decides everything: the log, the table, the initial values and the training. Epochs are chosen on
validation, test is scored once. What stands in the JSON file already is not fitted again: remove it to begin anew.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import torch

from harness.machine import ROOT, machine
from mltfr.testing.planted import planted_signal
from mltfr.testing.planted_trial import Kind, planted_trial


def main() -> None:
    """Fit, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(10)))
    parser.add_argument("--kinds", nargs="+", choices=get_args(Kind), default=list(get_args(Kind)))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "planted.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads(given.out.read_text("utf-8")) if given.out.exists() else {"about": machine(), "trials": []}
    trials: list[dict[str, Any]] = known["trials"]
    there = {(trial["seed"], trial["kind"]) for trial in trials}
    for kind in given.kinds:
        for seed in given.seeds:
            if (seed, kind) in there:
                continue
            signal = planted_signal(seed=seed)
            begun = time.process_time()
            found = asdict(planted_trial(signal, kind, seed)) | {"best_ndcg": signal.best_ndcg}
            trials.append({"seed": seed, "kind": kind, **found, "cpu_seconds": round(time.process_time() - begun, 1)})
            print(trials[-1], file=sys.stderr)
            given.out.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    if {trial["kind"] for trial in trials} < set(get_args(Kind)):
        return
    text = "\n".join(_lines(trials))
    print(text)
    about = "\n".join(f"- {name}: {value}" for name, value in known["about"].items())
    given.out.with_suffix(".md").write_text(f"# Planted signal\n\n{about}\n\n{text}\n", encoding="utf-8")


def _lines(trials: list[dict[str, Any]]) -> list[str]:
    """Return the table: one row for each seed, and the means."""
    kinds = get_args(Kind)
    seeds = sorted({trial["seed"] for trial in trials})
    of = {(trial["seed"], trial["kind"]): trial for trial in trials}
    head = [f"NDCG@10 {kind}" for kind in kinds] + ["best possible"]
    head += [f"hit rate {kind}" for kind in kinds if kind != "bare"] + ["chance"]
    lines = ["| seed | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|"]
    rows = []
    for seed in seeds:
        row = [of[seed, kind]["ndcg"] for kind in kinds] + [of[seed, "mltfr"]["best_ndcg"]]
        row += [of[seed, kind]["hit_rate"] for kind in kinds if kind != "bare"] + [of[seed, "mltfr"]["chance"]]
        rows.append(row)
        lines.append(f"| {seed} | " + " | ".join(f"{value:.3f}" for value in row) + " |")
    means = [statistics.mean(column) for column in zip(*rows, strict=True)]
    return [*lines, "| mean | " + " | ".join(f"{value:.3f}" for value in means) + " |"]


if __name__ == "__main__":
    main()
