"""The public object, whole: small logs, small tables, every part in play."""

from __future__ import annotations

import dataclasses
import json
import warnings

import numpy as np
import polars as pl
import pytest
import torch

from mltfr import Recommender
from mltfr.errors import ConfigError, DataError, MltfrWarning, RunError
from mltfr.pipeline import resolve
from mltfr.pipeline.build import build_model
from mltfr.tokens import TokenStore, TokenTable, load_tables
from mltfr.training import Callback, TrainingConfig
from mltfr.training.samples import WindowSamples
from support.walks import as_log, rows, walks

TABLES = ("alpha", "beta")
SMALL = (
    "backbone.hidden=16",
    "backbone.max_length=8",
    "tokens.width=8",
    "training.batch_size=32",
    "training.advanced.fisher_examples=64",
)
MLTFR = (*SMALL, "fusion.filter.shortlist=12", "fusion.filter.keep=3")


def put_tables():
    store = TokenStore()
    for seed, name in enumerate(TABLES):
        if name not in store:
            values = np.random.default_rng(seed).normal(size=(30, 10)).astype(np.float32)
            store.put(TokenTable(name, values, tuple(f"w{n}" for n in range(30))))


@pytest.fixture(autouse=True)
def _tables(_own_home):
    put_tables()


WALKS = walks(users=40, items=20, shortest=3, longest=9)


@pytest.fixture(scope="module")
def log():
    return as_log(rows(WALKS))


def fit(log, *, settings=MLTFR, tokens=TABLES, epochs=2, **arguments):
    recommender = Recommender(tokens=tokens, settings=settings, epochs=epochs, **arguments)
    return recommender.fit(log, callback=Callback())


def weights(recommender):
    return recommender.fitted.model.state_dict()


def assert_same_weights(first, second):
    first, second = weights(first), weights(second)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


@pytest.fixture(scope="module")
def fitted(log, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLTFR_HOME", str(tmp_path_factory.getbasetemp() / "mltfr-home"))
        put_tables()
        return fit(log)


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not(log, fitted):
    assert_same_weights(fit(log), fitted)
    other = weights(fit(log, seed=1))
    assert not torch.equal(other["item_embedding.weight"], weights(fitted)["item_embedding.weight"])


def test_the_order_of_the_tables_does_not_matter(log, fitted):
    assert_same_weights(fit(log, tokens=TABLES[::-1]), fitted)


def test_identical_requests_get_identical_answers(fitted):
    histories = {"a": ["i1", "i2"], "b": ["i7"]}
    first = fitted.recommend(histories=histories, k=5)
    assert first.equals(fitted.recommend(histories=histories, k=5))
    alone = fitted.recommend(histories={"b": ["i7"]}, k=5)
    together = first.filter(pl.col("user_id") == "b")
    assert alone["item_id"].equals(together["item_id"])
    np.testing.assert_allclose(alone["score"], together["score"], rtol=1e-5, atol=1e-6)


def test_a_fresh_recommender_equals_its_bare_backbone_to_the_bit(log):
    full, bare = (
        resolve(fusion=f, tokens=t, overrides=s) for f, t, s in (("mltfr", TABLES, MLTFR), ("none", [], SMALL))
    )
    items = torch.tensor([[0, 0, 3, 4], [5, 6, 7, 8]])
    models = [build_model(full, 20, load_tables(full.tokens)).eval(), build_model(bare, 20, []).eval()]
    assert torch.equal(models[0].user_embedding(items), models[1].user_embedding(items))
    assert torch.equal(models[0].scoring_matrix(), models[1].scoring_matrix())


def test_a_recommender_that_is_saved_makes_nothing_again(fitted, tmp_path):
    scorer = fitted._of_fit()[1].scorer
    fitted.save(tmp_path / "run")
    retriever = fitted._of_fit()[1]
    assert retriever.scorer is scorer
    assert retriever.folder == tmp_path / "run"


def test_every_index_answers_alike_where_one_list_holds_all_items(fitted):
    pytest.importorskip("faiss")
    answers = [fitted.recommend(k=5, deny=["i3"], index=index) for index in ("exact", "dense", "ivf")]
    for answer in answers[1:]:
        assert answer.drop("score").equals(answers[0].drop("score"))
        np.testing.assert_allclose(answer["score"], answers[0]["score"], rtol=1e-4, atol=1e-5)
    report = fitted.index_report(k=5, sample=10)
    assert (report.k, report.recall) == (5, 1.0)
    assert report.histories <= 10


def test_a_single_request_is_a_row_of_many(fitted):
    everybody = fitted.recommend(k=20)
    for user in ("u3", "u17"):
        alone = fitted.recommend(users=[user], k=20)
        assert alone.drop("score").equals(everybody.filter(pl.col("user_id") == user).drop("score"))
        assert alone.schema == everybody.schema


def test_saved_and_loaded_it_is_the_same(fitted, tmp_path, monkeypatch):
    fitted.save(tmp_path / "run")
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path / "nothing"))  # the token tables are not needed any more
    loaded = Recommender.load(tmp_path / "run")
    assert_same_weights(loaded, fitted)
    assert loaded.metrics == fitted.metrics
    assert loaded.config == fitted.fitted.config
    assert dict(loaded.evaluate().metrics) == fitted.metrics["metrics"]
    assert loaded.recommend(k=3).equals(fitted.recommend(k=3))
    with pytest.raises(RunError, match="holds a finished run"):
        fitted.save(tmp_path / "run")


