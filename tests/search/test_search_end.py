"""The end of a search: when it is over, and what a new choice leaves."""

from __future__ import annotations

import json
import shutil

import pytest

from mltfr.pipeline import load_artifact
from mltfr.pipeline.score_difference import ScoreDifference
from mltfr.search import run
from mltfr.search.finish import Found, _write_best, finish
from mltfr.search.rows import Row
from mltfr.storage.progress import SILENT
from support.small_search import search_here, write_log


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("end")
    log = write_log(folder / "log.csv")
    return log, folder / "out", search_here(log, folder / "out", preset="quick", trials=0, refit=True)


def test_a_new_choice_removes_the_refit_of_an_earlier_one(searched, tmp_path):
    """A command that is killed behind it leaves no run that is not of best/."""
    copy = shutil.copytree(searched[1], tmp_path / "out")
    assert (copy / "refitted").exists()
    _write_best(copy / "best", load_artifact(searched[1] / "best"), SILENT)
    assert (copy / "best/manifest.json").exists()
    assert not (copy / "refitted").exists()


@pytest.mark.parametrize("missing", ["leaderboard.parquet", "best/manifest.json", "found"])
def test_a_search_is_over_when_leaderboard_best_run_and_findings_are_there(searched, tmp_path, missing, monkeypatch):
    log, out, outcome = searched
    copy, ends = shutil.copytree(out, tmp_path / "out"), []
    if missing == "found":
        lines = [json.loads(line) for line in (copy / "search.jsonl").read_text().splitlines()]
        kept = [line for line in lines if line["kind"] != "found"]
        (copy / "search.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in kept))
    else:
        (copy / missing).unlink()
    monkeypatch.setattr(run, "finish", lambda *given: ends.append(given) or finish(*given))
    again = search_here(log, copy, preset="quick", trials=0, resume=True)
    assert len(ends) == 1
    assert again.rows[0].name == outcome.rows[0].name
    search_here(log, copy, preset="quick", trials=0, resume=True)
    assert len(ends) == 1


@pytest.mark.parametrize(
    ("difference", "p", "said"),
    [(-0.3, 1e-9, "markov is better (val"), (-0.01, 0.7, "markov is within noise of it (val")],
)
def test_what_is_cheaper_is_said_to_be_better_where_it_is(difference, p, said):
    """Trials of settings are chosen among each other: a baseline may be far above all of them."""
    best = Row("trial 0", "trial", "finished", 0.2, "best", seconds=13.0, test=0.2)
    cheap = Row("markov", "baseline", "finished", 0.2 - difference, "cells/markov", seconds=0.2)
    against = ScoreDifference("markov", 0.2 - difference, difference, difference - 0.02, difference + 0.02, p)
    found = Found(best, [cheap, best], "ndcg@10", None, cheap, against, 0.1)
    assert found.lines[2].startswith(said)
