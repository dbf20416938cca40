"""Finished runs for pages: of a small network with a fusion, of one without, and of a baseline."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from support.command_line import FIT, SMALL, run
from support.walks import walks, write_log

HOSTILE = "</script><script>alert(1)</script>"
WORDS = [HOSTILE, "\u202eevil", "nul\x00", "🙂", "=1+1", *(f"{HOSTILE}{n}" for n in range(35))]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an MLTFR_HOME with the token tables `alpha` and `beta`, some of whose tokens are markup."""
    home = tmp_path_factory.mktemp("page-store")
    for number, name in enumerate(("alpha", "beta")):
        folder = tmp_path_factory.mktemp(name)
        np.save(folder / "table.npy", np.random.default_rng(number).normal(size=(40, 12)).astype(np.float32))
        (folder / "vocabulary.json").write_text(json.dumps(WORDS))
        run("tokens", "import", name, folder / "table.npy", "--vocabulary", folder / "vocabulary.json", home=home)
    return home


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory, runs: Path, store: Path) -> Path:
    """Return a folder with the runs `blend`, `updated`, `one-table`, `random`, `item-knn` and `name-knn` of one log."""
    folder = tmp_path_factory.mktemp("page-kinds")
    newer = [f"somebody-u{n % 20},thing-i{5 + n % 17},{99 + n}" for n in range(60)]
    (folder / "newer.csv").write_text("\n".join(["user_id,item_id,timestamp", *newer]) + "\n")
    fit = ("fit", runs / "log.csv", "--out")
    run(*fit, folder / "item-knn", "--backbone", "item-knn", home=store)
    run(*fit, folder / "name-knn", "--backbone", "name-knn", "--item-names", "ids", home=store)
    run("blend", runs / "mltfr", folder / "item-knn", "--out", folder / "blend", home=store)
    run("update", runs / "mltfr", folder / "newer.csv", "--out", folder / "updated", "--epochs", "1", home=store)
    run(*fit, folder / "one-table", "--tokens", "alpha", *SMALL, "--epochs", "1", home=store)
    run(*fit, folder / "random", "--fusion", "random", *FIT, home=store)
    return folder


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """Return a folder with the runs `mltfr`, `none` and `popularity` of one log, whose ids are told from all else."""
    folder = tmp_path_factory.mktemp("page-runs")
    named = {
        f"somebody-{user}": [f"<b>thing-{item}" if item == "i3" else f"thing-{item}" for item in items]
        for user, items in walks().items()
    }
    write_log(folder / "log.csv", named)
    run("fit", folder / "log.csv", "--out", folder / "mltfr", *FIT, "--epochs", "2", home=store)
    bare = ("--fusion", "none", *SMALL[:4], "--epochs", "1")
    run("fit", folder / "log.csv", "--out", folder / "none", *bare, home=store)
    run("fit", folder / "log.csv", "--out", folder / "popularity", "--backbone", "popularity", home=store)
    return folder
