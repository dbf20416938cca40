"""What a fusion adds is dropped out as what the backbone's sublayers add, unless it is told otherwise."""

from __future__ import annotations

import pytest
from torch import nn

from mltfr.kernels.dropout import Dropout
from mltfr.pipeline import resolve
from mltfr.pipeline.build import build_model
from mltfr.testing.toy import random_table

TABLES = [random_table("a"), random_table("b", 40)]


def rates(fusion: str, *settings: str) -> set[float]:
    config = resolve(fusion=fusion, tokens=["a", "b"], overrides=["backbone.hidden=8", "backbone.heads=2", *settings])
    model = build_model(config, 12, TABLES)
    assert model.fusion is not None
    parts = list(model.fusion.modules())
    return {part.probability for part in parts if isinstance(part, Dropout)} | {
        part.p for part in parts if isinstance(part, nn.Dropout)
    }


@pytest.mark.parametrize("fusion", ["mltfr", "random", "shuffled", "capacity", "capacity-history"])
def test_it_is_the_backbones_unless_it_is_given(fusion: str) -> None:
    small = "fusion.filter.shortlist=12"
    assert rates(fusion, small, "backbone.dropout=0.35") == {0.35}
    assert rates(fusion, small, "backbone.dropout=0.35", "fusion.dropout=0.2") == {0.2}
    assert rates(fusion, small, "backbone.dropout=0.35", "fusion.dropout=0") == {0.0}


def test_the_published_arithmetic_keeps_the_published_one() -> None:
    assert rates("mltfr-reference", "backbone.dropout=0.35") == {0.1}
