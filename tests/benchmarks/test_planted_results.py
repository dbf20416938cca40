"""The planted signal is found with nearly every seed, and no control finds it: the committed results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "planted.json"
SEEDS = 10


def test_the_planted_signal_is_found_with_nine_seeds_of_ten() -> None:
    trials: list[dict[str, Any]] = json.loads(RESULTS.read_text("utf-8"))["trials"]
    of = {(trial["seed"], trial["kind"]): trial for trial in trials}
    assert len(of) == SEEDS * 4
    found = 0
    for seed in range(SEEDS):
        ours, others = of[seed, "mltfr"], [of[seed, kind] for kind in ("bare", "random", "shuffled")]
        ahead = all(ours["ndcg"] > 1.25 * other["ndcg"] for other in others)
        found += ahead and ours["hit_rate"] > 20 * ours["chance"]
        assert all(other["hit_rate"] < 6 * ours["chance"] for other in others)
    assert found >= 9
