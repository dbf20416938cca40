"""The benchmark of the first hour measures whole commands, says what it reckons, and pairs its ratios."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from mltfr.interactions.synthetic import SyntheticConfig, synthetic

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("PYTHONPATH", str(BENCHMARKS.parent / "src"))
    return import_module("first_hour")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "small.csv"
    synthetic(SyntheticConfig(users=60, items=40), 0).log.frame.write_csv(path)
    return path


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["first_hour.py", *map(str, words), "--cores", "1000"])
    return int(script.main())


@pytest.mark.slow
def test_a_stopped_fit_is_reckoned_and_a_whole_one_is_not(
    script: ModuleType, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "hour.json"
    before, after = ["training.epochs=2000", "training.patience=2000"], ["training.epochs=1"]
    options = ["--only", "defaults", "--fusions", "none", "--epochs-measured", "2", "--out", out]
    with pytest.raises(script.FailedError, match="nosuch"):
        script.fit(log, tmp_path / "run", ["--fusion", "nosuch"])
    assert run(script, monkeypatch, log, *options, "--before", *before, "--after", *after) == 0
    first, second = json.loads(out.read_text())["defaults"]
    assert (first["whole"], first["epochs"]) == (False, [2000])
    assert first["measured"] >= 2
    assert first["seconds"] > 1900 * first["epoch_seconds"]
    assert (second["whole"], second["epochs"], second["measured"]) == (True, [1], 1)
    page = out.with_suffix(".md").read_text()
    assert "| small | none | before |" in page
    assert f"| at most 2000 | at most {first['seconds'] / 60:.1f} |" in page
    assert f"reckoned from {first['measured']} epochs; their score" in page


def test_a_fit_that_fails_is_a_row_and_an_exit_code(
    script: ModuleType, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(log: Path, *more: object) -> None:
        raise script.FailedError("no | pipe")

    monkeypatch.setattr(script, "fit", fit)
    out = tmp_path / "hour.json"
    options = ["--only", "defaults", "--fusions", "none", "--before", "--out", out]
    assert run(script, monkeypatch, log, *options) == 1
    assert [row["failed"] for row in json.loads(out.read_text())["defaults"]] == ["no | pipe"] * 2
    assert out.with_suffix(".md").read_text().count("no \\| pipe |") == 2


def test_the_busy_machine_is_measured_in_turn_and_in_ratios(
    script: ModuleType, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    monkeypatch.setattr(script, "together", lambda commands, waits: done.append((len(commands), waits)))
    out = tmp_path / "hour.json"
    assert run(script, monkeypatch, log, "--only", "busy", "--repeats", "2", "--out", out) == 0
    assert done == [(1, script.WAITS["default"]), (2, script.WAITS["default"]), (1, {}), (2, {})] * 2
    found = {result["what"]: result for result in json.loads(out.read_text())["busy"]}
    both, alone = (found[f"waits mltfr: {which}"]["values"] for which in ("two at once", "alone"))
    ratio = found["waits mltfr: two at once over alone"]
    assert ratio["values"] == [two / one for two, one in zip(both, alone, strict=True)]
    assert ratio["budget"]["now"] == 2.3
