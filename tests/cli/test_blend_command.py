"""`mltfr blend`: what is printed, and what is refused in one line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from support.command_line import SMALL, refused, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, finished: Path, store: Path) -> Path:
    """Return a folder with the log, and the runs `mltfr` and `markov` of it."""
    folder = tmp_path_factory.mktemp("blended")
    shutil.copy(finished / "log.csv", folder / "log.csv")
    shutil.copytree(finished / "run", folder / "mltfr")
    run("fit", folder / "log.csv", "--out", folder / "markov", "--backbone", "markov", home=store)
    return folder


def test_weights_scores_and_cost_are_told_and_the_commands_take_the_blend(
    folder: Path, store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "blend"
    done = run("blend", folder / "mltfr", folder / "markov", "--out", out, home=store)
    weight = re.compile(r"weight 0\.\d{3}, validation ndcg@10 0\.\d{4}")
    told = [line for line in done.stderr.splitlines() if weight.search(line)]
    assert [line.split()[0] for line in told] == ["mltfr", "markov"]
    assert re.search(r"a request takes [\d.]+ ms, [\d.]+ times as long as \w+, its best member", done.stderr)
    assert "(best member)" in done.stdout
    assert "test, zero branch" in done.stdout
    assert "its best member on validation: test ndcg@10" in done.stdout
    manifest = json.loads((out / "manifest.json").read_text())
    assert [member["run"] for member in manifest["blend"]["members"]] == ["mltfr", "markov"]
    document = json.loads(run("evaluate", out, "--json", home=store).stdout)
    assert document["metrics"] == json.loads((out / "metrics.json").read_text())["metrics"]
    run("recommend", out, "--out", tmp_path / "lists.csv", "-k", "3", home=store)
    assert len((tmp_path / "lists.csv").read_text().splitlines()) > 100
    run("similar", out, "i3", home=store)
    assert "blend" in run("compare", out, folder / "markov", home=store).stdout
    run("recommend", out, "--out", tmp_path / "parts", "-k", "3", home=store)


def test_given_weights(folder: Path, store: Path, tmp_path: Path) -> None:
    runs = (folder / "mltfr", folder / "markov")
    run("blend", *runs, "--out", tmp_path / "blend", "--weights", "1,3", home=store)
    manifest = json.loads((tmp_path / "blend" / "manifest.json").read_text())
    assert [member["weight"] for member in manifest["blend"]["members"]] == [0.25, 0.75]


def test_what_is_refused_in_one_line(folder: Path, store: Path, tmp_path: Path) -> None:
    def error(*arguments: str | Path) -> str:
        return refused(tmp_path, store, "blend", *arguments, "--out", tmp_path / "blend")

    runs = (folder / "mltfr", folder / "markov")
    assert "--weights is '1,x'; expected numbers separated by commas" in error(*runs, "--weights", "1,x")
    assert "weights are 1: 1 for 2 runs" in error(*runs, "--weights", "1")
    assert "markov: given twice" in error(*runs, folder / "markov")
    assert "log.csv: is a file, and no run folder" in error(*runs, folder / "log.csv")
    run("fit", folder / "log.csv", "--out", folder / "other", "--backbone", "popularity",
        "--set", "filters.min_item_interactions=3", home=store)  # fmt: skip
    assert "other cannot be blended with mltfr: filters.min_item_interactions was 0 and is 3. Fit both" in error(
        folder / "mltfr", folder / "other"
    )
    assert "a blend is made of fitted runs" in refused(
        tmp_path, store, "fit", folder / "log.csv", "--backbone", "blend", "--out", tmp_path / "run", *SMALL[:2]
    )
