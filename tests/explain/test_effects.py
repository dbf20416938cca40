"""Effects of a fusion's tables and tokens: what the score is without them, by hand and many in one batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from scipy.sparse import csr_array

from mltfr import Recommender
from mltfr.explain.effects import IS_A_CONTROL, RANDOM_TABLES, RENORMALISED, variant_effects
from mltfr.explain.explainer import Explainer
from mltfr.explain.kept import kept_of
from mltfr.explain.variants import AskedOnce, Variant, asking_once, mltfr_members, with_variants
from mltfr.fusion.mltfr import MltfrFusion
from mltfr.fusion.mltfr.shortlist import Choice
from mltfr.inference import ModelScorer
from mltfr.kernels.gathered import GatherIndex
from mltfr.names.new_items import NewItems
from mltfr.pipeline.models import NeuralModel
from mltfr.tokens import TokenStore, TokenTable
from mltfr.training import Callback
from support.walks import as_log, rows, walks

TABLES = ("east", "west")
FILTER = ("fusion.filter.shortlist=12", "fusion.filter.keep=3", "fusion.consensus_weight=0")
SMALL = [
    "backbone.hidden=16", "backbone.max_length=8", "tokens.width=8", "training.batch_size=32",
    "training.advanced.fisher_examples=64", "evaluation.baselines=false",
]  # fmt: skip


def put_tables() -> None:
    store = TokenStore()
    for seed, name in enumerate(TABLES):
        if name not in store:
            values = np.random.default_rng(seed).normal(size=(30, 10)).astype(np.float32)
            store.put(TokenTable(name, values, tuple(f"{name}{n}" for n in range(30))))


def fit(fusion: str = "mltfr", backbone: str = "sasrec", *more: str, **names: object) -> Recommender:
    put_tables()
    settings = [*SMALL, *(FILTER if fusion != "none" else ()), *more]
    recommender = Recommender(backbone, fusion, TABLES, settings=settings, epochs=1, **names)  # type: ignore
    recommender.fit(as_log(rows(walks(users=40, items=20, shortest=3, longest=9))), callback=Callback())
    for network, each, _ in mltfr_members(recommender.fitted.model):
        torch.manual_seed(0)
        with torch.no_grad():  # one epoch hardly moves it
            for parameter in each.parameters():
                parameter += 0.3 * torch.randn_like(parameter)
        network.eval()
    return recommender


@pytest.fixture(scope="module", params=["sasrec", "bert4rec"])
def fitted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLTFR_HOME", str(tmp_path_factory.getbasetemp() / "mltfr-home"))
        return fit(backbone=request.param)


def network_of(recommender: Recommender) -> tuple[NeuralModel, MltfrFusion]:
    (network, fusion, _), = mltfr_members(recommender.fitted.model)
    return network, fusion


class Alone(torch.nn.Module):
    """A router that asks one expert only."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = x.new_zeros(len(x), len(TABLES))
        weights[:, self.place] = 1
        return weights


def by_hand(network: NeuralModel, fusion: MltfrFusion, part: str, module: torch.nn.Module, codes: np.ndarray) -> list:
    import copy

    other = copy.copy(fusion)
    other._modules = {**fusion._modules, part: module}
    scorer = ModelScorer(network.with_fusion(other))
    history = np.array([3, 5, 4], np.int32)
    return scorer.scores(scorer.queries([history]), 1, 21)[0, codes - 1].tolist()


def test_a_table_is_left_out_by_its_router_weight_and_the_others_are_renormalised(fitted: Recommender) -> None:
    network, fusion = network_of(fitted)
    codes, history = np.array([2, 9]), np.array([3, 5, 4], np.int32)
    effects = variant_effects(network.scorer(), history, codes, [Variant(table="east"), Variant(table="west")])
    whole = by_hand(network, fusion, "router", fusion.router, codes)
    for place, effect in zip((1, 0), effects.tolist(), strict=True):
        without = by_hand(network, fusion, "router", Alone(place), codes)
        np.testing.assert_allclose(effect, np.subtract(whole, without), atol=1e-5)
        assert np.abs(effect).max() > 1e-3


