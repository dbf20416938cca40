"""Every backbone with every fusion, straight from the registries: a new part is in it by being there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mltfr.backbones import BACKBONES
from mltfr.fusion import FUSIONS
from mltfr.interactions import InteractionLog
from mltfr.interactions.synthetic import SyntheticConfig, synthetic
from mltfr.pipeline import RunConfig, resolve
from mltfr.testing.pair import PairContract
from mltfr.tokens import TokenStore
from mltfr.tokens.load import ensure_table
from mltfr.tokens.sources.synthetic import SyntheticConfig as SyntheticTable
from mltfr.tokens.sources.synthetic import synthetic_words

PUBLISHED = "mltfr-reference"
"""Its scores depend on the batch, on chance and on later items, as published; it has tests of its own."""
FUSIONS_TRIED = [entry.name for entry in FUSIONS if entry.name != PUBLISHED and entry.cls.control == "none"]
"""A control is the fusion that it controls, with other tables."""
SETTINGS: dict[str, dict[str, Any]] = {
    "mltfr": {"filter": {"shortlist": 16, "keep": 4}},
    "capacity": {"filter": {"shortlist": 16, "keep": 4}},
    "capacity-history": {"filter": {"shortlist": 16, "keep": 4}},
    "direct": {"layers": [16, 8]},
    "external": {"words": ["word1", "word7"], "neighbours": 3},
    "adapter": {"vectors": "not read here"},
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an MLTFR_HOME with the synthetic token table."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLTFR_HOME", str(folder))
        ensure_table("synthetic", TokenStore())
    return folder


@pytest.fixture(scope="module")
def made() -> InteractionLog:
    return synthetic(SyntheticConfig(users=40, items=20, topics=2, mean_length=6), seed=0).log


class EveryPair(PairContract):
    @pytest.fixture
    def settings(self, fusion: str) -> dict[str, Any]:
        return SETTINGS.get(fusion, {})

    @pytest.fixture
    def log(self, made: InteractionLog) -> InteractionLog:
        return made

    @pytest.fixture
    def config(
        self, backbone: str, fusion: str, settings: dict[str, Any], log: InteractionLog, home: Path,
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    ) -> RunConfig:  # fmt: skip
        monkeypatch.setenv("MLTFR_HOME", str(home))
        given = dict(settings)
        if fusion == "external":
            given["words"] = list(synthetic_words(SyntheticTable()).words[:2])
        if fusion == "adapter":
            ids = log.frame["item_id"].unique().sort()
            vectors = np.random.default_rng(0).normal(size=(len(ids), 5))
            pl.DataFrame({"item_id": ids, "vector": vectors}).write_parquet(tmp_path / "items.parquet")
            given["vectors"] = str(tmp_path / "items.parquet")
        return resolve(
            file={
                "backbone": {"name": backbone, "hidden": 8, "max_length": 6},
                "fusion": {"name": fusion, **given},
                "tokens": {"tables": ["synthetic"], "width": 8},
                "evaluation": {"baselines": False},
                "training": {
                    "epochs": 2, "batch_size": 32, "advanced": {"fisher_examples": 32},
                },
            }
        )


@pytest.mark.parametrize("fusion", FUSIONS_TRIED)
@pytest.mark.parametrize("backbone", BACKBONES.names())
class TestEveryPair(EveryPair):
    """At a block."""


@pytest.mark.parametrize("fusion", [name for name in FUSIONS_TRIED if FUSIONS.get(name).cls.corrects_items])
@pytest.mark.parametrize("backbone", ["sasrec", "bert4rec"])
class TestAtTheItems(EveryPair):
    """At the item vectors."""

    @pytest.fixture
    def settings(self, fusion: str) -> dict[str, Any]:
        return {**SETTINGS.get(fusion, {}), "site": "items"}