def test_the_zero_branch_stands_beside_the_score(log, fitted):
    assert fitted.metrics["zero_branch"] == dict(fitted.evaluate(zero_branch=True).metrics)
    scorer, histories = fitted.fitted.scorer(), list(fitted.fitted.split.histories)
    scores = scorer.scores(scorer.queries(histories), 1, scorer.items + 1)
    zero_branch = fitted.fitted.zero_branch()
    assert not torch.allclose(scores, zero_branch.scores(zero_branch.queries(histories), 1, scorer.items + 1))
    bare = fit(log, fusion="none", tokens=None, settings=SMALL)
    assert bare.metrics["zero_branch"] == bare.metrics["metrics"]


@pytest.mark.parametrize("backbone", ["sasrec", "bert4rec", "fmlp-rec", "bsarec"])
@pytest.mark.parametrize("preset", ["default", "reference"])
@pytest.mark.parametrize("fusion", ["mltfr", "none"])
def test_every_backbone_with_every_preset(log, tmp_path, backbone, preset, fusion):
    settings = (*SMALL, "training.first_round_epochs=1")
    if fusion == "mltfr" and preset == "default":
        settings = (*settings, *MLTFR[-2:])
    tokens = TABLES if fusion == "mltfr" else None
    recommender = fit(log, backbone=backbone, preset=preset, fusion=fusion, tokens=tokens, settings=settings, epochs=1)
    assert np.isfinite(list(recommender.metrics["metrics"].values())).all()
    assert [r["round"] for r in recommender.fitted.history] == ([1, 2] if fusion == "mltfr" else [1])
    recommender.save(tmp_path / "run")
    assert_same_weights(Recommender.load(tmp_path / "run"), recommender)


@pytest.mark.parametrize("loss", ["bce", "bpr", "gbce", "sampled_softmax"])
@pytest.mark.parametrize("samples", ["prefixes", "positions"])
def test_every_loss_with_both_rounds(log, loss, samples):
    settings = (*MLTFR, f"loss.name={loss}", f"training.samples={samples}")
    trained = fit(log, settings=settings, epochs=1)
    assert [r["round"] for r in trained.fitted.history] == [1, 2]
    assert trained.fitted.model.fusion.consensus is not None


@pytest.mark.parametrize("control", ["random", "shuffled"])
def test_a_control_is_one_line_and_has_as_many_parameters(log, fitted, control):
    other = fit(log, fusion=control)
    sizes = [sum(p.numel() for p in r.fitted.model.parameters() if p.requires_grad) for r in (fitted, other)]
    assert sizes[0] == sizes[1]
    before, after = (json.loads(r.config.model_dump_json()) for r in (fitted, other))
    assert (before["fusion"].pop("name"), after["fusion"].pop("name")) == ("mltfr", control)
    assert before == after
    assert other.metrics["metrics"] != fitted.metrics["metrics"]


def test_held_out_items_never_reach_training(log):
    """Replacing every held-out item by one that nobody else has changes nothing but the scores."""
    found = list(rows(WALKS))
    last = {}
    for place, (user, _, _) in enumerate(found):
        last.setdefault(user, []).append(place)
    planted = list(found)
    for user, places in last.items():
        for place in places[-2:] if len(places) > 2 else places[-1:] if len(places) == 2 else []:
            planted[place] = (user, f"marker-{place}", found[place][2])
    held_out_only = {item for _, item, _ in found} - {
        item for user, places in last.items() for p in places[: max(1, len(places) - 2)] for item in [found[p][1]]
    }
    assert not held_out_only  # every item of the log is trained on, so both vocabularies are alike
    settings = (*MLTFR, "training.patience=3")
    one, two = (fit(as_log(f), settings=settings, epochs=1) for f in (found, planted))
    assert one.fitted.split.vocabulary.item_ids == two.fitted.split.vocabulary.item_ids
    assert not any(item.startswith("marker") for item in two.fitted.split.vocabulary.item_ids)
    np.testing.assert_array_equal(one.fitted.split.vocabulary.counts, two.fitted.split.vocabulary.counts)
    assert_same_weights(one, two)  # shortlists and consensus expert included
    assert two.metrics["metrics"]["hr@20"] == 0
    assert two.metrics["unknown_targets"] == two.metrics["examples"]


