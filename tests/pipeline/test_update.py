"""Tomorrow: a run with the rows that came after it, and its score on them."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import polars as pl
import pytest
import torch

from mltfr import Recommender
from mltfr.errors import DataError, MltfrWarning, RunError
from mltfr.interactions import load_interactions, prepare
from mltfr.pipeline.update import update
from mltfr.storage.files import sha256
from mltfr.training import Callback
from support.walks import as_log, rows, walks

SMALL = ("backbone.hidden=16", "backbone.max_length=8", "training.batch_size=32")
WALKS = walks(users=40, items=20, shortest=5, longest=9)
ROWS = sorted(rows(WALKS), key=lambda row: row[2])
DAY = [row for row in ROWS if row[2] >= 5]
"""The rows of the last day, in order of time."""
NEWCOMERS = [("new-1", "i3", 90), ("new-1", "i4", 91), ("u0", "never-seen", 92)]
BEFORE, AFTER = as_log([row for row in ROWS if row[2] < 5]), as_log([*DAY, *NEWCOMERS])


def fitted(log=BEFORE, **arguments):
    settings = {"backbone": "sasrec", "fusion": "none", "settings": SMALL, "epochs": 1} | arguments
    return Recommender(**settings).fit(log, callback=Callback())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "monday"
    fitted().save(folder)
    return folder


def known(recommender, items):
    return [item for item in items if item in recommender.fitted.split.vocabulary.codes]


def test_lists_are_those_of_the_whole_histories(run, tmp_path):
    monday = Recommender.load(run)
    tuesday = Recommender.load(run).update(AFTER, tmp_path / "tuesday")
    joined = {**WALKS, "u0": [*WALKS["u0"], "never-seen"], "new-1": ["i3", "i4"]}
    expected = monday.recommend(histories={user: known(monday, items) for user, items in joined.items()}, k=5)
    assert tuesday.recommend(k=5).equals(expected)
    assert Recommender.load(tmp_path / "tuesday").recommend(k=5).equals(expected)


def test_histories_are_those_of_a_run_of_the_joined_log(run):
    updated, whole = Recommender.load(run).update(AFTER), fitted(as_log([*ROWS, *NEWCOMERS]))
    assert updated.fitted.split.user_ids == whole.fitted.split.user_ids
    for mine, theirs in zip(updated.fitted.split.histories, whole.fitted.split.histories, strict=True):
        items = updated.fitted.split.vocabulary.decode(mine[mine > 0])
        assert items == known(updated, whole.fitted.split.vocabulary.decode(theirs[theirs > 0]))


def test_two_updates_are_one(run):
    middle = len(DAY) // 2
    parts = as_log(DAY[:middle]), as_log([*DAY[middle:], *NEWCOMERS])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MltfrWarning)  # rows of the moment in which the first part ends
        first = Recommender.load(run).update(parts[0])
    last = first.fitted.facts["last_time"]["time"]
    second = as_log([row for row in [*DAY[middle:], *NEWCOMERS] if row[2] > last])
    one = as_log([*DAY[:middle], *second.frame.iter_rows()])
    assert first.update(second).recommend(k=5).equals(Recommender.load(run).update(one).recommend(k=5))


def test_the_score_is_that_of_evaluate_on_the_new_rows(run, tmp_path):
    monday = Recommender.load(run)
    result = monday.evaluate(log=AFTER)
    updated = Recommender.load(run).update(AFTER, tmp_path / "tuesday")
    assert updated.metrics["metrics"] == dict(result.metrics)
    assert dict(Recommender.load(tmp_path / "tuesday").evaluate().metrics) == dict(result.metrics)
    assert updated.metrics["protocol"]["split"] == "new-rows"
    assert monday.evaluate().protocol.split == "leave-one-out"  # as it was


def test_an_update_stands_beside_the_baseline_of_the_run_before(run):
    before = Recommender.load(run).fitted.verdict.baseline.name
    updated = Recommender.load(run).update(AFTER)
    verdict = updated.fitted.verdict
    assert list(updated.metrics["baselines"]) == ["popularity", before]
    assert verdict.baseline.name == before != "popularity"
    assert verdict.baseline.score == updated.metrics["baselines"][before]["test"]["ndcg@10"]
    assert verdict.end is None
    standing = str(verdict).splitlines()[0]
    assert f" {before}, the baseline that the run before was compared with: test ndcg@10 " in standing
    assert "on validation" not in str(verdict)
    assert str(verdict).splitlines()[-1].startswith("Only the histories were updated; with --epochs 5")
    assert updated.update(as_log([("u1", "i2", 200), ("u2", "i3", 201)])).fitted.verdict.baseline.name == before


def test_a_run_that_nothing_has_judged_stands_beside_popularity(run):
    parent = Recommender.load(run).fitted
    del parent.metrics["verdict"]
    assert update(parent, AFTER)[0].verdict.baseline.name == "popularity"


def test_every_new_row_counts_by_its_rank_after_all_before_it(run):
    monday = Recommender.load(run)
    log = as_log([("u0", "i1", 90), ("u0", "i7", 91), ("stranger", "i2", 92), ("stranger", "i3", 93)])
    past = {"u0": WALKS["u0"][:5], "stranger": []}
    gains = []
    for user, item, _ in log.frame.iter_rows():
        if past[user]:
            ranked = monday.recommend(histories=[past[user]], k=10)["item_id"].to_list()
            gains.append(1 / math.log2(ranked.index(item) + 2) if item in ranked else 0.0)
        past[user] = [*past[user], item]
    assert len(gains) == 3
    assert monday.evaluate(log=log).metrics["ndcg@10"] == pytest.approx(np.mean(gains))


def test_the_chain_names_the_runs_and_their_weights(run, tmp_path):
    Recommender.load(run).update(as_log(DAY), tmp_path / "tuesday")
    Recommender.load(tmp_path / "tuesday").update(as_log(NEWCOMERS), tmp_path / "wednesday")
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (run, tmp_path / "wednesday")]
    first, second = manifests[1]["chain"]
    assert (first["run"], second["run"]) == ("monday", "tuesday")
    assert first["weights_sha256"] == second["weights_sha256"] == sha256(run / "weights.safetensors")
    assert first["data_fingerprint"] == manifests[0]["data_fingerprint"] != second["data_fingerprint"]
    assert manifests[1]["last_time"]["time"] == 92
    assert manifests[1]["new_rows"]["interactions"] == 3


def test_the_parent_stays_as_it_is(run, tmp_path):
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    Recommender.load(run).update(AFTER, tmp_path / "tuesday")
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    with pytest.raises(RunError, match="holds a finished run"):
        Recommender.load(run).update(AFTER, tmp_path / "tuesday")


@pytest.mark.parametrize("backbone", ["item-knn", "bert4rec"])
def test_other_models_read_the_new_rows_too(backbone):
    settings = SMALL if backbone == "bert4rec" else ()
    recommender = fitted(backbone=backbone, settings=settings, epochs=None if backbone == "item-knn" else 1)
    weights = {name: tensor.clone() for name, tensor in recommender.fitted.model.state_dict().items()}
    expected = recommender.recommend(histories={"u0": WALKS["u0"]}, k=5)
    recommender.update(as_log(DAY))
    assert recommender.recommend(users=["u0"], k=5).equals(expected)
    assert all(torch.equal(weights[name], now) for name, now in recommender.fitted.model.state_dict().items())


def test_a_run_of_a_prepared_set_is_updated_like_one_of_its_log(run, tmp_path):
    pytest.importorskip("duckdb")
    BEFORE.frame.write_parquet(tmp_path / "log.parquet")
    of_set = fitted(prepare(tmp_path / "log.parquet", tmp_path / "set"))
    assert of_set.update(as_log(ROWS)).recommend(k=5).equals(Recommender.load(run).update(as_log(ROWS)).recommend(k=5))
    with pytest.raises(DataError, match="is a prepared set, whose rows were filtered and split for a fit"):
        of_set.update(tmp_path / "set")


def test_what_was_left_out_is_said(run):
    with pytest.warns(MltfrWarning, match=r"rows taken \(left out: 197 not later than the run's last row\)"):
        Recommender.load(run).update(as_log(ROWS))


def test_rows_without_anything_before_them_are_taken_but_not_scored(run, tmp_path):
    log = load_interactions(pl.DataFrame({"user_id": ["x", "y"], "item_id": ["i1", "i2"], "timestamp": [90, 91]}))
    with pytest.raises(DataError, match=r"rows with nothing of their user before them: 2\. So there is no row to pred"):
        Recommender.load(run).evaluate(log=log)
    Recommender.load(run).update(log, tmp_path / "tuesday")
    tuesday = Recommender.load(tmp_path / "tuesday")
    assert tuesday.metrics == {}
    assert tuesday.recommend(users=["x"], k=3).height == 3
