"""Items that training has not seen: found by their names when asked for, and out of every other answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

from mltfr import Recommender
from mltfr.batch import PartScorer, RunUsers
from mltfr.errors import ConfigError, RunError
from mltfr.inference import RecommendationSpec
from mltfr.interactions import InteractionLog
from mltfr.pipeline import load_inference_model, resolve
from mltfr.pipeline.build import build_model
from mltfr.tokens import TokenStore
from mltfr.tokens.sources.synthetic import SyntheticConfig, synthetic_table, synthetic_words
from mltfr.training import Callback
from support.walks import as_log

WORDS = SyntheticConfig(tokens=200, width=24, clusters=12, seed=3)
TOPICS, ITEMS, HELD = 8, 160, 10
"""Topics, items, and every which one of them is in no training history."""
SETTINGS = {"backbone.hidden": 24, "backbone.max_length": 8, "tokens.width": 24, "names.scale": 0.5,
            "evaluation.baselines": False}  # fmt: skip


def topic(item: str) -> int:
    return int(item[1:]) % TOPICS


def is_new(item: str) -> bool:
    return int(item[1:]) % HELD == 3


def data() -> tuple[InteractionLog, dict[str, str]]:
    """Return histories that stay among the items of a topic, some of which come last and nowhere else; and names."""
    rng = np.random.default_rng(0)
    drawn = synthetic_words(WORDS)
    topics = [np.flatnonzero(drawn.clusters == cluster) for cluster in range(WORDS.clusters)]
    topics = [found for found in topics if len(found) > 6][:TOPICS]
    assert len(topics) == TOPICS
    texts = {f"i{n}": " ".join(drawn.words[word] for word in rng.choice(topics[n % TOPICS], 3)) for n in range(ITEMS)}
    rows = []
    for user in range(240):
        own = [item for item in texts if topic(item) == user % TOPICS]
        old, new = ([item for item in own if is_new(item) == kind] for kind in (False, True))
        items = [*rng.choice(old, 6, replace=False), *(rng.choice(new, 1) if user % 3 == 0 and new else ())]
        rows += [(f"u{user}", item, time) for time, item in enumerate(items)]
    return as_log(rows), texts


@dataclass
class Fits:
    """The same fit with new items and without, its folder, and what both were made of."""

    new: Recommender
    plain: Recommender
    folder: Path
    log: InteractionLog
    texts: dict[str, str]


@pytest.fixture(scope="module", params=["tables", "words"])
def fits(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Fits:
    TokenStore().put(synthetic_table(WORDS, "made-up"))
    given = {"tokens": "made-up" if request.param == "tables" else None,
             "settings": {**SETTINGS, "names.read": request.param}}  # fmt: skip
    (log, texts), folder = data(), tmp_path_factory.mktemp("runs")

    def fit(name: str, **more: Any) -> Recommender:
        made = Recommender("sasrec", "none", item_names=texts, epochs=3, **given, **more)
        return made.fit(log, folder / name, callback=Callback())

    return Fits(fit("new", new_items=True), fit("plain"), folder, log, texts)


def test_nothing_changes_where_they_are_not_asked_for(fits: Fits) -> None:
    assert (fits.folder / "new" / "weights.safetensors").read_bytes() == (
        fits.folder / "plain" / "weights.safetensors").read_bytes()  # fmt: skip
    assert fits.new.metrics["metrics"] == fits.plain.metrics["metrics"]
    for recommender in (fits.new, Recommender.load(fits.folder / "new")):
        assert_frame_equal(recommender.recommend(), fits.plain.recommend(), check_exact=True)
        assert_frame_equal(recommender.similar_items("i4"), fits.plain.similar_items("i4"), check_exact=True)
    scored = [batch(fits.folder / name) for name in ("new", "plain")]
    assert_frame_equal(*scored, check_exact=True)


def batch(run: Path, **more: Any) -> pl.DataFrame:
    users = RunUsers(run)
    return PartScorer(load_inference_model(run), RecommendationSpec(**more), run).score(users.read(0, len(users))).table


def test_new_items_of_a_topic_come_to_its_users(fits: Fits) -> None:
    found = fits.new.recommend(k=10, new_items=True)
    new = found.filter(pl.col("item_id").map_elements(is_new, pl.Boolean))
    assert new["item_id"].n_unique() > ITEMS / HELD / 2
    fitting = [topic(item) == int(user[1:]) % TOPICS for user, item in new.select("user_id", "item_id").iter_rows()]
    assert np.mean(fitting) > 0.9
    similar = fits.new.similar_items("i3", k=5, new_items=True)
    assert [topic(item) for item in similar["item_id"]].count(3) >= 4


def test_what_a_user_had_is_no_candidate_though_training_does_not_know_it(fits: Fits) -> None:
    had = {(user, item) for user, item, *_ in fits.log.frame.iter_rows() if is_new(item)}
    assert had
    found = fits.new.recommend(k=ITEMS, new_items=True)
    assert had.isdisjoint(zip(found["user_id"], found["item_id"], strict=True))
    assert found.group_by("user_id").len()["len"].min() == ITEMS - 7  # all others are


def test_a_history_of_new_items_alone_is_read(fits: Fits) -> None:
    for wanted in {topic(item) for item in fits.texts if is_new(item)}:
        own = [item for item in fits.texts if is_new(item) and topic(item) == wanted]
        best = fits.new.recommend(histories=[own], new_items=True)["item_id"]
        assert [topic(item) for item in best].count(wanted) >= 5
    with pytest.warns(UserWarning, match="no item that training knows"):
        fits.new.recommend(histories=[["i3"]])


def test_the_folder_needs_neither_names_nor_tables(fits: Fits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = fits.new.recommend(new_items=True)
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path))  # no tables there
    loaded = Recommender.load(fits.folder / "new")
    assert_frame_equal(loaded.recommend(new_items=True), wanted, check_exact=True)
    by_batch = batch(fits.folder / "new", new_items=True)
    assert_frame_equal(by_batch.drop("score"), wanted.drop("score"))
    loaded.save(tmp_path / "again")
    again = Recommender.load(tmp_path / "again")
    assert_frame_equal(again.recommend(new_items=True), wanted, check_exact=True)
    facts = json.loads((fits.folder / "new" / "manifest.json").read_text())["new_items"]
    assert facts["items"] == sum(map(is_new, fits.texts))
    assert facts["explained"] > 0.3
    assert facts["weight"] == loaded.fitted.new_items.weight > 0  # type: ignore[union-attr]
    assert facts["validation"]["as_new"] > 0


def test_a_damaged_file_is_refused(fits: Fits, tmp_path: Path) -> None:
    fits.new.save(tmp_path / "run")
    (tmp_path / "run" / "new_items.parquet").write_bytes(b"something else")
    with pytest.raises(RunError, match=r"new_items\.parquet: damaged"):
        Recommender.load(tmp_path / "run")


def test_a_run_without_them_says_how_to_have_them(fits: Fits) -> None:
    for ask in (fits.plain.recommend, lambda **how: fits.plain.similar_items("i1", **how)):
        with pytest.raises(ConfigError, match="--item-names FILE --new-items"):
            ask(new_items=True)


@pytest.mark.parametrize(("given", "message"), [
    ({}, "no names are given"), ({"item_names": "ids"}, "the ids of the log's own items are read"),
    ({"item_names": "n.csv", "overrides": ["names.use=none"]}, "names.use = 'none' reads none"),
    ({"item_names": "n.csv", "fusion": "adapter", "item_vectors": "v.parquet", "tokens": "made-up"},
     "reads a vector of every item"),
    ({"item_names": "n.csv", "fusion": "mltfr", "tokens": "made-up", "overrides": ["training.keep_rounds=true"]},
     r"a blend keeps no vectors of items that training has not seen\. Leave out --new-items"),
])  # fmt: skip
def test_settings_that_do_not_go_together(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(**{"fusion": "none", "new_items": True, **given})


@pytest.mark.parametrize(("backbone", "more"), [
    ("sasrec", ()), ("bert4rec", ("names.use=additive",)), ("gru4rec", ()), ("duorec", ("names.use=additive",)),
    ("sasrec", ("backbone.temperature=0.1",)),
])  # fmt: skip
def test_a_wider_model_scores_its_own_items_as_before(backbone: str, more: tuple[str, ...]) -> None:
    config = resolve(backbone=backbone, fusion="none", item_names="n.csv", overrides=("backbone.hidden=16", *more))
    model = build_model(config, 6, []).eval()
    if model.names is not None:
        model.names.names.normal_()
    new = torch.randn(3, model.trained_vectors().shape[1])
    wider = model.with_items(new)
    histories = [np.array([1, 4, 2], np.int32), np.array([6], np.int32)]
    ours, theirs = model.scorer(), wider.scorer()
    torch.testing.assert_close(
        theirs.scores(theirs.queries(histories), 1, 7), ours.scores(ours.queries(histories), 1, 7), rtol=0, atol=1e-6
    )
    torch.testing.assert_close(wider.trained_vectors()[6:], new)
    assert len(model.item_embedding.weight) + 3 == len(wider.item_embedding.weight)
    assert model.items == 6
    assert wider.scorer().queries([np.array([8], np.int32)]).abs().sum() > 0  # a new item is read