def test_the_tables_are_data_and_stay_as_they_are(log):
    before = [np.array(table.vectors) for table in load_tables(resolve(tokens=TABLES, overrides=MLTFR).tokens)]
    recommender = fit(log)
    after = load_tables(recommender.config.tokens)
    for vectors, table in zip(before, after, strict=True):
        np.testing.assert_array_equal(vectors, table.vectors)
    trained = {name for name, p in recommender.fitted.model.named_parameters() if p.requires_grad}
    assert not any("shortlist" in name or "consensus" in name for name in trained)


def test_what_is_not_known_is_said(fitted):
    with pytest.raises(DataError, match="users: user 'nobody' is not in the training log"):
        fitted.recommend(users=["nobody"])
    with pytest.raises(DataError, match=r"None of the 2 items of allow occurs in the training data \(first: 'x'\)"):
        fitted.recommend(users=["u1"], allow=["x", "y"])
    with pytest.warns(MltfrWarning, match=r"1 item of allow is not in the training data and was skipped \(x\)"):
        assert fitted.recommend(users=["u1"], allow=["x", "i1"], include_seen=True)["item_id"].to_list() == ["i1"]
    with pytest.warns(MltfrWarning, match="2 items of deny are not in the training data"):
        assert "i1" not in fitted.recommend(deny=["x", "i1", "y", "x"], include_seen=True)["item_id"]
    with pytest.raises(DataError, match="Item 'i' does not occur in the training data"):
        fitted.similar_items("i")
    with pytest.raises(DataError, match="users is the text 'u1'; expected a list of user ids"):
        fitted.recommend(users="u1")
    with pytest.raises(DataError, match="deny is the text 'i1'; expected a list of item ids"):
        fitted.recommend(deny="i1")
    with pytest.raises(DataError, match="expected a list of item ids"):
        fitted.recommend(histories=["i1"])
    with pytest.warns(MltfrWarning, match="1 item is not in the training data"):
        frame = fitted.recommend(histories=[["i1", "x"]], k=4)
    assert frame["user_id"].to_list() == ["0"] * 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.recommend(histories=[["i1"]])
    with pytest.raises(RunError, match="not fitted yet"):
        Recommender(tokens=TABLES, settings=MLTFR).recommend()


def test_the_closest_item_is_named_whole():
    recommender = fit(as_log([(user, f"Known: {item}", time) for user, item, time in rows(WALKS)]), backbone="ease",
                      settings=(), tokens=None, epochs=None)  # fmt: skip
    with pytest.raises(DataError, match=r"data\. Did you mean 'Known: i3'\?$"):
        recommender.similar_items("Known: i3x")


def test_similar_items(fitted):
    frame = fitted.similar_items("i3", k=5)
    assert frame.columns == ["similar_to", "rank", "item_id", "similarity"]
    assert "i3" not in frame["item_id"]
    vectors = weights(fitted)["item_embedding.weight"]
    codes = fitted.fitted.split.vocabulary.codes
    expected = torch.cosine_similarity(vectors[codes["i3"]], vectors[codes[frame["item_id"][0]]], dim=0)
    assert frame["similarity"][0] == pytest.approx(float(expected), abs=1e-6)
    assert frame["similarity"].is_sorted(descending=True)


def test_a_backbone_that_sees_later_items_is_not_trained_on_them(log):
    class Bidirectional:
        is_causal = False
        max_length = 5

    model = dataclasses.make_dataclass("Model", ["backbone", "mask_token"])(Bidirectional(), None)
    from mltfr.training.samples import make_samples

    histories = fit(log, fusion="none", tokens=None, settings=SMALL, epochs=1).fitted.split.train_histories()
    with pytest.raises(ConfigError, match="lets Bidirectional see its targets"):
        make_samples(TrainingConfig(samples="positions"), model, histories)
    assert isinstance(WindowSamples(histories, 5, 5).batch(np.arange(2), np.random.default_rng(0)).items, torch.Tensor)


def test_scores_can_be_those_of_a_sample(log, fitted):
    """It is drawn once: other seeds are measured on the same examples, so that they may be compared."""
    sampled = [fit(log, settings=[*MLTFR, "evaluation.max_examples=7"], seed=seed).evaluate() for seed in (0, 1)]
    assert [len(evaluation.user) for evaluation in sampled] == [7, 7]
    assert sampled[0].examples_digest == sampled[1].examples_digest
    whole = fitted.evaluate()
    assert sampled[0].protocol.hash != whole.protocol.hash
    places = [np.flatnonzero(whole.user == user).item() for user in sampled[0].user]
    assert (sampled[0].ranks.higher == whole.ranks.higher[places]).all()
