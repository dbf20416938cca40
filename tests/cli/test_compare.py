"""`mltfr compare`: the better run by name, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mltfr import Recommender
from mltfr.evaluation.comparison import compare
from support.command_line import refused, run
from support.walks import write_log


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """Return a folder with the runs `markov`, `popularity`, `kept` (another protocol) and `other` (another log)."""
    folder = tmp_path_factory.mktemp("compared")
    write_log(folder / "log.csv")
    lines = (folder / "log.csv").read_text().splitlines(keepends=True)
    (folder / "other.csv").write_text("".join(lines[:-20]))
    for name, log, more in (
        ("markov", "log", ()),
        ("popularity", "log", ()),
        ("kept", "log", ("--set", "evaluation.remove_seen=false")),
        ("other", "other", ()),
    ):
        backbone = name if name in ("markov", "popularity") else "popularity"
        run("fit", folder / f"{log}.csv", "--out", folder / name, "--backbone", backbone, *more, home=store)
    return folder


def test_it_says_which_is_better_as_python_does(folder: Path, store: Path) -> None:
    done = run("compare", folder / "popularity", folder / "markov", home=store)
    assert "markov is better than popularity by 0." in done.stdout
    assert " ndcg@10, 95 % interval 0." in " ".join(done.stdout.split())
    evaluations = {name: Recommender.load(folder / name).evaluate() for name in ("markov", "popularity")}
    assert done.stdout == f"{compare(evaluations, 'ndcg@10')}\n"


def test_json_and_three_runs_of_which_two_share_a_name(folder: Path, store: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "markov", tmp_path / "again" / "markov")
    runs = (folder / "markov", tmp_path / "again" / "markov", folder / "popularity")
    document = json.loads(run("compare", *runs, "--metric", "hr@5", "--json", home=store).stdout)
    names = [f"{folder.name}/markov", "again/markov", f"{folder.name}/popularity"]
    assert sorted(document["runs"]) == sorted(names)
    assert (document["metric"], len(document["pairs"])) == ("hr@5", 3)
    by_pair = {(pair["first"], pair["second"]): pair["verdict"] for pair in document["pairs"]}
    assert by_pair[names[0], names[1]] == "as good"
    assert by_pair[names[0], names[2]] == by_pair[names[1], names[2]] == "better"


def test_what_is_refused_in_one_line(folder: Path, store: Path, tmp_path: Path) -> None:
    def error(*arguments: str | Path) -> str:
        return refused(tmp_path, store, "compare", *arguments)

    markov = folder / "markov"
    assert "remove_seen is True in markov, False in kept" in error(markov, folder / "kept")
    assert "markov and other were measured on different examples" in error(markov, folder / "other")
    assert "Unknown metric 'recal@10'" in error(markov, folder / "popularity", "--metric", "recal@10")
    assert "recall@10 was not measured. Name it before the fit, by evaluation.metrics" in error(
        markov, folder / "popularity", "--metric", "recall@10"
    )
    assert "Known: hr@10, " in error(markov, folder / "popularity", "--metric", "ndcg")
    assert "A comparison needs at least two runs" in error(markov)
    assert "markov: given twice. Name each run once." in error(markov, folder / "popularity", markov)
    assert "log.csv: is a file, and no run folder" in error(markov, folder / "log.csv")
    assert "nowhere: no such folder" in error(markov, tmp_path / "nowhere")
