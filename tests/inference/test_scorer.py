"""The model, popularity and the fallback as scorers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mltfr.backbones import Backbone, BackboneConfig
from mltfr.baselines.popularity import Popularity
from mltfr.inference import FallbackScorer, ModelScorer, top_k
from mltfr.interactions import UNKNOWN, pad_right_aligned
from mltfr.model import SequentialModel


class Block(nn.Module):
    """Means the positions up to each, over a NaN where there is nothing to mean."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, last: int = 0) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        mean = x.cumsum(1) / mask.cumsum(1).unsqueeze(-1)
        return (x + self.dropout(torch.tanh(self.linear(mean))))[:, -last:]


class Toy(Backbone):
    """A backbone as small as can be."""

    is_causal = True

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__(config)
        self.blocks = nn.ModuleList([Block(config.hidden, config.dropout)])
        self.lengths: list[int] = []

    def encode_input(self, items: Tensor, mask: Tensor) -> tuple[Tensor, Any]:
        self.lengths.append(items.shape[1])
        return items, mask

    def project_output(self, x: Tensor, mask: Tensor) -> Tensor:
        return x


class MaskedToy(Toy):
    """The same, read at a mask token and with item biases, as BERT4Rec is."""

    is_causal = False
    uses_mask_token = True
    uses_item_bias = True


def model(backbone: type[Toy] = Toy, items: int = 30) -> SequentialModel:
    torch.manual_seed(0)
    network = SequentialModel(items, backbone(BackboneConfig(name="toy", hidden=8, max_length=4, dropout=0.9)))
    nn.init.normal_(network.item_embedding.weight)
    if network.item_bias is not None:
        nn.init.normal_(network.item_bias)
    return network


@pytest.mark.parametrize("backbone", [Toy, MaskedToy])
def test_scores_are_user_embedding_times_scoring_matrix_over_any_range(backbone: type[Toy]) -> None:
    network = model(backbone)
    scorer = ModelScorer(network)
    histories = [np.array([3, UNKNOWN, 5], np.int32), np.array([7], np.int32)]
    expected = network.user_embedding(torch.from_numpy(pad_right_aligned(histories, 4))) @ network.scoring_matrix().T
    queries = scorer.queries(histories)
    torch.testing.assert_close(scorer.scores(queries, 1, 31), expected[:, 1:].detach())
    torch.testing.assert_close(scorer.scores(queries, 11, 20), expected[:, 11:20].detach())


def test_dropout_is_off_in_scores_or_they_are_refused() -> None:
    network = model().train()
    scorer = ModelScorer(network)
    histories = [np.array([3, 5], np.int32)]
    assert not any(module.training for module in network.modules())
    assert torch.equal(scorer.queries(histories), scorer.queries(histories))
    network.train()
    assert not scorer.is_current()
    with pytest.raises(RuntimeError, match="training mode"):
        scorer.queries(histories)


def test_a_scorer_knows_whether_its_weights_are_current() -> None:
    network = model()
    for weight in (*network.parameters(), *network.buffers()):
        scorer = ModelScorer(network)
        scorer.queries([np.array([3, 5], np.int32)])
        assert scorer.is_current()
        with torch.no_grad():
            weight.add_(1)
        assert not scorer.is_current()


def test_a_mask_token_takes_one_position_of_max_length() -> None:
    long = [np.arange(1, 20, dtype=np.int32)]
    for backbone, read in ((Toy, [16, 17, 18, 19]), (MaskedToy, [17, 18, 19])):
        network = model(backbone)
        scorer = ModelScorer(network)
        queries = scorer.queries(long)
        assert network.backbone.lengths == [4]
        torch.testing.assert_close(queries, scorer.queries([np.array(read, np.int32)]))


def test_no_known_item_scores_zero_and_leaves_the_others_alone() -> None:
    scorer = ModelScorer(model())
    histories = [np.array([3, 5], np.int32), np.array([UNKNOWN], np.int32), np.array([], np.int32)]
    scores = scorer.scores(scorer.queries(histories), 1, 31)
    torch.testing.assert_close(scores[:1], scorer.scores(scorer.queries(histories[:1]), 1, 31))
    assert not scores[1:].any()


def test_the_fallback_serves_only_histories_without_a_known_item() -> None:
    counts = np.random.default_rng(0).permutation(31)
    popular = Popularity.of_counts(counts)
    scorer = ModelScorer(model())
    both = FallbackScorer(scorer, popular)
    histories = [np.array([], np.int32), np.array([3, 5], np.int32), np.array([UNKNOWN], np.int32)]
    result = top_k(both, histories, 6)
    assert result.codes[1].tolist() == top_k(scorer, histories[1:2], 6).codes[0].tolist()
    for user in (0, 2):
        assert result.codes[user].tolist() == (np.argsort(-counts[1:])[:6] + 1).tolist()
    with pytest.raises(ValueError, match="The scorer knows 30 items, its fallback 2"):
        FallbackScorer(scorer, Popularity.of_counts(np.array([0, 1, 1])))


def test_popularity_scores_are_the_callers_to_write_into() -> None:
    scorer = Popularity.of_counts(np.array([0, 4, 2]))
    scorer.scores(2, 1, 3).fill_(-1)
    assert scorer.scores(2, 1, 3).tolist() == [[4, 2], [4, 2]]
    assert scorer.items == 2
