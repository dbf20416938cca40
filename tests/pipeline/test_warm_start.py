"""An update that trains: from the run's weights, with rows for new items, resumable to the bit."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import torch

from mltfr import Recommender
from mltfr.errors import DataError, RunError
from mltfr.pipeline import fit, load_artifact
from mltfr.pipeline.update import update
from mltfr.tokens import TokenStore, TokenTable
from mltfr.tokens.prepare import ARITHMETIC
from mltfr.tokens.table_files import digest_json
from mltfr.training import Callback, Interrupted
from mltfr.training.warm_start import grown
from support.stopping import StopAt
from support.walks import as_log, rows, walks

SMALL = ("backbone.hidden=16", "backbone.max_length=8", "training.batch_size=32")
FILTER = ("fusion.filter.shortlist=12", "fusion.filter.keep=3")
MLTFR = (*SMALL, *FILTER, "tokens.width=8", "training.advanced.fisher_examples=64", "training.first_round_epochs=1")
ROWS = sorted(rows(walks(users=40, items=20, shortest=5, longest=9)), key=lambda row: row[2])
BEFORE = as_log([row for row in ROWS if row[2] < 5])
FRESH = [(f"new-{n % 4}", f"fresh-{n % 3}", 50 + n // 4) for n in range(12)]
AGAIN = [(f"u{n % 9}", f"i{n}", 60 + n) for n in range(20)]
AFTER = as_log([*(row for row in ROWS if row[2] >= 5), *FRESH, *AGAIN])


@pytest.fixture(autouse=True)
def _tables(_own_home):
    if "alpha" not in TokenStore():
        values = np.random.default_rng(0).normal(size=(30, 10)).astype(np.float32)
        TokenStore().put(TokenTable("alpha", values, tuple(f"w{n}" for n in range(30))))


def fitted(log=BEFORE, **arguments):
    settings = {"backbone": "sasrec", "fusion": "none", "settings": SMALL, "epochs": 2} | arguments
    return Recommender(**settings).fit(log, callback=Callback()).fitted


@pytest.fixture(scope="module")
def parent():
    return fitted()


def same_weights(one, other):
    mine, theirs = one.model.state_dict(), other.model.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_the_newest_rows_choose_and_are_scored(parent):
    updated, new = update(parent, AFTER, epochs=1)
    data = updated.split
    rows = len(AFTER)
    assert new.interactions == rows
    assert int(data.train_length.sum()) == int((parent.split.histories.items > 0).sum()) + -(-8 * rows // 10)
    assert len(data.validation) + len(data.test) + new.without_history == rows - -(-8 * rows // 10)
    newest = AFTER.frame[-(rows // 10) :]
    items = [data.vocabulary.item_ids[code - 1] for code in data.targets(data.test)]
    users = [data.user_ids[user] for user in data.test.user]
    assert sorted(zip(users, items, strict=True)) == sorted(newest.select("user_id", "item_id").iter_rows())
    assert updated.metrics["validation"]["examples"] == len(data.validation)
    assert (data.train_histories().items > 0).all()


def test_new_items_get_rows_behind_the_others(parent, tmp_path):
    updated, new = update(parent, AFTER, tmp_path / "run", epochs=1)
    before, items = parent.split.vocabulary.item_ids, updated.split.vocabulary.item_ids
    assert items[: len(before)] == before
    assert {"fresh-0", "fresh-1", "fresh-2"} <= set(items[len(before) :])
    assert new.new_items == len(items) - len(before)
    assert len(updated.model.item_embedding.weight) == len(items) + 1
    lists = Recommender.load(tmp_path / "run").recommend(histories=[["fresh-0", "fresh-1"]], k=len(items) - 2)
    assert "fresh-2" in lists["item_id"].to_list()


def test_training_goes_on_where_the_parent_was(parent):
    updated, _ = update(parent, AFTER, epochs=2)
    best = parent.facts["best_epoch"]
    assert updated.history[: len(parent.history)] == parent.history
    assert [record["epoch"] for record in updated.history[len(parent.history) :]] == [best + 1, best + 2]
    assert updated.config.training.epochs == best + 2
    assert updated.verdict.end.first == best + 1
    assert updated.verdict.end.epochs == best + 2
    assert list(updated.metrics["baselines"]) == ["popularity", "markov", "item-knn"]


def test_weights_that_no_epoch_improves_stay(parent):
    worse = parent.config.training.model_copy(update={"learning_rate": 1e-12, "gradient_clip": 1e-9})
    still = type(parent)(**{**vars(parent), "config": parent.config.model_copy(update={"training": worse})})
    known = as_log([row for row in AFTER.frame.iter_rows() if row[1] in parent.split.vocabulary.codes])
    updated, _ = update(still, known, epochs=2)
    assert updated.facts["best_epoch"] == parent.facts["best_epoch"]
    assert same_weights(updated, parent)
    assert updated.verdict.end.cut_off
    said = f"Training went on to epoch {updated.verdict.end.epochs}; none was better than the weights as they were"
    assert said in str(updated.verdict)
    assert "more epochs" not in str(updated.verdict)  # none was better


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"backbone": "bert4rec"},
        {"fusion": "mltfr", "tokens": ["alpha"], "settings": MLTFR},
        {"settings": (*SMALL, "loss.name=bce", "training.advanced.item_updates=sparse")},
    ],
    ids=["sasrec", "bert4rec", "mltfr", "sparse"],
)
def test_an_interrupted_update_ends_with_the_same_weights(arguments, tmp_path):
    parent, callback = fitted(**arguments), StopAt(2)
    whole, _ = update(parent, AFTER, tmp_path / "whole", "parent", epochs=2)
    with pytest.raises(Interrupted):
        update(parent, AFTER, tmp_path / "run", "parent", epochs=2, callback=callback, stop=callback.stop)
    with pytest.raises(RunError, match="holds an interrupted run"):
        update(parent, AFTER, tmp_path / "run", "parent", epochs=2)
    resumed, _ = update(parent, AFTER, tmp_path / "run", "parent", epochs=2, resume=True)
    assert same_weights(resumed, whole)
    assert same_weights(load_artifact(tmp_path / "run"), whole)
    assert resumed.metrics["metrics"] == whole.metrics["metrics"]
    assert not same_weights(resumed, parent)
    assert resumed.facts["rounds"] == parent.facts["rounds"]


def test_a_run_that_had_no_time_for_round_2_goes_on_in_round_1():
    first = StopAt(1)
    parent = fit(Recommender(tokens=["alpha"], settings=MLTFR).config, BEFORE, callback=first, enough=first.stop)
    assert parent.facts["rounds"] == 1
    updated, _ = update(parent, AFTER, epochs=2)
    assert [(record["round"], record["epoch"]) for record in updated.history] == [(1, 1), (1, 2), (1, 3)]
    assert updated.facts["rounds"] == 1


def test_training_does_not_go_on_with_another_table_of_the_same_name():
    def put(seed):
        values = np.random.default_rng(seed).normal(size=(30, 10)).astype(np.float32)
        TokenStore().put(TokenTable("replaced", values, tuple(f"w{n}" for n in range(30))))

    put(1)
    parent = fitted(fusion="mltfr", tokens=["replaced"], settings=MLTFR)
    put(2)
    with pytest.raises(RunError, match="'replaced' in the store is not the one that the run was"):
        update(parent, AFTER, epochs=1)
    assert update(parent, AFTER)[0].metrics


def test_a_table_that_another_machine_has_rounded_otherwise_is_the_same(monkeypatch):
    parent = fitted(fusion="mltfr", tokens=["alpha"], settings=MLTFR)
    (table,) = parent.facts["tables"]
    provenance = TokenStore().provenance("alpha")
    content = [provenance["sha256"], provenance["vocabulary_sha256"]]
    key = digest_json({"arithmetic": ARITHMETIC, "content": content, **table["settings"]})
    other = {**table, "sha256": "0" * 64, "fingerprint": digest_json([key, "0" * 64, table["vocabulary_sha256"]])}
    monkeypatch.setitem(parent.facts, "tables", [other])
    assert update(parent, AFTER, epochs=1)[0].facts["tables"] == [table]


@pytest.mark.parametrize("names", [None, {f"i{n}": f"w{n}" for n in range(20)}], ids=["alone", "with names"])
def test_vectors_of_new_items_lie_where_those_of_the_others_lay(names, tmp_path):
    ids, file = [*(f"i{n}" for n in range(20)), *(f"fresh-{n}" for n in range(3))], tmp_path / "vectors.parquet"
    values = np.random.default_rng(0).normal(2, [5, 3, 2, 1], (len(ids), 4)).astype(np.float32)
    pl.DataFrame({"item_id": ids, "vector": values}).write_parquet(file)
    whitened = (f"fusion.vectors={file}", "fusion.kind=whitening", "fusion.whitening=pca", "tokens.width=8")
    with_names = {"tokens": ["alpha"], "item_names": names} if names else {}
    parent = fitted(fusion="adapter", settings=(*SMALL, *whitened), **with_names)
    updated, _ = update(parent, AFTER, epochs=1)
    where, known = updated.model.fusion.vectors[1:].numpy(), len(parent.split.vocabulary)
    given = values[[ids.index(item) for item in updated.split.vocabulary.item_ids]]
    given = np.hstack([given, np.ones((len(given), 1))])
    there = np.linalg.lstsq(given[:known], where[:known], rcond=None)[0]
    np.testing.assert_allclose(given[known:] @ there, where[known:], atol=1e-4)
    assert updated.facts["tables"] == parent.facts["tables"]


def test_a_finished_update_is_shown_and_another_one_refused(parent, tmp_path):
    first, _ = update(parent, AFTER, tmp_path / "run", epochs=1)
    again, _ = update(parent, AFTER, tmp_path / "run", epochs=1, resume=True)
    assert same_weights(first, again)
    for log, epochs in ((as_log(AGAIN), 1), (AFTER, 2), (AFTER, 0)):
        with pytest.raises(RunError, match="holds a finished run of something else"):
            update(parent, log, tmp_path / "run", epochs=epochs, resume=True)


def test_a_baseline_is_computed_anew_from_all_rows(tmp_path):
    parent = fitted(backbone="popularity", settings=(), epochs=None)
    updated, new = update(parent, AFTER, tmp_path / "run", epochs=1)
    assert new.new_items > 0
    assert load_artifact(tmp_path / "run").model.items == len(updated.split.vocabulary)


def test_too_few_rows_to_train_on_are_refused(parent, tmp_path):
    with pytest.raises(DataError, match="too few to train on: the newest fifth of the new rows chooses the epoch"):
        update(parent, as_log(AGAIN[:3]), tmp_path / "run", epochs=1)
    assert not (tmp_path / "run").exists()


def test_the_manifest_says_what_an_update_trained_on(parent, tmp_path):
    update(parent, AFTER, tmp_path / "run", "monday", epochs=1)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert [entry["run"] for entry in manifest["chain"]] == ["monday"]
    assert manifest["new_rows"]["new_items"] > 0
    assert manifest["best_epoch"] in (parent.facts["best_epoch"], parent.facts["best_epoch"] + 1)


def test_rows_of_known_items_are_as_before_and_what_comes_behind_stays_behind():
    before, initial = torch.arange(10.0).reshape(5, 2), torch.full((7, 2), -1.0)
    found = grown({"table": before, "other": before[0]}, {"table": initial, "other": initial[0]}, items=3)
    assert found["table"].tolist() == [*before[:4].tolist(), [-1, -1], [-1, -1], before[4].tolist()]
    assert torch.equal(found["other"], before[0])
