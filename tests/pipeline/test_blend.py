"""Blends of fitted runs: what they score, what they keep, and what is refused."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from mltfr import Recommender
from mltfr.baselines import BASELINES
from mltfr.batch.scoring import PartScorer
from mltfr.errors import ConfigError, DataError, MltfrWarning, RunError
from mltfr.evaluation.mixture import mixture_weights
from mltfr.inference import RecommendationSpec
from mltfr.interactions import SplitConfig
from mltfr.pipeline import fit, load_artifact, load_inference_model
from mltfr.pipeline.blend import blend
from mltfr.training import Callback
from support.walks import as_log, rows, walks

SMALL = ("backbone.hidden=16", "backbone.max_length=8", "training.batch_size=32")
WALKS = walks(users=50, items=25, shortest=5, longest=10)
LOG = as_log(rows(WALKS))
QUIET = Callback()


def fitted(log=LOG, **arguments):
    settings = {"backbone": "sasrec", "fusion": "none", "settings": SMALL, "epochs": 2} | arguments
    return Recommender(**settings).fit(log, callback=QUIET)


def baseline(name, log=LOG, **arguments):
    return Recommender(backbone=name, **arguments).fit(log, callback=QUIET)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the folders of three runs of one log: two networks and a baseline."""
    folder = tmp_path_factory.mktemp("runs")
    fitted().save(folder / "sasrec")
    fitted(backbone="gru4rec", settings=SMALL[:1]).save(folder / "gru4rec")
    baseline("item-knn").save(folder / "item-knn")
    return folder


def folders(runs, *names):
    return [runs / name for name in names or ("sasrec", "gru4rec", "item-knn")]


@pytest.fixture(scope="module")
def blended(runs):
    """Return a saved blend of all three."""
    Recommender.blend(folders(runs), out=runs / "blend", callback=QUIET)
    return runs / "blend"


def probabilities(run, histories):
    """Return a run's probabilities of all items, `[B, I]`, from what it recommends of all items."""
    rows = []
    items = run.fitted.split.vocabulary.item_ids
    for history in histories:
        table = run.recommend(histories=[history], k=len(items), include_seen=True)
        score = dict(zip(table["item_id"], table["score"], strict=True))
        values = np.array([score[item] for item in items], np.float64)
        if run.config.backbone.name == "item-knn":
            near = np.maximum(values, 0) ** 2
            counts = run.fitted.split.vocabulary.counts[1:]
            popular = counts / counts.sum()
            values = 0.99 * near / near.sum() + 0.01 * popular if near.any() else popular
        else:
            values = np.exp(values - values.max())
            values /= values.sum()
        rows.append(values)
    return np.array(rows)


def test_scores_are_the_hand_made_mean_of_the_members_probabilities(runs, blended):
    found = Recommender.load(blended)
    weights = found.fitted.model.weights.numpy()
    histories = [["i3"], ["i1", "i2", "i9"], ["i7", "i7", "i8"]]
    members = [probabilities(Recommender.load(folder), histories) for folder in folders(runs)]
    expected = np.einsum("m,mbi->bi", weights, np.array(members))
    items = found.fitted.split.vocabulary.item_ids
    for history, row in zip(histories, expected, strict=True):
        table = found.recommend(histories=[history], k=len(items), include_seen=True)
        score = dict(zip(table["item_id"], table["score"], strict=True))
        assert np.array([score[item] for item in items]) == pytest.approx(row, abs=1e-6)
        assert not set(found.recommend(histories=[history], k=20)["item_id"]) & set(history)


def test_a_blend_of_one_is_that_run_to_the_bit(runs, tmp_path):
    for name in ("sasrec", "item-knn"):
        one, alone = Recommender.blend(folders(runs, name), callback=QUIET), Recommender.load(runs / name)
        assert one.recommend(k=7).equals(alone.recommend(k=7))
        assert one.metrics["metrics"] == alone.metrics["metrics"]
        assert one.metrics["validation"]["metrics"] == alone.metrics["validation"]["metrics"]
        assert one.similar_items("i3", 5).equals(alone.similar_items("i3", 5))


def test_the_folder_needs_its_members_no_more_and_does_what_any_run_does(runs, blended, tmp_path):
    found = Recommender.load(blended)
    shutil.copytree(blended, tmp_path / "alone")
    again = Recommender.load(tmp_path / "alone")
    assert again.recommend(k=5).equals(found.recommend(k=5))
    for split in ("test", "validation"):
        document = found.metrics if split == "test" else found.metrics["validation"]
        assert dict(again.evaluate(split).metrics) == document["metrics"]
    again.save(tmp_path / "saved")
    assert load_artifact(tmp_path / "saved").config == found.config
    model = load_inference_model(tmp_path / "saved")
    users = pl.DataFrame({"user_id": ["a", "b"], "items": [["i1", "i2"], ["i5"]]})
    table = PartScorer(model, RecommendationSpec(k=4)).score(users).table
    expected = found.recommend(histories={"a": ["i1", "i2"], "b": ["i5"]}, k=4)
    assert table["item_id"].to_list() == expected["item_id"].to_list()
    assert table["score"].to_list() == pytest.approx(expected["score"].to_list(), abs=1e-6)


