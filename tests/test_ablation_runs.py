"""Runs of the ablations train through both rounds, and score the same after saving and loading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mltfr import Recommender
from mltfr.errors import ConfigError
from mltfr.interactions import InteractionLog
from mltfr.tokens import TokenStore, TokenTable
from mltfr.training import Callback
from support.walks import as_log, rows, walks

SMALL = (
    "backbone.hidden=16",
    "backbone.max_length=8",
    "tokens.width=8",
    "training.batch_size=32",
    "training.advanced.fisher_examples=64",
    "fusion.filter.shortlist=12",
    "fusion.filter.keep=3",
)


@pytest.fixture
def log() -> InteractionLog:
    return as_log(rows(walks(users=20, items=15, follow=1, shortest=5, longest=7)))


@pytest.fixture(autouse=True)
def _tables(_own_home: Path) -> None:
    for seed, name in enumerate(("alpha", "beta")):
        values = np.random.default_rng(seed).normal(size=(30, 10)).astype(np.float32)
        TokenStore().put(TokenTable(name, values, tuple(f"w{n}" for n in range(30))))


def recommender(*settings: str) -> Recommender:
    return Recommender(tokens=("alpha", "beta"), settings=(*SMALL, *settings), epochs=1)


@pytest.mark.parametrize(
    "settings",
    [
        ("fusion.filter.granularity=sequence",),
        ("fusion.filter.granularity=static", "fusion.router=mean", "fusion.common_start=false"),
        ("fusion.filter.granularity=sequence", "backbone=bert4rec"),
    ],
    ids=["user", "nobody, mean, own starts", "bidirectional"],
)
def test_a_run_scores_the_same_after_loading(log: InteractionLog, tmp_path: Path, settings: tuple[str, ...]) -> None:
    fitted = recommender(*settings).fit(log, callback=Callback())
    assert [record["round"] for record in fitted.fitted.history] == [1, 2]
    fitted.save(tmp_path / "run")
    before = fitted.recommend(users=["u1", "u2"], k=5)
    assert Recommender.load(tmp_path / "run").recommend(users=["u1", "u2"], k=5).equals(before)


def test_a_leak_is_refused_before_training(log: InteractionLog) -> None:
    with pytest.raises(ConfigError, match=r"Use training\.samples = 'prefixes'"):
        recommender("fusion.filter.granularity=sequence", "training.samples=positions").fit(log, callback=Callback())
