"""A run to recommend from; made once, only to be read."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from mltfr import Recommender
from mltfr.interactions.synthetic import SyntheticConfig, synthetic
from mltfr.training import Callback

SETTINGS = ["backbone.hidden=16", "backbone.max_length=10"]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of 300 users, one of whose histories holds an item that training lacks."""
    log = synthetic(SyntheticConfig(users=300, items=120), seed=3).log
    late = {"user_id": "u0003", "item_id": "only once", "timestamp": log.frame["timestamp"].max() + 1}
    frame = pl.concat([log.frame, pl.DataFrame([late], schema=log.frame.schema)])
    recommender = Recommender(backbone="sasrec", fusion="none", tokens=[], settings=SETTINGS, epochs=1)
    recommender.fit(frame, callback=Callback())
    folder = tmp_path_factory.mktemp("batch") / "run"
    recommender.save(folder)
    return folder
