"""One fitted recommender, several protocols: how far a score moves when only the way of measuring changes.

    python benchmarks/protocols.py RUN ... [--negatives 100] [--out benchmarks/results/protocols.json]

Nothing is trained: every row ranks the same test targets by the same scores of the same run. Where items are drawn,
they are drawn by a fixed seed, alike for all runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from harness.machine import ROOT, machine
from mltfr import Recommender
from mltfr.interactions import Split

CHUNK = 1024
Values = npt.NDArray[np.float64]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--negatives", type=int, default=100)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "protocols.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for run in given.runs:
        recommender = Recommender.load(run)
        name = recommender.config.backbone.name
        found[name] = measured(recommender, given.negatives)
        print(name, found[name], file=sys.stderr)
    about = machine() | {"negatives": given.negatives}
    given.out.write_text(json.dumps({"about": about, "ndcg@10": found}, indent=1) + "\n", encoding="utf-8")


def measured(recommender: Recommender, negatives: int) -> dict[str, float]:
    """Return test NDCG@10 under every protocol."""
    split = recommender.fitted.split
    counts = np.asarray(split.vocabulary.counts, float)[1:]  # [I]; code 0 is padding
    drawn = {"uniform": np.ones(len(counts)), "popular": counts}
    sums: dict[str, list[Values]] = {}
    for scores, without_last, histories, target in batches(recommender, split):
        known = target > 0
        rows = np.arange(len(target))
        seen = np.zeros_like(scores, dtype=bool)
        for row, history in enumerate(histories):
            seen[row, history[history > 0] - 1] = True
        repeats = seen[rows, target - 1] & known
        open_ = np.where(seen, -np.inf, scores)
        own = scores[rows, np.maximum(target, 1) - 1]
        full = gain(open_, own) * known * ~repeats
        parts = {"full": full, "known": full[known], "seen": gain(scores, own) * known,
                 "best": gain(open_, own, ties=0.0) * known * ~repeats}  # fmt: skip
        older = np.where(seen, -np.inf, without_last)
        parts["older"] = gain(older, without_last[rows, np.maximum(target, 1) - 1]) * known * ~repeats
        for name, weights in drawn.items():
            parts[name] = sampled(open_, own, target, weights, negatives)[known & ~repeats]
        for name, values in parts.items():
            sums.setdefault(name, []).append(values)
    return {name: round(float(np.concatenate(values).mean()), 5) for name, values in sums.items()}


def batches(
    recommender: Recommender, split: Split
) -> Iterator[tuple[Values, Values, list[npt.NDArray[np.int32]], Values]]:
    """Yield scores `[B, I]`, those without the newest item of the history, the histories, and the targets `[B]`."""
    scorer, examples = recommender.fitted.scorer(), split.test
    for start in range(0, len(examples), CHUNK):
        part = slice(start, start + CHUNK)
        pairs = list(zip(examples.user[part], examples.cut[part], strict=True))
        histories = [np.asarray(split.histories[user][:cut]) for user, cut in pairs]
        target = np.array([split.histories[user][cut] for user, cut in pairs])
        with torch.inference_mode():
            both = [scorer.scores(scorer.queries(each), 1, scorer.items + 1).double().numpy()
                    for each in (histories, [history[:-1] for history in histories])]  # fmt: skip
        yield both[0], both[1], histories, target


def gain(scores: Values, own: Values, ties: float = 0.5) -> Values:
    """Return NDCG@10 of every row `[B]`; of items with the target's score, the share `ties` stands above it."""
    above = (scores > own[:, None]).sum(1) + ties * np.maximum((scores == own[:, None]).sum(1) - 1, 0)
    return np.where(above < 10, 1 / np.log2(above + 2), 0.0)


def sampled(scores: Values, own: Values, target: Values, weights: Values, number: int) -> Values:
    """Return NDCG@10 of every row `[B]` among its target and drawn items that are not in the history."""
    draw = np.random.default_rng(0)
    result = np.zeros(len(own))
    for row in range(len(own)):
        order = draw.choice(weights.size, min(4 * number, weights.size), replace=False, p=weights / weights.sum())
        usable = order[np.isfinite(scores[row, order]) & (order != target[row] - 1)][:number]
        above = (scores[row, usable] > own[row]).sum() + 0.5 * (scores[row, usable] == own[row]).sum()
        result[row] = 1 / np.log2(above + 2) if above < 10 else 0.0
    return result


if __name__ == "__main__":
    main()
