"""Before an epoch, the fusion chooses its shortlists for histories of the whole log."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mltfr.fusion import FusionInputs
from mltfr.fusion.mltfr import MltfrConfig, MltfrFusion
from mltfr.fusion.mltfr.model import TokenFilter
from mltfr.interactions import Histories
from mltfr.losses import LOSSES
from mltfr.model import SequentialModel
from mltfr.testing.toy import HIDDEN, ToyBackbone, random_table
from mltfr.training import TrainingConfig, train

QUARTERS, USERS, ASKED = 4, 400, 120


@pytest.mark.parametrize("samples", ["positions", "prefixes"])
def test_the_whole_log_asks(samples: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The users of each quarter of the log have one item of their own, which is then what they ask with."""
    histories = Histories.from_sequences([[user * QUARTERS // USERS + 1] * 6 for user in range(USERS)])
    asked: list[Tensor] = []
    monkeypatch.setattr(TokenFilter, "refresh", lambda self, queries, unseen: asked.append(queries))
    settings = {"filter": {"keep": 2, "shortlist": 8, "refresh_queries": ASKED}, "consensus_weight": 0}

    def build() -> SequentialModel:
        torch.manual_seed(0)
        fusion = MltfrFusion(MltfrConfig.parse(settings), FusionInputs(HIDDEN, True, [random_table("a")], seed=1))
        return SequentialModel(QUARTERS, ToyBackbone(), fusion)

    entry = LOSSES.get("cross_entropy")
    train(
        build,
        entry.cls(entry.config(), torch.ones(QUARTERS + 1)),
        histories,
        lambda model: {"ndcg@10": 0.0, "hr@10": 0.0},
        TrainingConfig(epochs=1, batch_size=32, device="cpu", samples=samples),
        seed=0,
    )
    vectors = torch.nn.functional.normalize(build().item_embedding.weight.detach()[1:], dim=-1)     # [4, D]
    (queries,) = asked                                                          # [Q, D]
    assert len(queries) == ASKED
    share = torch.bincount((queries @ vectors.T).argmax(1), minlength=QUARTERS) / ASKED
    assert share.min() > 0.15, share
