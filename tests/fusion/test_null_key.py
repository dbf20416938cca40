"""The null key: a position reads nothing as far as none of its tokens fits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mltfr.fusion.mltfr import model as mltfr_model
from mltfr.fusion.mltfr.model import Attention
from mltfr.fusion.mltfr.shortlist import Choice
from mltfr.kernels.gathered import GatherIndex
from mltfr.testing.toy import HIDDEN, fusion_batch
from support.small_mltfr import SMALL, awake, build


def gradient_of_the_scores(monkeypatch: pytest.MonkeyPatch, **settings: object) -> list[Tensor]:
    """Return how the loss of a batch depends on the scores of the kept tokens, by table `[Q, K]`."""
    leaves: list[Tensor] = []
    original = mltfr_model.keep_best

    def watched(*arguments: object) -> tuple[GatherIndex, Tensor, Tensor]:
        kept, score, rest = original(*arguments)
        leaves.append(score.detach().requires_grad_())
        return kept, leaves[-1], rest

    monkeypatch.setattr(mltfr_model, "keep_best", watched)
    fusion = awake(filter={**SMALL, **settings}, dropout=0.0).eval()
    fusion(*fusion_batch()).sin().sum().backward()
    return [leaf.grad for leaf in leaves]


def test_the_filter_is_told_that_none_of_its_tokens_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    for gradient in gradient_of_the_scores(monkeypatch):
        assert (gradient.sum(-1).abs() > 1e-3 * gradient.abs().amax(-1)).float().mean() > 0.9


def test_without_it_the_gradients_of_the_scores_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    for gradient in gradient_of_the_scores(monkeypatch, null_key=False):
        assert gradient.abs().amax() > 1e-3
        assert gradient.sum(-1).abs().amax() < 1e-6


def read(log_null: Tensor | None) -> Tensor:
    torch.manual_seed(0)
    core = Attention(HIDDEN, 4, 0.0, null_key=True)
    torch.nn.init.normal_(core.output.weight)
    key, value = core.keys_values(torch.randn(20, HIDDEN))
    kept = GatherIndex(torch.randint(0, 20, (30, 3)), 20)
    return core(torch.randn(30, HIDDEN), key, value, Choice(kept, torch.zeros(30, 3), log_null))


def test_delta_shrinks_to_nothing_where_no_token_fits() -> None:
    sizes = [read(torch.full((30,), null)).norm() for null in (-60.0, 0.0, 3.0, 60.0)]
    torch.testing.assert_close(sizes[0], read(None).norm())
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 1e-6


def test_the_weights_of_tokens_and_null_key_sum_to_one() -> None:
    fusion = awake().eval()
    x, mask = fusion_batch()
    choices = fusion.choose(
        fusion.query(x, mask, x.shape[1]), fusion.prepare()[0], torch.arange(mask.numel()), x.shape[1]
    )
    for choice in choices:
        torch.testing.assert_close(choice.log_weight.exp().sum(-1) + choice.log_null.exp(), torch.ones(mask.numel()))
    joined = Choice.join(choices)
    total = joined.log_weight.exp().sum(-1) + joined.log_null.exp()
    torch.testing.assert_close(total, torch.full_like(total, len(choices)))


def test_who_keeps_the_whole_shortlist_has_nothing_to_miss() -> None:
    fusion = awake(filter={"keep": 5, "shortlist": 5, "null_key": True}, dropout=0.0)
    x, mask = fusion_batch()
    for _, weights in fusion.kept_tokens(x, mask).values():
        torch.testing.assert_close(weights[mask].sum(-1), torch.ones(int(mask.sum())))
    fusion(x, mask).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in fusion.parameters())


@pytest.mark.parametrize(
    ("settings", "bias"), [({}, False), ({"null_key": False}, True), ({"granularity": "static"}, True)]
)
def test_the_output_has_a_bias_where_there_is_no_null_key(settings: dict[str, object], bias: bool) -> None:
    fusion = build(filter={**SMALL, **settings})
    assert ("experts.a.core.output.bias" in fusion.state_dict()) == bias
