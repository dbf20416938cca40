"""Item vectors, backbone and fusion together."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mltfr.backbones.bert4rec import BERT4Rec, BERT4RecConfig
from mltfr.backbones.sasrec import SASRec, SASRecConfig
from mltfr.fusion import Fusion, FusionInputs
from mltfr.fusion.none import NoFusion, NoFusionConfig
from mltfr.model import SequentialModel

ITEMS = 20


class Spy(Fusion):
    """Remembers what it saw, and adds one everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        self.seen = (x, mask)
        return torch.ones_like(x)


def sasrec(fusion: Fusion | None = None, site: int = 0) -> SequentialModel:
    torch.manual_seed(0)
    return SequentialModel(ITEMS, SASRec(SASRecConfig(hidden=8, max_length=6)), fusion, site).eval()


def bert4rec(fusion: Fusion | None = None) -> SequentialModel:
    torch.manual_seed(0)
    return SequentialModel(ITEMS, BERT4Rec(BERT4RecConfig(hidden=8, max_length=6)), fusion).eval()


@pytest.fixture
def items() -> Tensor:
    return torch.tensor([[0, 0, 3, 4], [5, 6, 7, 8]])


@pytest.mark.parametrize("site", [-2, 2])
def test_a_site_must_be_a_block(site: int) -> None:
    with pytest.raises(ValueError, match=f"site is {site}, but the backbone has blocks 0 to 1"):
        sasrec(site=site)


def test_item_embedding() -> None:
    assert sasrec().item_embedding.weight.shape == (ITEMS + 1, 8)
    assert bert4rec().item_embedding.weight.shape == (ITEMS + 2, 8)
    for model in (sasrec(), bert4rec()):
        assert not model.item_embedding.weight[0].any()
        assert model.item_embedding.weight[1:].std().item() == pytest.approx(0.02, rel=0.2)


def test_no_fusion_equals_the_bare_backbone_to_the_bit(items: Tensor) -> None:
    none = NoFusion(NoFusionConfig(), FusionInputs(hidden=8, is_causal=True))
    assert torch.equal(sasrec(none).encode(items), sasrec().encode(items))


@pytest.mark.parametrize("first", [None, Spy()], ids=["bare", "fused"])
def test_another_fusion_takes_the_place_of_the_one_that_is_there(items: Tensor, first: Fusion | None) -> None:
    model, fusion = sasrec(first), Spy()
    before = model.encode(items)
    other = model.with_fusion(fusion)
    assert torch.equal(other.encode(items), sasrec(Spy()).encode(items))
    assert fusion.seen is not None
    assert other.fusion is fusion
    assert other.item_embedding is model.item_embedding
    assert model.fusion is first
    assert torch.equal(model.encode(items), before)


@pytest.mark.parametrize("site", [0, 1])
def test_delta_is_added_after_the_block_at_the_site(items: Tensor, site: int) -> None:
    model = sasrec(Spy(), site)
    mask = items != 0
    x, context = model.backbone.encode_input(model.item_embedding(items), mask)
    for index, block in enumerate(model.backbone.blocks):
        x = block(x, context)
        if index == site:
            x = x + mask.unsqueeze(-1).float()  # never at padding
    torch.testing.assert_close(model.encode(items), model.backbone.project_output(x, mask), rtol=0, atol=0)


@pytest.mark.parametrize(("site", "computed"), [(0, 4), (1, 1), (-1, 1)])
def test_at_the_last_block_delta_is_computed_where_it_is_read(items: Tensor, site: int, computed: int) -> None:
    class Counting(Spy):
        positions = 0

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            self.positions = x.shape[1]
            return super().forward(x, mask)

        def last(self, x: Tensor, mask: Tensor, count: int, *more: Tensor) -> Tensor:
            self.positions = count
            return super().forward(x, mask)[:, -count:]

    spy = Counting()
    model = sasrec(spy, site)
    last = model.encode(items, last=1)
    assert spy.positions == computed
    torch.testing.assert_close(last, model.encode(items)[:, -1:])
    assert spy.positions == 4


def test_the_last_site_is_the_last_block(items: Tensor) -> None:
    assert sasrec(Spy(), -1).site == 1
    assert torch.equal(sasrec(Spy(), -1).encode(items), sasrec(Spy(), 1).encode(items))


def test_the_fusion_sees_the_input_of_the_stack(items: Tensor) -> None:
    spy = Spy()
    model = sasrec(spy)
    model.encode(items)
    x, mask = model.fusion_inputs(items)
    assert spy.seen is not None
    assert torch.equal(spy.seen[0], x)
    assert torch.equal(spy.seen[1], mask)
    assert torch.equal(mask, items != 0)
    assert not x[~mask].any()


