"""The constant control: the contract, and a vector that is the same everywhere."""

from __future__ import annotations

import torch

from mltfr.fusion import FUSIONS, FusionInputs
from mltfr.testing.fusion import FusionContract
from mltfr.testing.toy import HIDDEN, fusion_batch


class TestConstant(FusionContract):
    name = "constant"


def test_everybody_gets_the_same_everywhere() -> None:
    entry = FUSIONS.get("constant")
    fusion = entry.cls(entry.config(), FusionInputs(HIDDEN, is_causal=True))
    assert sum(value.numel() for value in fusion.parameters()) == HIDDEN
    with torch.no_grad():
        fusion.output.copy_(torch.arange(HIDDEN))
    x, mask = fusion_batch()
    delta = fusion(x, mask)
    assert delta.shape == x.shape
    assert (delta == torch.arange(HIDDEN)).all()
    assert not entry.cls.needs_tables