def test_weights_are_those_of_the_validation_targets_of_members_that_saw_the_training_part_alone(runs, blended):
    found = Recommender.load(blended)
    split = found.fitted.split
    knn = load_artifact(runs / "item-knn")
    refitted = BASELINES.get("item-knn").cls.fit(
        knn.config.backbone, split.histories.prefixes(split.train_length), split.vocabulary.counts
    )
    for name, tensor in refitted.state_dict().items():
        assert torch.equal(found.fitted.model.members[2].state_dict()[name], tensor)
    targets, columns = split.targets(split.validation), []
    examples = zip(split.validation.user, split.validation.cut, strict=True)
    histories = [split.histories[user][:cut] for user, cut in examples]
    asked = [split.vocabulary.decode(history[history > 0]) for history in histories]
    known = [n for n, (history, target) in enumerate(zip(histories, targets, strict=True))
             if target > 0 and target not in history]  # fmt: skip
    for folder in folders(runs):
        rows = probabilities(Recommender.load(folder), [asked[n] for n in known])
        columns.append(rows[np.arange(len(known)), targets[known] - 1])
    assert found.fitted.model.weights.numpy() == pytest.approx(mixture_weights(np.array(columns).T), abs=1e-4)


def test_members_are_told_with_their_weights_scores_and_cost(runs, blended):
    found = load_artifact(blended)
    told = found.facts["blend"]
    assert [member["run"] for member in told["members"]] == ["sasrec", "gru4rec", "item-knn"]
    assert sum(member["weight"] for member in told["members"]) == pytest.approx(1)
    for member, folder in zip(told["members"], folders(runs), strict=True):
        run = load_artifact(folder)
        assert member["validation"] == run.metrics["validation"]["metrics"]
    best = max(told["members"], key=lambda member: member["validation"]["ndcg@10"])["run"]
    assert told["members"][told["best"]]["run"] == best
    assert found.metrics["best_member"]["run"] == best
    assert found.metrics["best_member"]["metrics"] == load_artifact(runs / best).metrics["metrics"]
    assert found.verdict.member.name == best
    assert f"{best}, its best member on validation: test ndcg@10" in str(found.verdict)
    assert set(told["request"]) == {"blend", "best_member"}
    assert found.config.title == "blend of sasrec, gru4rec, item-knn"


def test_the_same_runs_give_the_same_blend(runs, blended):
    again = Recommender.blend(folders(runs), callback=QUIET).fitted
    before = load_artifact(blended)
    assert again.metrics["metrics"] == before.metrics["metrics"]
    mine, theirs = again.model.state_dict(), before.model.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_given_weights_are_taken_in_any_unit(runs):
    found = Recommender.blend(folders(runs, "sasrec", "item-knn"), weights=[6, 2], callback=QUIET)
    assert found.fitted.model.weights.tolist() == [0.75, 0.25]
    assert found.fitted.facts["blend"]["weights"] == "given"
    wrong = {
        "expected a list of numbers": ["much", 1], "1 for 2 runs": [1], "at least 0": [1, -1], "above 0": [0, 0],
        "nan": [1, float("nan")], "1e.308, 1e.308": [1e308, 1e308],
    }  # fmt: skip
    for error, weights in wrong.items():
        with pytest.raises(ConfigError, match=error):
            Recommender.blend(folders(runs, "sasrec", "item-knn"), weights=weights, callback=QUIET)


def test_a_blend_in_a_blend_stands_for_its_members(runs):
    inner = Recommender.blend(folders(runs, "sasrec", "item-knn"), weights=[3, 1], callback=QUIET)
    outer = Recommender.blend([inner, runs / "gru4rec"], weights=[0.5, 0.5], callback=QUIET)
    flat = Recommender.blend(folders(runs, "sasrec", "item-knn", "gru4rec"), weights=[3, 1, 4], callback=QUIET)
    assert outer.fitted.model.weights.tolist() == [0.375, 0.125, 0.5]
    assert outer.recommend(k=5).equals(flat.recommend(k=5))
    chosen = Recommender.blend([inner, runs / "gru4rec"], callback=QUIET).fitted.model.weights
    together = Recommender.blend(folders(runs, "sasrec", "item-knn", "gru4rec"), callback=QUIET).fitted.model.weights
    assert torch.equal(chosen, together)


