"""The default fusion over three small tables."""

from __future__ import annotations

import torch

from mltfr.fusion import FusionInputs
from mltfr.fusion.mltfr import MltfrConfig, MltfrFusion
from mltfr.testing.toy import HIDDEN, random_table
from mltfr.tokens.table import PreparedTable

TABLES = [random_table("a", 40, 8), random_table("b.2", 30, 12), random_table("c", 50, 12)]
SMALL = {"keep": 3, "shortlist": 12, "null_key": True}


def build(is_causal: bool = True, tables: list[PreparedTable] = TABLES, **settings: object) -> MltfrFusion:
    """Return a fresh fusion."""
    config = MltfrConfig.parse({"filter": SMALL, **settings})
    return MltfrFusion(config, FusionInputs(HIDDEN, is_causal, tables, seed=1))


def awake(is_causal: bool = True, tables: list[PreparedTable] = TABLES, **settings: object) -> MltfrFusion:
    """Return a fusion whose `delta` is not zero."""
    fusion = build(is_causal, tables, **settings)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return fusion
