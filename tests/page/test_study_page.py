"""The page of a study has the numbers of its comparisons and tables; runs of other protocols are not put together."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path

import polars as pl
import pytest

from mltfr.page.render import render
from mltfr.page.run_page import run_page
from mltfr.page.scores import NOT_JUDGED
from mltfr.page.study_page import study_page
from mltfr.pipeline.fitted import FittedModel
from mltfr.report import write_report
from support.command_line import SMALL, refused, run
from support.made_up_study import write_study
from support.valid_html import faults

EXTRA = '[data.beauty]\nfile = "beauty.txt"\n'


def made(folder: Path) -> Path:
    """Return a study's folder whose study file can be read."""
    write_study(folder, users=40, fusions={"none": 0.0, "mltfr": 0.1})
    text = (folder / "study.toml").read_text().replace("[data.beauty]\n", EXTRA)
    (folder / "study.toml").write_text(text)
    return folder


def test_it_has_the_comparisons_and_the_tables(tmp_path: Path) -> None:
    folder = made(tmp_path / "study")
    page = study_page(folder, "Mine")
    asked = {"compare_with": "none", "test": "users-and-seeds"}
    write_report(folder, "T", ("ndcg@10", "hr@10"), **asked)  # type: ignore[arg-type]
    rows = pl.read_parquet(folder / "comparisons.parquet").filter(pl.col("metric") == "ndcg@10").to_dicts()
    shown = next(table for table in page.tables if table.name == "gain-beauty")
    assert len(shown.rows) == len(rows) == 2
    for row in rows:
        told = next(one for one in shown.rows if one[0] == row["backbone"])
        assert told[3:6] == tuple(100 * row[key] / row["other_mean"] for key in ("difference", "low", "high"))
    names = {table.name for table in page.tables}
    assert {path.stem for path in (folder / "tables").glob("*.md")} <= names
    assert "Of 2 comparisons with none by test NDCG@10, 2 came out better" in page.verdict
    html = render(page)
    assert html == render(study_page(folder, "Mine"))
    assert "u17" not in html
    assert faults(html) == []


def test_an_unfinished_study_says_how_far_it_is(tmp_path: Path) -> None:
    folder = made(tmp_path / "study")
    (folder / "results.parquet").unlink()
    page = study_page(folder)
    assert page.verdict.startswith("Not finished: 0 of ")
    assert "no tables yet" in render(page)


def test_runs_of_one_protocol_stand_side_by_side(runs: Path, store: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    run("report", runs / "mltfr", "--compare", runs / "none", "--out", out, home=store)
    told = json.loads(run("compare", runs / "mltfr", runs / "none", "--json", home=store).stdout)
    html = out.read_text(encoding="utf-8")
    pair = told["pairs"][0]
    assert f"{pair['difference']:+.4f}" in html
    for metrics in told["runs"].values():
        assert all(f"{value:.4f}" in html for value in metrics.values())
    assert "Paired t-test" in html


def test_runs_that_nobody_judged_are_judged_beside_each_other(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of a study have no verdict of their own: then the comparison comes first, and is said once."""
    monkeypatch.setattr(FittedModel, "verdict", None)
    assert run_page(runs / "mltfr").verdict == NOT_JUDGED
    page = run_page(runs / "mltfr", others=[runs / "none"])
    assert "mltfr" in page.verdict
    assert "95 % interval" in page.verdict
    assert unescape(render(page)).count(page.verdict) == 1


def test_other_protocols_and_names_of_a_study_are_refused(runs: Path, store: Path, tmp_path: Path) -> None:
    other = ("--set", "evaluation.cutoffs=[10]", "--fusion", "none", *SMALL[:4], "--epochs", "1")
    run("fit", runs / "log.csv", "--out", tmp_path / "other", *other, home=store)
    asked = ("report", runs / "mltfr", "--compare", tmp_path / "other", "--out", tmp_path / "page.html")
    assert "protocol" in refused(tmp_path, store, *asked)
    study = made(tmp_path / "study")
    asked = ("report", study, "--compare", runs / "none", "--out", tmp_path / "page.html")
    assert "is a study" in refused(tmp_path, store, *asked)
