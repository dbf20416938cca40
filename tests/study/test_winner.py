"""What a study says of its best cell."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from mltfr.study.config import StudyConfig
from mltfr.study.winner import find_winners
from support.small_study import small

SCORES = [  # cell, backbone, fusion, value on validation, value on test
    ("a-0", "sasrec", "none", 0.20, 0.9), ("a-1", "sasrec", "none", 0.10, 0.9),
    ("b-0", "sasrec", "mltfr", 0.19, 0.1), ("b-1", "sasrec", "mltfr", 0.21, 0.1),
    ("p", "popularity", "", 0.15, 0.5),
]  # fmt: skip


def study(**changes: object) -> StudyConfig:
    return StudyConfig.parse(small(tables=None, **changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        {"cell": cell, "data": "mine", "backbone": backbone, "fusion": fusion, "tables": "", "window": "",
         "seed": int(cell[2:] or 0), "part": part, "metric": metric, "value": value}
        for cell, backbone, fusion, *values in SCORES
        for part, value in zip(("validation", "test"), values, strict=True)
        for metric in ("ndcg@10", "hr@10")
    ]  # fmt: skip
    pl.DataFrame(rows).write_parquet(tmp_path / "results.parquet")
    return tmp_path


def test_the_best_on_validation_is_named_with_the_command_that_makes_its_run(folder: Path) -> None:
    data = {"mine": {"file": ["my log.csv", "more.csv"], "item_column": "sku"}}
    (winner,) = find_winners(study(data=data), folder)
    assert winner.value == pytest.approx(0.2)
    command = f"mltfr fit 'my log.csv' more.csv --config {folder}/cells/b-1/config.toml --out runs/winner"
    assert winner.command == command  # how the files are read stands in config.toml
    assert str(winner).startswith("mine: best on validation is sasrec / mltfr (ndcg@10 0.2000, mean of 2 seeds). ")


def test_no_command_makes_a_row_that_is_made_of_others(folder: Path) -> None:
    data = {"mine": {"file": "log.csv"}}
    fusions = {"none": {}, "mltfr": {"fusion": {"name": "none"}, "distillation": {"teacher": "none"}}}
    (winner,) = find_winners(study(data=data, fusions=fusions), folder)
    assert winner.title == "sasrec / mltfr"
    assert str(winner).endswith("set keep_runs = true.")


def test_a_kept_run_recommends_and_a_built_in_log_has_no_file(folder: Path) -> None:
    made_up = {"mine": {"name": "synthetic"}}
    (winner,) = find_winners(study(data=made_up), folder)
    assert winner.command is None
    assert str(winner).endswith("set keep_runs = true.")
    (folder / "cells" / "b-1").mkdir(parents=True)
    (folder / "cells" / "b-1" / "weights.safetensors").touch()
    (winner,) = find_winners(study(data=made_up), folder)
    assert winner.command == f"mltfr recommend {folder}/cells/b-1 --out recommendations.csv"


def test_with_windows_it_is_the_best_of_all_and_its_newest_run(tmp_path: Path) -> None:
    scores = {  # backbone, seed: value of each window
        ("sasrec", 0): (0.3, 0.3, 0.1), ("sasrec", 1): (0.1, 0.3, 0.2),
        ("gru4rec", 0): (0.2, 0.2, 0.2), ("gru4rec", 1): (0.9, 0.9),  # lacks the last window
    }  # fmt: skip
    rows = [
        {"cell": f"{backbone}-w{number}-s{seed}", "data": "made-up", "backbone": backbone, "fusion": "none",
         "tables": "", "window": f"w{number}", "seed": seed, "part": "validation", "metric": "ndcg@10", "value": value}
        for (backbone, seed), values in scores.items()
        for number, value in enumerate(values, 1)
    ]  # fmt: skip
    pl.DataFrame(rows).write_parquet(tmp_path / "results.parquet")
    (tmp_path / "cells" / "sasrec-w3-s1").mkdir(parents=True)
    (tmp_path / "cells" / "sasrec-w3-s1" / "weights.safetensors").touch()
    (winner,) = find_winners(study(), tmp_path)
    assert winner.value == pytest.approx(1.3 / 6)
    assert "best on validation is sasrec / none (ndcg@10 0.2167, mean of 3 windows with 2 seeds)" in str(winner)
    assert winner.command == f"mltfr recommend {tmp_path}/cells/sasrec-w3-s1 --out recommendations.csv"
