"""Runs against those that an earlier implementation fitted from the same log, settings and seed.

`runs/` holds the log and two runs, the bare backbone and mltfr over both rounds. The latter was fitted without the
fusion's noise and dropout, whose random numbers are drawn in another order now; the backbone's dropout is that of both.
What the filter has learned to do since is switched off.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mltfr.pipeline.upgrade import FILTER_BEFORE
from mltfr.training import merge
from support.command_line import SMALL, run

RUNS = Path(__file__).parent / "runs"
FILTER_SETTINGS = [f"fusion.filter.{name}={json.dumps(value)}" for name, value in FILTER_BEFORE.items()]
ARGUMENTS = {
    "bare": ("--fusion", "none", *SMALL[:4], "--set", "training.batch_size=32"),
    "mltfr": (
        *("--tokens", "alpha,beta", *SMALL),
        *("--set", "fusion.filter.noise=0", "--set", "fusion.dropout=0"),
        *(text for setting in FILTER_SETTINGS for text in ("--set", setting)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_same_log_and_seed_give_the_same_recommender(
    name: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "FEWEST", 2048)  # all examples, as then
    run("fit", RUNS / "log.csv", "--out", tmp_path / "run", *ARGUMENTS[name], "--set", "training.epochs=3", home=store)
    before, after = (load_file(folder / "weights.safetensors") for folder in (RUNS / name, tmp_path / "run"))
    before["item_embedding.weight"] = before.pop("item_vectors.weight")
    assert after.keys() == before.keys()
    for key, weights in before.items():  # equal to the bit on one processor; rounding differs between processors
        np.testing.assert_allclose(after[key].astype(float), weights.astype(float), atol=1e-3, err_msg=key)
    documents = [json.loads((folder / "metrics.json").read_text()) for folder in (RUNS / name, tmp_path / "run")]
    assert documents[1]["protocol_hash"] == documents[0]["protocol_hash"]
    for split in ("metrics", "validation"):
        values = [document[split]["metrics"] if split == "validation" else document[split] for document in documents]
        assert values[1] == pytest.approx(values[0], abs=0.02), split


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_run_of_the_earlier_implementation_opens_and_scores_the_same(name: str) -> None:
    document = json.loads(run("evaluate", RUNS / name, "--json").stdout)
    expected = json.loads((RUNS / name / "metrics.json").read_text())
    assert document["metrics"] == pytest.approx(expected["metrics"], abs=1e-6)
    assert document["protocol_hash"] == expected["protocol_hash"]
