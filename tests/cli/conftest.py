"""A small log and two small token tables, as files, for the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SMALL = (
    "--set", "backbone.hidden=16", "--set", "backbone.max_length=10", "--set", "tokens.width=8",
    "--set", "fusion.filter.shortlist=16", "--set", "fusion.filter.keep=4", "--set", "training.batch_size=32",
)  # fmt: skip
"""Settings that train in a moment."""


def run(*arguments: str | Path, home: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run `mltfr` in its own process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MLTFR_OFFLINE": "1"}
    if home is not None:
        environment["MLTFR_HOME"] = str(home)
    command = [sys.executable, "-c", "from mltfr.cli.main import main; main()", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    if check:
        assert done.returncode == 0, done.stderr
    return done


def write_log(path: Path, users: int = 60, items: int = 25, seed: int = 0) -> dict[str, list[str]]:
    """Write a CSV log in which item i is mostly followed by item i + 1; return the histories."""
    random = np.random.default_rng(seed)
    histories: dict[str, list[str]] = {}
    for user in range(users):
        length = int(random.integers(4, 14))
        steps = np.where(random.random(length) < 0.8, 1, random.integers(1, items, length))
        codes = (random.integers(items) + np.cumsum(steps)) % items
        histories[f"u{user}"] = list(dict.fromkeys(f"i{code}" for code in codes))
    rows = ["user_id,item_id,timestamp"]
    rows += [f"{user},{item},{time}" for user, items_ in histories.items() for time, item in enumerate(items_)]
    path.write_text("\n".join(rows) + "\n")
    return histories


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
