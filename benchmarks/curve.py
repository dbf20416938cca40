"""Plot the training curve of one or more runs: `python benchmarks/curve.py RUN ... --out FILE.png`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def main() -> None:
    """Draw loss and the validation metric that chose the epoch, one line a run and round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, or folders that hold a log.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    arguments = parser.parse_args()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import MaxNLocator

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for run in arguments.runs:
        records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        rounds = sorted({record["round"] for record in records})
        for number in rounds:
            mine = [record for record in records if record["round"] == number]
            label = run.name if len(rounds) == 1 else f"{run.name}, round {number}"
            left.plot([r["epoch"] for r in mine], [r["loss"] for r in mine], marker=".", label=label)
            scored = [r for r in mine if "validation" in r]
            metric = next(iter(scored[0]["validation"]))  # the one that chooses comes first
            scores = [r["validation"][metric] for r in scored]
            right.plot([r["epoch"] for r in scored], scores, marker=".", label=f"{label}, {metric.upper()}")
            best = max(range(len(scores)), key=scores.__getitem__)
            right.annotate(f"{scores[best]:.4f}", (scored[best]["epoch"], scores[best]), ha="right", va="bottom")
    left.set(xlabel="epoch", ylabel="training loss")
    right.set(xlabel="epoch", ylabel="validation score")
    right.margins(y=0.12)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.legend(loc="lower right")
    figure.savefig(arguments.out, dpi=120)


if __name__ == "__main__":
    main()
