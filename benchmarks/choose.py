"""Compare settings of the fusion on validation data: one fit for every variant, log and seed.

    python benchmarks/choose.py LOG ... [--seeds 0 1] [--variants base keep=4 ...] [--tokens a,b,c] --out FILE.jsonl

Every variant changes the base by the settings in its name, joined by `+`; `bare` is the backbone alone. Test is not
looked at. Finished fits stand in the file and are not repeated, so that a run can be stopped and continued.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from mltfr import Recommender, load_interactions
from mltfr.training import Reporter

COMMON = ["training.samples=positions", "training.batch_size=64", "backbone.dropout=0.3"]
"""The same for all variants: those of the demo, so that a fit takes a minute or two."""
VARIANTS = {
    "bare": [],
    "base": [],
    "keep=4": ["fusion.filter.keep=4"],
    "keep=16": ["fusion.filter.keep=16"],
    "shortlist=256": ["fusion.filter.shortlist=256"],
    "shortlist=1024": ["fusion.filter.shortlist=1024"],
    "width=64": ["tokens.width=64"],
    "width=256": ["tokens.width=256"],
    "query=exponential": ["fusion.filter.query=exponential"],
    "noise=0": ["fusion.filter.noise=0"],
    "consensus=0": ["fusion.consensus_weight=0"],
    "consensus=0.03": ["fusion.consensus_weight=0.03"],
    "consensus=0.3": ["fusion.consensus_weight=0.3"],
    "second_round=warm": ["training.second_round=warm"],
    "align=none": ["tokens.align=none"],
}


def main() -> None:
    """Fit what is missing, and print the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="+", type=Path, help="interaction logs")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--tokens", default="smollm2-135m,wordllama,minilm-l6")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--out", type=Path, required=True, help="JSON Lines file that keeps every fit")
    given = parser.parse_args()
    done = {(r["log"], r["seed"], r["variant"]): r for r in _read(given.out)}
    for seed in given.seeds:
        for path in given.logs:
            log = load_interactions(path)
            for variant in given.variants:
                if (path.name, seed, variant) in done:
                    continue
                begun = time.process_time()
                score = _fit(log, variant, seed, given)
                record = {
                    "log": path.name, "seed": seed, "variant": variant, **score,
                    "cpu_seconds": round(time.process_time() - begun, 1),
                }  # fmt: skip
                done[path.name, seed, variant] = record
                with given.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(record) + "\n")
                print(record, flush=True)
    _print(list(done.values()))


def _fit(log: object, variant: str, seed: int, given: argparse.Namespace) -> dict[str, float]:
    """Return the validation scores of the chosen epoch."""
    bare = variant == "bare"
    recommender = Recommender(
        fusion="none" if bare else "mltfr",
        tokens=None if bare else given.tokens,
        seed=seed,
        epochs=given.epochs,
        settings=[*COMMON, *VARIANTS[variant]],
    )
    recommender.fit(log, reporter=Reporter())
    metrics = recommender.metrics["validation"]["metrics"]
    return {"ndcg@10": metrics["ndcg@10"], "hr@10": metrics["hr@10"]}


def _read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _print(records: list[dict[str, object]]) -> None:
    """Print every variant's mean over the seeds, log by log, and its mean difference from the base."""
    logs = sorted({str(record["log"]) for record in records})
    print(f"\n| variant | {' | '.join(logs)} | mean difference from base, of the same seed | CPU s |")
    print("|---|" + "---|" * (len(logs) + 2))
    base = {(r["log"], r["seed"]): float(str(r["ndcg@10"])) for r in records if r["variant"] == "base"}
    for variant in VARIANTS:
        mine = [record for record in records if record["variant"] == variant]
        if not mine:
            continue
        cells = []
        for log in logs:
            scores = [float(str(r["ndcg@10"])) for r in mine if r["log"] == log]
            cells.append(f"{statistics.mean(scores):.4f}" if scores else "")
        apart = [float(str(r["ndcg@10"])) - base[r["log"], r["seed"]] for r in mine if (r["log"], r["seed"]) in base]
        seconds = statistics.mean(float(str(r["cpu_seconds"])) for r in mine)
        difference = f"{statistics.mean(apart):+.4f}" if apart else ""
        print(f"| {variant} | {' | '.join(cells)} | {difference} | {seconds:.0f} |")


if __name__ == "__main__":
    main()