def test_a_token_is_masked_where_it_is_kept_and_many_are_in_one_batch(fitted: Recommender) -> None:
    network, _ = network_of(fitted)
    codes, history = np.array([2, 9, 11]), np.array([3, 5, 4, 5], np.int32)
    (kept,) = kept_of(network, [history]).tokens
    assert {name for name, _ in kept} == set(TABLES)
    assert len(kept) == 6
    variants = [Variant(token=token) for token in kept]
    together = variant_effects(network.scorer(), history, codes, variants)
    alone = np.concatenate([variant_effects(network.scorer(), history, codes, [each]) for each in variants])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert (np.abs(together).max(1) > 1e-5).all()
    other = next(row for row in range(30) if ("east", row) not in kept and row not in shortlist(network))
    for nothing in (Variant(token=("east", other)), Variant()):
        assert np.abs(variant_effects(network.scorer(), history, codes, [nothing])).max() < 1e-6


def shortlist(network: NeuralModel) -> list[int]:
    assert isinstance(network.fusion, MltfrFusion)
    return network.fusion.filters.of("east").shortlist.ids.tolist()


def test_masking_is_attention_on_the_other_tokens(fitted: Recommender) -> None:
    network, fusion = network_of(fitted)
    codes, history = np.array([2]), np.array([3], np.int32)
    (table, token), *_ = kept_of(network, [history]).tokens[0]
    core, place = fusion.experts.of(table).core, fusion.filters.of(table).shortlist.ids.tolist().index(token)
    calls: list[tuple[tuple[Any, ...], torch.Tensor]] = []
    hook = core.register_forward_hook(lambda _, inputs, output: calls.append((inputs, output)))
    variant_effects(network.scorer(), history, codes, [Variant(token=(table, token))])
    hook.remove()
    (x, key, value, choice), output = calls[0]
    last = len(x) - 1                                                    # of the variant
    left = choice.kept.rows[last] != place
    assert left.sum() == 2
    others = Choice(GatherIndex(choice.kept.rows[last:, left], choice.kept.size), choice.log_weight[last:, left])
    with torch.inference_mode():
        torch.testing.assert_close(output[last:], core(x[last:], key, value, others))


def test_what_is_left_out_beside_new_items_leaves_their_factor_in(fitted: Recommender) -> None:
    vectors = torch.as_tensor(fitted.fitted.model.trained_vectors()[:1]).numpy()  # type: ignore[union-attr]
    words = csr_array(np.ones((len(fitted.fitted.split.vocabulary) + 1, 1), np.float32))
    new = NewItems(("new-1",), vectors, words, 0.3, 4.0)
    model = replace(fitted.fitted, new_items=new).with_new_items().model
    history = [np.array([1, 2, 3], np.int32)]
    variants = [with_variants(model.scorer(), [each]) for each in (Variant(), Variant(table="east"))]
    scores = [each.scores(each.queries(history), 1, each.items + 1) for each in (model.scorer(), *variants)]
    torch.testing.assert_close(scores[1], scores[0])
    assert (scores[2] - scores[0]).abs().max() > 1e-6


def test_equal_queries_ask_a_filter_once(fitted: Recommender) -> None:
    network, fusion = network_of(fitted)
    histories = [np.array(each, np.int32) for each in ([3, 5, 4], [3, 5, 9], [3, 5, 4], [5, 4])]
    asked: list[int] = []
    hook = fusion.filters.of("east").register_forward_hook(lambda _, inputs, __: asked.append(len(inputs[0])))
    plain = network.scorer()
    found = [each.scores(each.queries(histories), 1, 21) for each in (plain, asking_once(plain))]
    hook.remove()
    torch.testing.assert_close(found[1], found[0], atol=1e-5, rtol=0)
    assert asked == ([11, 6] if fusion.is_causal else [4, 3])  # 3; 3, 5; 3, 5, 4; 3, 5, 9; 5; 5, 4


