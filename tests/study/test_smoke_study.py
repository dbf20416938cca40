"""studies/smoke.toml through the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import pytest

from mltfr.cli.main import main
from mltfr.study import load_study, make_plan, run_study
from support.small_study import LaunchedHere

SMOKE = Path(__file__).parents[2] / "studies" / "smoke.toml"


@pytest.mark.slow
def test_the_smoke_study_runs(tmp_path, monkeypatch, capsys):
    out = tmp_path / "smoke"
    monkeypatch.setitem(run_study.__kwdefaults__, "launch", LaunchedHere())
    monkeypatch.setattr(sys, "argv", ["mltfr", "study", str(SMOKE), "--out", str(out), "--jobs", "1"])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert not ended.value.code, printed.err
    assert f"Study written to {out}." in printed.out
    assert printed.out.startswith("# Smoke test\n")
    assert {path.suffix for path in (out / "tables").iterdir()} == {".md", ".tex"}
    plan = make_plan(load_study(SMOKE))
    results = pl.read_parquet(out / "results.parquet")
    assert results["cell"].unique(maintain_order=True).to_list() == [cell.name for cell in plan]
    assert results.columns == [
        "cell", "data", "data_fingerprint", "protocol", "backbone", "fusion", "tables", "window", "test_from",
        "test_until", "seed", "parameters", "best_epoch", "epochs", "seconds", "part", "metric", "value",
    ]  # fmt: skip
    assert results["protocol"].n_unique() == 1
    parameters = results.filter(pl.col("fusion").is_in(["mltfr", "random"])).group_by("backbone").n_unique()
    assert parameters["parameters"].to_list() == [1, 1]  # the control has as many as the fusion
    users = pl.read_parquet(out / "users.parquet")
    assert users.columns == [
        "cell", "data", "protocol", "backbone", "fusion", "tables", "window", "seed", "user_id",
        "history_length", "target_popularity", "hr@10", "ndcg@10", "mrr@10",
    ]  # fmt: skip
    assert users.group_by("cell").len()["len"].unique().to_list() == [300]
    assert printed.err.count("synthetic / ") == len(plan)
