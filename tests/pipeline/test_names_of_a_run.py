"""Names in a model: which rows begin with them, and that they help where they say something, and only there."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from mltfr import Recommender
from mltfr.backbones import BACKBONES
from mltfr.errors import ConfigError
from mltfr.interactions import InteractionLog
from mltfr.names.coverage import NameCoverage
from mltfr.names.vectors import NameVectors
from mltfr.pipeline import resolve
from mltfr.pipeline.build import build_model
from mltfr.tokens import TokenStore
from mltfr.tokens.sources.synthetic import SyntheticConfig, synthetic_table, synthetic_words
from mltfr.training import Callback
from support.walks import as_log

ITEMS = 6
COVERAGE = NameCoverage("names", (), ITEMS, 3, (), 3, 3, 0, ())


def names(width: int) -> NameVectors:
    vectors = np.zeros((ITEMS + 1, width), np.float32)
    vectors[[1, 2, 5]] = np.random.default_rng(0).normal(size=(3, width))
    return NameVectors(vectors, COVERAGE, 1.0)


@pytest.mark.parametrize("width", [16, 5])
@pytest.mark.parametrize("backbone", [entry.name for entry in BACKBONES])
def test_items_with_a_name_begin_with_it_and_nothing_else_does(backbone: str, width: int) -> None:
    overrides = ("backbone.hidden=16", f"names.dimensions={width}")
    config = resolve(backbone=backbone, fusion="none", item_names="names.csv", overrides=overrides)
    plain, named = build_model(config, ITEMS, []), build_model(config, ITEMS, [], names=names(width))
    before, after = plain.item_embedding.weight.clone(), named.item_embedding.weight.detach()
    before[[1, 2, 5], :width] += torch.from_numpy(names(width).vectors[[1, 2, 5]])
    assert torch.equal(before, after)  # a mask token, a hidden item, padding and the nameless among them
    others = plain.state_dict().keys() - {"item_embedding.weight"}
    assert all(torch.equal(plain.state_dict()[key], named.state_dict()[key]) for key in others)


@pytest.mark.parametrize("settings", [(), ("names.rate_factor=0",), ("names.null_space=true", "names.dimensions=5")],
                         ids=["trained", "frozen", "null space"])  # fmt: skip
@pytest.mark.parametrize("backbone", ["sasrec", "bert4rec", "duorec", "gru4rec"])
def test_names_are_added_to_the_vectors_of_histories_and_candidates(backbone: str, settings: tuple[str, ...]) -> None:
    overrides = ("backbone.hidden=16", "names.use=additive", *settings)
    config = resolve(backbone=backbone, fusion="none", item_names="names.csv", overrides=overrides)
    width = config.names.dimensions or 16
    model = build_model(config, ITEMS, [], names=names(width)).eval()
    plain = build_model(resolve(backbone=backbone, fusion="none", overrides=overrides[:1]), ITEMS, []).eval()
    assert model.names is not None
    with torch.no_grad():
        model.names.weight += 0.1 * torch.randn(16, width, generator=torch.Generator().manual_seed(0))
        own = model.item_embedding.weight.clone()
        assert torch.equal(own, plain.item_embedding.weight)
        if config.names.null_space:
            own[[1, 2, 5], :5] = 0
        own[: ITEMS + 1] += torch.from_numpy(names(width).vectors) @ model.names.weight.T
        plain.item_embedding.weight.copy_(own)
        items = torch.tensor([[0, 3, 1, 2, 6], [1, 5, 4, 4, 2]])
        torch.testing.assert_close(model.user_embedding(items), plain.user_embedding(items))
        torch.testing.assert_close(model.scoring_matrix(), plain.scoring_matrix())
    (model.user_embedding(items) @ model.scoring_matrix().T).logsumexp(-1).sum().backward()
    assert (model.names.weight.grad is not None) == (config.names.rate_factor > 0)
    gradient = model.item_embedding.weight.grad
    assert gradient is not None
    assert gradient[[3, 4, 6]].abs().sum(1).min() > 0
    assert bool(gradient[[1, 2, 5], :5].any()) != config.names.null_space
    restored = build_model(config, ITEMS, [])
    restored.load_state_dict(model.state_dict())
    assert torch.equal(restored.eval().user_embedding(items), model.user_embedding(items))


def test_the_null_space_needs_room() -> None:
    for overrides, message in (
        (["names.null_space=true"], "null_space leaves items the directions behind"),
        (["names.null_space=true", "names.use=additive"], "Set use = 'additive' and dimensions below"),
        (["names.null_space=true", "names.use=additive", "names.dimensions=64"], "leaves items one at least"),
    ):
        with pytest.raises(ConfigError, match=message):
            resolve(fusion="none", item_names="names.csv", overrides=overrides)


def test_default_tables_are_those_of_mltfr_and_none_where_no_names_are_read() -> None:
    tables = resolve().tokens.tables
    read = "names.read=tables"
    assert resolve(fusion="none", item_names="names.csv", overrides=[read]).tokens.tables == tables
    assert resolve(fusion="none", item_names="names.csv").tokens.tables == ()
    assert resolve(fusion="none", item_names="names.csv", new_items=True).tokens.tables == ()
    new = resolve(fusion="none", item_names="names.csv", new_items=True, overrides=[read])
    assert new.tokens.tables == tables
    assert resolve(fusion="none", item_names="names.csv", name_columns="a, b").names.columns == ("a", "b")
    assert Recommender(fusion="none", item_names="names.csv", name_columns=["a"]).config.names.columns == ("a",)
    assert resolve(fusion="none", item_names="names.csv", overrides=[read, "names.use=none"]).tokens.tables == ()
    assert resolve(fusion="none").tokens.tables == ()


def test_names_that_were_in_memory_are_asked_for() -> None:
    with pytest.raises(ConfigError, match=r"given to Recommender\(item_names=...\), and no file has them"):
        Recommender(fusion="none", settings={"names.file": "memory"}).fit(log()[0], callback=Callback())


WORDS = SyntheticConfig(tokens=300, width=32, clusters=20, seed=3)


def log(seed: int = 0) -> tuple[InteractionLog, dict[str, str]]:
    """Return histories that stay among the items of a topic, with few of each, and names of a topic's words."""
    rng = np.random.default_rng(seed)
    drawn = synthetic_words(WORDS)
    topics = [np.flatnonzero(drawn.clusters == cluster) for cluster in range(WORDS.clusters)]
    topics = [topic for topic in topics if len(topic) > 9][:12]
    topic_of = np.arange(360) % len(topics)
    texts = {
        f"i{item}": " ".join(drawn.words[word] for word in rng.choice(topics[topic], 3))
        for item, topic in enumerate(topic_of)
    }
    rows = []
    for user in range(220):
        own = np.flatnonzero(topic_of == rng.integers(len(topics)))
        rows += [(f"u{user}", f"i{item}", time) for time, item in enumerate(rng.choice(own, 6, replace=False))]
    return as_log(rows), texts