def test_explanations_ask_filters_once(fitted: Recommender) -> None:
    scorer = Explainer(fitted.fitted, fitted.fitted.scorer()).fallback.scorer
    assert isinstance(scorer, ModelScorer)
    assert isinstance(scorer.model.fusion, MltfrFusion)
    assert {type(each) for each in scorer.model.fusion.filters.each()} == {AskedOnce}


def test_words_stand_beside_what_the_controls_say(fitted: Recommender) -> None:
    put_tables()
    each = fitted.explain(["u1"], k=1)[0]
    assert {token.text for token in each.tokens} <= {f"{name}{n}" for name in TABLES for n in range(30)}
    assert {token.table for token in each.tokens} == set(TABLES)
    assert [token.effect for token in each.tokens] == sorted((token.effect for token in each.tokens), reverse=True)
    assert RANDOM_TABLES in each.controls
    assert any("zero branch" in text or "without it" in text for text in each.controls)
    assert sum(each.router.values()) == pytest.approx(1)
    assert [effect.part for effect in each.effects] == ["fusion", "table east", "table west"]
    assert each.effects[1].without == RENORMALISED
    assert sum(token.looked_at for token in each.tokens if token.table == "east") == pytest.approx(1, abs=1e-4)


def test_every_member_of_a_blend_looks_at_what_it_reads() -> None:
    """Members may read fewer items than the blend; a control among them has tokens of its own in the same tables."""
    members = [fit(), fit("mltfr", "sasrec", "backbone.max_length=4"), fit("random")]
    for some, words in ((members[:2], True), (members, False)):
        blend = Recommender.blend(some, [3, 1, 1][: len(some)], callback=Callback())
        each = blend.explain(histories=[[f"i{n}" for n in range(8)]], k=1)[0]
        assert each.tokens
        assert all((token.text is not None) == words for token in each.tokens)
        assert sum(each.router.values()) == pytest.approx(1)
        assert max(abs(effect.value) for effect in each.effects if "table" in effect.part) > 1e-6
        assert max(abs(token.effect) for token in each.tokens) > 1e-6


def test_rows_of_a_control_have_no_words() -> None:
    each = fit("random").explain(["u1"], k=1)[0]
    assert {token.text for token in each.tokens} == {None}
    assert IS_A_CONTROL in each.controls
    assert RANDOM_TABLES not in each.controls


def test_tokens_have_no_words_where_the_tables_are_not_at_hand(
    fitted: Recommender, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path))
    each = fitted.explain(["u1"], k=1)[0]
    assert {token.text for token in each.tokens} == {None}
    assert RANDOM_TABLES in each.controls


def test_a_fusion_at_the_items_tells_its_tables_and_no_tokens() -> None:
    recommender = fit("mltfr", "sasrec", "fusion.site=items")
    each = recommender.explain(["u1"], k=1)[0]
    assert (each.tokens, each.router) == ((), {})
    tables = [effect for effect in each.effects if effect.part.startswith("table")]
    assert [effect.part for effect in tables] == ["table east", "table west"]
    assert all(effect.value for effect in tables)
    scorer = recommender.fitted.model.scorer()  # its item vectors are made, and nothing asks
    assert asking_once(scorer) is scorer


def test_names_have_an_effect_where_they_stay() -> None:
    names = pl.DataFrame({"item_id": [f"i{n}" for n in range(20)], "title": [f"w{n % 5} w{n % 3}" for n in range(20)]})
    more = ("names.use=additive", "names.dimensions=4")
    recommender = fit("none", "sasrec", *more, item_names=names)
    each = recommender.explain(["u1"], k=1)[0]
    (effect,) = each.effects
    assert effect.part == "names"
    assert effect.value != 0
    assert each.tokens == each.controls == ()
