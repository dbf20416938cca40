"""Two small token tables and a finished run, for the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from support.command_line import FIT, run
from support.walks import write_log


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an MLTFR_HOME with the token tables `alpha` and `beta`."""
    home = tmp_path_factory.mktemp("store")
    words = ["".join(pair) for pair in zip("abcdefghijklmnopqrstuvwxyz" * 2, "xyzuvwabcd" * 6, strict=False)]
    for number, name in enumerate(("alpha", "beta")):
        folder = tmp_path_factory.mktemp(name)
        table = np.random.default_rng(number).normal(size=(40, 12)).astype(np.float32)
        np.save(folder / "table.npy", table)
        (folder / "vocabulary.json").write_text(json.dumps([f"{word}{n}" for n, word in enumerate(words[:40])]))
        run("tokens", "import", name, folder / "table.npy", "--vocabulary", folder / "vocabulary.json", home=home)
    return home


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """Return a folder with `log.csv` and the finished `run`; only to be read."""
    folder = tmp_path_factory.mktemp("finished")
    write_log(folder / "log.csv")
    run("fit", folder / "log.csv", "--out", folder / "run", *FIT, home=store)
    return folder
