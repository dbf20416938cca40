"""The page of a run: its own numbers, nothing of the users where that is asked, text everywhere, the same bytes."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from mltfr import Recommender
from mltfr.page.content import Column, Table
from mltfr.pipeline import load_artifact, save_artifact
from mltfr.pipeline.shared import to_share
from mltfr.storage.files import sha256
from support.command_line import refused, run
from support.read_page import assert_numbers_of, read, table_with
from support.valid_html import faults


@pytest.fixture(scope="session")
def html(runs: Path, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    run("report", runs / "mltfr", "--out", path, home=store)
    return path


def test_every_number_is_that_of_the_run(html: Path, runs: Path) -> None:
    document = json.loads((runs / "mltfr" / "metrics.json").read_text())
    page = read(html)
    assert_numbers_of(document, page, fused=True)
    verdict = document["verdict"]
    differences = {row["against"]: row for row in table_with(page, "against", "difference")}
    zero = differences["without the fusion (zero branch)"]
    assert zero["difference"] == f"{verdict['branches']['zero']['difference']:+.4f}"
    assert [zero["95 % from"], zero["to"]] == [f"{verdict['branches']['zero'][end]:+.4f}" for end in ("low", "high")]
    assert len(differences) == 3


def test_the_verdict_comes_first_in_the_words_of_the_run(html: Path, runs: Path) -> None:
    text = "".join(read(html).text)
    verdict = Recommender.load(runs / "mltfr").fitted.verdict
    assert verdict is not None
    for line in verdict.standing.split("\n"):
        assert line.partition(" What ")[0] in text
    assert text.index("Fusion mltfr") < text.index("What it adds") < text.index("Scores")
    for section in ("Trained on", "Training", "For whom", "Examples", "Cost", "How to repeat it"):
        assert section in text
    assert f"manifest.json, SHA-256 {sha256(runs / 'mltfr' / 'manifest.json')}" in text


def test_curves_and_router_shares_are_those_of_the_log(html: Path, runs: Path) -> None:
    page = read(html)
    log = [json.loads(line) for line in (runs / "mltfr" / "log.jsonl").read_text().splitlines()]
    assert [row["loss"] for row in table_with(page, "epoch", "loss")] == [f"{one['loss']:.4f}" for one in log]
    validation = table_with(page, "epoch", "ndcg@10")
    assert [row["ndcg@10"] for row in validation] == [f"{one['validation']['ndcg@10']:.4f}" for one in log]
    shares = table_with(page, "epoch", "alpha")
    assert [row["beta"] for row in shares] == [f"{one['router_share']['beta']:.4f}" for one in log]
    assert {one["round"] for one in log} == {1, 2}
    by_length = table_with(page, "length", "histories", "alpha")
    assert all(abs(float(row["alpha"]) + float(row["beta"]) - 1) < 2e-4 for row in by_length)
    assert sum(int(row["histories"]) for row in by_length) == 60


def test_nothing_is_loaded_or_run_and_every_table_is_csv(html: Path) -> None:
    page = read(html)
    assert not {"script", "iframe", "object", "embed", "img", "form", "base"} & set(page.names)
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert not re.search(r"url\(|@import", html.read_text())
    tables = [link for link in page.links if link.startswith("data:text/csv")]
    assert len(tables) == len(page.tables)
    for link, shown in zip(tables, page.tables, strict=True):
        rows = list(csv.reader(io.StringIO(unquote(link.partition(",")[2]))))
        assert [len(row) for row in rows] == [len(row) for row in shown]
    assert page.names.count("figure") == page.names.count("svg") == page.names.count("details")


def test_markup_and_what_steers_stays_text(html: Path) -> None:
    raw, text = html.read_text(encoding="utf-8"), "".join(read(html).text)
    assert "<script" not in raw
    assert "<b>thing-i3" not in raw
    assert "<b>thing-i3" in text
    assert "</script><script>alert(1)</script>" in text


def test_the_page_is_valid_html(html: Path) -> None:
    assert faults(html.read_text(encoding="utf-8")) == []


def test_no_cell_is_a_formula_to_a_spreadsheet() -> None:
    table = Table("t", "T", (Column("word"), Column("n", "+.1f")), (("=1+1", -1.5), ("@x", 0.1), ("-3", None)))
    assert table.csv() == "word,n\n'=1+1,-1.5\n'@x,0.1\n-3,\n"


def test_the_same_run_gives_the_same_bytes_in_a_file_and_a_folder(
    html: Path, runs: Path, store: Path, tmp_path: Path
) -> None:
    run("report", runs / "mltfr", "--out", tmp_path / "folder", home=store)
    assert (tmp_path / "folder" / "report.html").read_bytes() == html.read_bytes()
    names = {path.stem for path in (tmp_path / "folder" / "figures").iterdir()}
    assert {"verdict", "loss", "validation", "router", "test-scores"} <= names
    assert names < {path.stem for path in (tmp_path / "folder" / "tables").iterdir()}
    assert "exists" in refused(tmp_path, store, "report", runs / "mltfr", "--out", _made(tmp_path / "there.html"))
    assert "is not empty" in refused(tmp_path, store, "report", runs / "mltfr", "--out", tmp_path / "folder")


def _made(path: Path) -> Path:
    path.write_text("mine")
    return path


def test_without_examples_nobody_is_in_the_file(html: Path, runs: Path, store: Path, tmp_path: Path) -> None:
    run("report", runs / "mltfr", "--out", tmp_path / "none.html", "--no-examples", home=store)
    raw = (tmp_path / "none.html").read_bytes()
    assert b"somebody-" in html.read_bytes()
    assert b"somebody-" not in raw
    assert b"thing-" not in raw


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("none", "This run has no fusion"),
        ("popularity", "Nothing was trained by epochs"),
    ],
)
def test_what_is_not_there_says_why(name: str, told: str, runs: Path, store: Path, tmp_path: Path) -> None:
    done = run("report", runs / name, "--out", tmp_path / "page.html", "--title", "Ours & <theirs>", home=store)
    text = "".join(read(tmp_path / "page.html").text)
    assert told in text
    assert "Ours & <theirs>" in text
    assert "Report written to" in done.stdout


def test_a_run_without_users_says_that_they_were_left_out(runs: Path, store: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLTFR_HOME", str(store))
        save_artifact(to_share(load_artifact(runs / "mltfr")), tmp_path)
    run("report", tmp_path, "--out", tmp_path / "page.html", home=store)
    text = "".join(read(tmp_path / "page.html").text)
    assert "users left out" in text
    assert "The run was shared without its users and their histories, so there is nobody to show." in text
    assert "Which tokens are kept is counted over histories, and the run was shared without its users." in text
    assert not re.search(r"(?<![\d,])0 users", text)


def test_names_stand_beside_the_ids(runs: Path, store: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    lines = ["item_id,title", *(f"thing-i{n},\u202eName of {n} <i>" for n in range(25))]
    names.write_text("\n".join(lines) + "\n")
    out = tmp_path / "page.html"
    run("report", runs / "mltfr", "--out", out, "--add-names", names, "--examples", "2", home=store)
    page = read(out)
    assert page.names.count("article") == 2
    assert re.search(r"\\u202eName of \d+ <i> \(thing-i\d+\)", "".join(page.text))
    assert str(tmp_path) not in out.read_text(encoding="utf-8")
    assert "\u202e" not in out.read_text(encoding="utf-8")


def test_a_folder_that_is_no_run_is_refused(store: Path, tmp_path: Path) -> None:
    assert "no such folder" in refused(tmp_path, store, "report", tmp_path / "gone", "--out", tmp_path / "page.html")