def test_without_fusion_is_the_zero_branch(items: Tensor) -> None:
    model, bare = sasrec(Spy()), sasrec()
    fused = model.encode(items)
    assert torch.equal(model.encode(items, fused=False), bare.encode(items))
    assert torch.equal(model.user_embedding(items, fused=False), bare.user_embedding(items))
    assert torch.equal(model.encode(items), fused)
    assert not torch.equal(fused, bare.encode(items))


def test_a_causal_backbone_is_read_at_the_last_item(items: Tensor) -> None:
    model = sasrec()
    torch.testing.assert_close(model.user_embedding(items), model.encode(items)[:, -1])


def test_bert4rec_is_read_at_an_appended_mask_token(items: Tensor) -> None:
    model = bert4rec()
    masked = torch.cat([items, torch.full((2, 1), ITEMS + 1)], dim=1)
    torch.testing.assert_close(model.user_embedding(items), model.encode(masked)[:, -1])
    moved = bert4rec()
    with torch.no_grad():
        moved.item_embedding.weight[ITEMS + 1] += torch.arange(8) / 10
    assert not torch.allclose(moved.user_embedding(items), model.user_embedding(items))


def test_the_mask_token_takes_the_place_of_the_oldest_item() -> None:
    model = bert4rec()
    full = torch.tensor([[1, 2, 3, 4, 5, 6]])
    assert torch.equal(model.user_embedding(full), model.user_embedding(full[:, 1:]))


def test_a_fusion_observes_items_only(items: Tensor) -> None:
    spy = Spy()
    model = bert4rec(spy)
    model.user_embedding(items)
    assert spy.seen is not None
    x, mask = spy.seen
    assert torch.equal(mask[:, :-1], items != 0)
    assert not mask[:, -1].any()
    assert x[:, -1].any()  # the stack still gets the mask token


def test_delta_reaches_the_mask_token(items: Tensor) -> None:
    model = bert4rec(Spy())
    fused = model.user_embedding(items)
    assert not torch.equal(model.user_embedding(items, fused=False), fused)


def test_an_item_bias_is_one_more_column(items: Tensor) -> None:
    model = bert4rec()
    assert model.item_bias is not None
    with torch.no_grad():
        model.item_bias.copy_(torch.arange(ITEMS + 1.0))
    hidden, matrix = model.user_embedding(items), model.scoring_matrix()
    assert hidden.shape == (2, 9)
    assert matrix.shape == (ITEMS + 1, 9)
    wanted = hidden[:, :8] @ model.item_embedding.weight[: ITEMS + 1].T + model.item_bias
    torch.testing.assert_close(hidden @ matrix.T, wanted)
    assert isinstance(model.item_bias, nn.Parameter)


def test_a_hidden_item_is_no_candidate_and_not_observed(items: Tensor) -> None:
    torch.manual_seed(0)
    spy = Spy()
    model = SequentialModel(ITEMS, SASRec(SASRecConfig(hidden=8, max_length=6)), spy, hides_items=True).eval()
    assert model.item_embedding.weight.shape == (ITEMS + 2, 8)
    assert model.item_embedding.weight[-1].std() > 0
    assert model.scoring_matrix().shape == (ITEMS + 1, 8)
    items[:, -2] = ITEMS + 1
    model.encode(items)
    assert spy.seen is not None
    assert spy.seen[1].tolist() == [[False, False, False, True], [True, True, False, True]]
    assert model.fusion_inputs(items)[1].equal(spy.seen[1])


class Constant(Fusion):
    """Corrects every position by the same amount."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return torch.ones_like(x)


def test_nothing_is_added_at_a_hidden_item_or_padding(items: Tensor) -> None:
    torch.manual_seed(0)
    config = SASRecConfig(hidden=8, max_length=6)
    model = SequentialModel(ITEMS, SASRec(config), Constant(), hides_items=True).eval()
    items[:, -2] = ITEMS + 1
    x = torch.zeros(*items.shape, 8)
    delta = model._delta(x, x, items, items != 0, last=items.shape[1])
    assert delta is not None
    assert (delta[..., 0] != 0).equal((items != 0) & (items <= ITEMS))


def test_the_row_of_a_hidden_item_leaves_all_other_initial_values_alone() -> None:
    torch.manual_seed(0)
    hiding = SequentialModel(ITEMS, SASRec(SASRecConfig(hidden=8, max_length=6)), hides_items=True).state_dict()
    for name, value in sasrec().state_dict().items():
        assert torch.equal(hiding[name][: len(value)], value), name