@pytest.fixture(params=["words", "tables"])
def scores(request: pytest.FixtureRequest) -> dict[str, float]:
    TokenStore().put(synthetic_table(WORDS, "made-up"))
    found, texts = log()
    settings: dict[str, Any] = {"backbone.hidden": 32, "backbone.max_length": 8, "tokens.width": 24, "names.scale": 0.3,
                                "evaluation.baselines": False, "names.read": request.param}  # fmt: skip
    tokens = "made-up" if request.param == "tables" else None

    def score(**more: Any) -> float:
        recommender = Recommender(
            "sasrec", "none", tokens=tokens, item_names=texts, epochs=4, settings={**settings, **more}
        ).fit(found, callback=Callback())
        return float(recommender.metrics["validation"]["metrics"]["ndcg@10"])

    uses, kinds = ("none", "additive"), ("none", "permuted")
    return {f"use {use}": score(**{"names.use": use}) for use in uses} | {
        f"control {kind}": score(**{"names.control": kind}) for kind in kinds
    }


def test_names_help_where_they_say_something_and_those_of_other_items_do_not(scores: dict[str, float]) -> None:
    assert scores["control none"] > 2 * scores["use none"]
    assert scores["use additive"] > 2 * scores["use none"]
    assert scores["control permuted"] < 1.2 * scores["use none"]


def test_ids_are_names_where_they_are_words() -> None:
    TokenStore().put(synthetic_table(WORDS, "made-up"))
    found, texts = log()
    ids = pl.col("item_id").replace({item: f"{text.replace(' ', '_')}/{item}" for item, text in texts.items()})
    settings = {"backbone.hidden": 16, "tokens.width": 24, "evaluation.baselines": False, "names.read": "tables"}
    recommender = Recommender("sasrec", "none", "made-up", item_names="ids", epochs=1, settings=settings)
    coverage = recommender.fit(found.frame.with_columns(ids), callback=Callback()).metrics["names"]
    assert recommender.config.names.file == "ids"
    assert coverage["named"] == coverage["items"]
    known = [item.partition("/")[0].split("_") for item in recommender.fitted.split.vocabulary.item_ids]
    assert coverage["tables"][0]["whole"] == sum(len(set(words)) for words in known)


def test_a_name_is_read_before_the_split_and_test_items_are_known_by_name_only() -> None:
    found, texts = log()
    table = pl.DataFrame({"item_id": list(texts), "name": list(texts.values())})
    settings = {"backbone.hidden": 16}
    one = Recommender("sasrec", "none", item_names=table, epochs=1, settings=settings)
    one.fit(found, callback=Callback())
    known = set(one.fitted.split.vocabulary.item_ids)
    other = Recommender("sasrec", "none", epochs=1, settings=settings,
                        item_names=table.filter(pl.col("item_id").is_in(known)))  # fmt: skip
    other.fit(found, callback=Callback())
    first, second = (fitted.fitted.model.state_dict() for fitted in (one, other))
    assert all(torch.equal(first[key], second[key]) for key in first)