def test_similar_items_are_by_the_mean_cosine_of_its_networks(runs, blended):
    found = Recommender.load(blended)
    codes = torch.tensor([2, 5])
    weights = found.fitted.model.weights[:2] / found.fitted.model.weights[:2].sum()
    expected = sum(
        weight * Recommender.load(folder).fitted.model.item_similarity(codes)
        for weight, folder in zip(weights, folders(runs, "sasrec", "gru4rec"), strict=True)
    )
    torch.testing.assert_close(found.fitted.model.item_similarity(codes), expected.float())
    assert len(found.similar_items("i3", k=4)) == 4
    baselines = Recommender.blend([runs / "item-knn", baseline("markov")], callback=QUIET)
    with pytest.raises(ConfigError, match="weights of baselines have no common scale"):
        baselines.similar_items("i3")


def test_histories_without_a_known_item_get_what_is_popular(runs, blended):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MltfrWarning)
        found = Recommender.load(blended).recommend(histories=[["never"]], k=3)
        popular = baseline("popularity").recommend(histories=[["never"]], k=3)
    assert found.equals(popular)


def test_an_update_takes_histories_on_and_trains_nothing(runs, blended, tmp_path):
    later = as_log([("u0", "i1", 90), ("u0", "i2", 91), ("new", "i3", 92), ("new", "i4", 93)])
    found = Recommender.load(blended)
    measured = found.evaluate(log=later).metrics
    updated = Recommender.load(blended).update(later, tmp_path / "updated")
    assert updated.metrics["metrics"] == dict(measured)
    assert Recommender.load(tmp_path / "updated").recommend(k=5).equals(updated.recommend(k=5))
    with pytest.raises(ConfigError, match="Fit or update its members"):
        Recommender.load(blended).update(as_log(list(rows(walks(users=40, seed=1)))), epochs=1)
    with pytest.raises(ConfigError, match="or give weights: --weights 1,1"):
        Recommender.blend([updated, updated], callback=QUIET)


def test_runs_that_do_not_belong_together_are_refused_by_what_differs(runs):
    first = runs / "sasrec"

    def error(other):
        with pytest.raises(DataError) as caught:
            Recommender.blend([first, other], callback=QUIET)
        return str(caught.value)

    less = as_log(list(rows(WALKS))[:-30])
    assert "it read other data" in error(baseline("popularity", less))
    assert "filters.core was " in error(baseline("popularity", settings=["filters.core=2"]))
    assert "its split is leave-last-n" in error(baseline("popularity", settings=["split.method=leave-last-n"]))
    same = baseline("popularity", settings=["split.method=leave-one-out"])  # what "auto" comes to here
    assert Recommender.blend([first, same], callback=QUIET).metrics["protocol"]["split"] == "leave-one-out"


def test_a_member_that_was_trained_on_held_out_items_is_refused(runs):
    import dataclasses

    honest, peeking = load_artifact(runs / "sasrec"), load_artifact(runs / "item-knn")
    longer = dataclasses.replace(peeking.split, train_length=peeking.split.train_length + 1)
    with pytest.raises(DataError, match="what one of them was trained on is held out in the other"):
        blend({"honest": honest, "peeking": dataclasses.replace(peeking, split=longer)})
    with pytest.raises(DataError, match=r"peeking: \d+ validation targets are part of the training split"):
        blend({"peeking": dataclasses.replace(peeking, split=longer)})


def test_runs_that_are_asked_for_items_held_out_of_training_are_refused(runs):
    run = load_artifact(runs / "sasrec")
    cold = replace(run, config=run.config.model_copy(update={"split": SplitConfig(method="new-items")}))
    with pytest.raises(DataError, match="cold: its split 'new-items' asks for items that training has not seen"):
        blend({"cold": cold, "run": run})


def test_a_blend_is_not_fitted(runs, blended, tmp_path):
    config = load_artifact(blended).config
    with pytest.raises(ConfigError, match="A blend is made of fitted runs"):
        fit(config, LOG)
    with pytest.raises(ConfigError, match="a blend is made of fitted runs"):
        Recommender(config=blended / "config.toml")
    with pytest.raises(ConfigError, match="a blend is made of fitted runs"):
        Recommender(backbone="blend")
    with pytest.raises(RunError, match="not fitted yet"):
        Recommender.blend([Recommender(backbone="markov")])
    with pytest.raises(ConfigError, match="expected a list of run folders"):
        Recommender.blend(blended)
    with pytest.raises(ConfigError, match="at least one run"):
        Recommender.blend([])
