"""Tokens and items in one space: a token lies where an item lies whose name it is, from the first step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from mltfr.errors import ConfigError
from mltfr.fusion.mltfr import MltfrFusion
from mltfr.fusion.mltfr.model import TokenFilter
from mltfr.interactions import Histories, Vocabulary
from mltfr.names.texts import item_texts
from mltfr.names.vectors import NameVectors, name_vectors
from mltfr.pipeline import RunConfig, resolve
from mltfr.pipeline.build import build_model
from mltfr.tokens import PreparedTable, TokenStore, load_tables
from mltfr.tokens.sources.synthetic import SyntheticConfig, synthetic_table, synthetic_words
from mltfr.tokens.spelling import load_spellings

ITEMS = 60
SMALL = ("names.read=tables", "backbone.hidden=16", "tokens.width=12", "fusion.filter.shortlist=70",
         "fusion.filter.keep=4")  # fmt: skip


def settings(*more: str) -> RunConfig:
    return resolve(tokens="one,two", item_names="names.csv", overrides=[*SMALL, "names.shared_space=true", *more])


@pytest.fixture
def read() -> tuple[list[PreparedTable], NameVectors]:
    """Return two tables of the same words, and the names of items, of which each is one of the words."""
    made_up = [SyntheticConfig(tokens=70, width=20, clusters=9, view=view) for view in range(2)]
    drawn = synthetic_words(made_up[0])
    for config_of_table, name in zip(made_up, ("one", "two"), strict=True):
        TokenStore().put(synthetic_table(config_of_table, name))
    config = settings()
    tables = load_tables(config.tokens)
    ids = tuple(f"i{item}" for item in range(ITEMS))
    texts = item_texts(dict(zip(ids, tables[0].words, strict=False)))
    spellings = load_spellings(config.tokens)
    vocabulary = Vocabulary(ids, np.ones(ITEMS + 1, np.int64))
    cluster = dict(zip(drawn.words, drawn.clusters.tolist(), strict=True))
    order = sorted(range(ITEMS), key=lambda item: cluster[tables[0].words[item]])       # those of one meaning together
    steps = np.array([[order[place] + 1, order[place + 1] + 1] for place in range(ITEMS - 1)], np.int32)
    histories = Histories(np.arange(ITEMS, dtype=np.int64) * 2, steps.ravel())
    return tables, name_vectors(texts, vocabulary, histories, config.names, 16, tables, spellings)


def places(config: RunConfig, read: tuple[list[PreparedTable], NameVectors]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where both tables' filters put the tokens of the items' names together, and the items, `[I, D]` each."""
    tables, names = read
    model = build_model(config, ITEMS, tables, names=names)
    fusion = model.fusion
    assert isinstance(fusion, MltfrFusion)
    found = torch.zeros(ITEMS, 16)
    for table in tables:
        part = fusion.filters.of(table.name)
        assert isinstance(part, TokenFilter)
        rows = torch.tensor([table.words.index(word) for word in tables[0].words[:ITEMS]])
        vectors = torch.from_numpy(table.vectors[rows.numpy()].astype(np.float32)) * table.shape[1] ** 0.5
        found += part.projection(vectors).detach()
        torch.testing.assert_close(fusion.experts.of(table.name).adapter(vectors), part.projection(vectors))
    return found, model.item_vectors().all()[1 : ITEMS + 1].detach()


def test_a_token_lies_where_its_items_lie(read: tuple[list[PreparedTable], NameVectors]) -> None:
    for use in ("start", "additive"):  # beside the ordinary start, or what is learned of the item
        assert cosine_similarity(*places(settings(f"names.use={use}"), read)).min() > 0.98


def test_without_it_tokens_lie_anywhere(read: tuple[list[PreparedTable], NameVectors]) -> None:
    tables, names = read
    config = settings("names.shared_space=false")
    model = build_model(config, ITEMS, tables, names=names)
    assert isinstance(model.fusion, MltfrFusion)
    part = model.fusion.filters.of("one")
    assert isinstance(part, TokenFilter)
    assert part.projection.weight.detach().norm() == pytest.approx(16**0.5, rel=0.3)  # variance preserving
    assert not part.projection.bias.any()


def test_a_fresh_model_is_its_bare_backbone_with_names(read: tuple[list[PreparedTable], NameVectors]) -> None:
    tables, names = read
    bare = build_model(resolve(fusion="none", tokens="one,two", item_names="names.csv", overrides=SMALL[:3]), ITEMS, [],
                       names=names).eval()  # fmt: skip
    fresh = build_model(settings(), ITEMS, tables, names=names).eval()
    items = torch.tensor([[0, 3, 1, 2, 6], [1, 5, 4, 4, 2]])
    assert torch.equal(bare.user_embedding(items), fresh.user_embedding(items))


def test_what_has_no_tokens_among_names_is_refused() -> None:
    for more in (["fusion=none"], ["names.read=words"], ["names.use=none"]):
        with pytest.raises(ConfigError, match=r"names\.shared_space puts tokens where names put them"):
            resolve(item_names="names.csv", overrides=["names.read=tables", "names.shared_space=true", *more])
