"""Cosine scores: the same in training losses, in evaluation, in lists of one and of many, and for similar items."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy, logsigmoid

from mltfr.backbones import BACKBONES
from mltfr.inference import ModelScorer, Rules, eight_bit, top_k
from mltfr.interactions.collate import pad_right_aligned
from mltfr.losses import LOSSES
from mltfr.pipeline.models import NeuralModel
from mltfr.training.batch import Batch
from mltfr.training.step import TrainingLoss

ITEMS, HIDDEN, TEMPERATURE = 300, 16, 0.2
HISTORIES = [np.array(codes, np.int32) for codes in ([1, 2, 3], [7], [4, 250, 8, 9])]


def build(backbone: str = "sasrec", similarity: str = "cosine", temperature: float = TEMPERATURE) -> NeuralModel:
    """Return a model whose item vectors have norms that differ by far."""
    torch.manual_seed(0)
    entry = BACKBONES.get(backbone)
    settings = {"similarity": similarity, "temperature": temperature, "dropout": 0.0}
    model = NeuralModel(ITEMS, entry.cls(entry.config(name=backbone, hidden=HIDDEN, max_length=6, **settings)))
    with torch.no_grad():
        model.item_embedding.weight.mul_(torch.logspace(-1, 2, ITEMS + 1 + (backbone == "bert4rec")).unsqueeze(1))
        if model.item_bias is not None:
            model.item_bias.normal_()
    return model.eval()


def cosines(model: NeuralModel, items: Tensor) -> Tensor:
    """Return the scores by their definition, `[B, I]`."""
    hidden = model.user_embedding(items)[:, :HIDDEN]                                  # [B, D]
    vectors = model.item_embedding.weight[1 : ITEMS + 1]                              # [I, D]
    scores = cosine_similarity(hidden.unsqueeze(1), vectors, dim=-1) / TEMPERATURE
    return scores if model.item_bias is None else scores + model.item_bias[1:]


@pytest.mark.parametrize("backbone", ["sasrec", "hstu", "bert4rec"])
def test_lists_are_by_cosine(backbone: str) -> None:
    model = build(backbone)
    scorer = ModelScorer(model)
    expected = cosines(model, torch.from_numpy(pad_right_aligned(HISTORIES, 5)))
    torch.testing.assert_close(scorer.scores(scorer.queries(HISTORIES), 1, ITEMS + 1), expected.detach())
    assert torch.linalg.vector_norm(model.user_embedding(torch.tensor([[1, 2]]))[:, :HIDDEN]).item() == pytest.approx(1)
    best = top_k(scorer, HISTORIES, 5, Rules(remove_seen=False)).codes
    assert best.tolist() == (expected.topk(5).indices + 1).tolist()
    dot = build(backbone, "dot")
    assert not np.array_equal(best, top_k(ModelScorer(dot), HISTORIES, 5, Rules(remove_seen=False)).codes)


def test_lone_requests_by_eight_bits_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eight_bit, "MIN_ITEMS", 100)
    monkeypatch.setattr(eight_bit, "CALLS_BEFORE", 1)
    scorer = ModelScorer(build())
    alone = eight_bit.EightBitSearch(scorer).top_k(HISTORIES, 5, Rules())
    assert alone is not None
    assert np.array_equal(alone.codes, top_k(scorer, HISTORIES, 5, Rules()).codes)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("backbone", ["sasrec", "bert4rec"])
def test_losses_see_cosines(backbone: str, sparse: bool) -> None:
    model = build(backbone)
    name = "bce" if sparse else "cross_entropy"
    entry = LOSSES.get(name)
    counts = torch.ones(ITEMS + 1, dtype=torch.int64)
    loss = TrainingLoss(model, entry.cls(entry.config(name=name), counts), None, sparse)
    items = torch.from_numpy(pad_right_aligned(HISTORIES, 5)).long()
    if model.mask_token is not None:
        items = torch.cat([items, torch.full((len(items), 1), model.mask_token)], 1)
    targets = torch.tensor([5, 6, 7])
    batch = Batch(items, torch.cat([torch.zeros(3, items.shape[1] - 1, dtype=torch.long), targets.unsqueeze(1)], 1))
    scores = cosines(model, torch.from_numpy(pad_right_aligned(HISTORIES, 5)))
    if not sparse:
        torch.testing.assert_close(loss(batch), cross_entropy(scores, targets - 1))
        return
    torch.manual_seed(3)
    value = loss(batch)
    torch.manual_seed(3)
    negatives = torch.randint(1, ITEMS, (3, 1))
    negatives = negatives + (negatives >= targets.unsqueeze(1)).long()
    pairs = torch.stack([scores[torch.arange(3), targets - 1], -scores[torch.arange(3), negatives[:, 0] - 1]])
    torch.testing.assert_close(value, -logsigmoid(pairs).sum(0).mean(), rtol=1e-4, atol=1e-5)


def test_similar_items_do_not_depend_on_the_temperature() -> None:
    codes = torch.tensor([3, 9])
    first, second = (build(temperature=each).item_similarity(codes) for each in (0.05, 1.0))
    assert torch.equal(first, second)
    assert torch.equal(first, build(similarity="dot").item_similarity(codes))
    assert first[0, 2].item() == pytest.approx(1)


def test_a_temperature_scales_the_scores_and_no_order() -> None:
    scorers = [ModelScorer(build(temperature=each)) for each in (0.05, 0.5)]
    warm, cold = (scorer.scores(scorer.queries(HISTORIES), 1, ITEMS + 1) for scorer in scorers)
    torch.testing.assert_close(warm, 10 * cold)
    assert warm.abs().max().item() <= 1 / 0.05 + math.ulp(100)
