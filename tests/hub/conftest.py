"""Small runs whose users' ids occur nowhere else, and a hub on loopback to share them on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mltfr import Recommender
from mltfr.errors import MltfrWarning
from mltfr.interactions import load_interactions
from mltfr.tokens.store import TokenStore
from mltfr.training import Callback
from support.fake_hub import FakeHub, fake_hub

USER = "zq-person-"
"""What every user's id begins with."""
TABLES = {
    "backbone": {"name": "sasrec", "hidden": 8, "max_length": 6},
    "fusion": {"name": "mltfr", "filter": {"shortlist": 16, "keep": 4}},
    "tokens": {"tables": ["synthetic", "synthetic-2"], "width": 8},
    "training": {"epochs": 2, "batch_size": 32},
}  # fmt: skip
REFERENCE = {
    "preset": "reference", "backbone": {"name": "sasrec", "hidden": 8, "max_length": 6},
    "fusion": {"name": "mltfr-reference"}, "tokens": {"tables": ["synthetic", "synthetic-2"]},
    "training": {"epochs": 1, "first_round_epochs": 1},
}  # fmt: skip
BARE = {**TABLES, "fusion": {"name": "none"}}


def write_log(folder: Path, start: int = 0, users: int = 30) -> Path:
    """Write a log with ids that have white space around them, which a note quotes, and one user to be left out."""
    rng, path = np.random.default_rng(start), folder / f"log-of-{USER}{start}.csv"
    rows = [
        f"{USER}{user:04d} ,item{rng.integers(0, 20):02d},{start + 100 * user + n}"
        for user in range(users) for n in range(8)
    ]  # fmt: skip
    path.write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    return path


def fitted(folder: Path, settings: dict[str, Any], **more: Any) -> Recommender:
    """Return a run that knows all that must not leave: notes, paths, a condition that quotes a user."""
    where = f"user_id != {USER}0007"
    with pytest.warns(MltfrWarning):
        log = load_interactions(write_log(folder), where=where)
    assert any(USER in note for note in log.notes)
    return Recommender(config={**settings, "filters": {"where": where}}, **more).fit(log, callback=Callback())


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose path has a user's id in it."""
    return tmp_path_factory.mktemp(f"home-of-{USER}me")


@pytest.fixture(scope="session")
def runs(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recommender]:
    """Return runs by kind."""
    names = folder / "names.csv"
    words = ("pipepa", "niri", "navukopu", "kezife", "sivo", "gedasu", "napo", "domolo", "buze", "bufu", "sizo")
    lines = [f"item{item:02d},{words[item % 11]} {words[item % 7]}" for item in range(24)]
    names.write_text("item_id,title\n" + "\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLTFR_HOME", str(tmp_path_factory.getbasetemp() / "mltfr-home"))
        tables, bare = fitted(folder, TABLES), fitted(folder, BARE)
        reference = fitted(folder, REFERENCE)
        ease = fitted(folder, {"backbone": {"name": "ease"}})
        named = fitted(folder, {**BARE, "names": {"file": str(names), "read": "tables", "new_items": True}})
        blend = Recommender.blend([tables, ease], callback=Callback())
        with pytest.warns(MltfrWarning):
            updated = fitted(folder, BARE).update(write_log(folder, 10_000_000), callback=Callback())
    return {"tables": tables, "bare": bare, "ease": ease, "names": named, "blend": blend, "update": updated,
            "reference": reference}  # fmt: skip


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    """Yield a hub with an empty cache."""
    with fake_hub(tmp_path / "cache") as found:
        yield found


@pytest.fixture
def store() -> TokenStore:
    """Return the store that the runs were fitted with."""
    return TokenStore()
