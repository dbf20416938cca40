"""A log, small settings, the run that one process makes of them, and a local Ray."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltfr.interactions import load_interactions
from mltfr.pipeline import fit, resolve
from mltfr.threads import waits
from support.processes import SMALL
from support.walks import write_log


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep processes that outlive a test away from the user's store."""
    before = os.environ.get("MLTFR_HOME")
    path = tmp_path_factory.getbasetemp() / "mltfr-home"
    os.environ["MLTFR_HOME"] = str(path)
    yield path
    if before is None:
        os.environ.pop("MLTFR_HOME", None)
    else:
        os.environ["MLTFR_HOME"] = before


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CSV log of walks."""
    path = tmp_path_factory.mktemp("log") / "log.csv"
    write_log(path)
    return path


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory, home: Path, log: Path) -> Path:
    """Return the run of one process with two parts a batch, dropout, noise and both rounds; only to be read."""
    out = tmp_path_factory.mktemp("alone") / "run"
    settings = resolve(overrides=[*SMALL, "training.shards=2"])
    fit(settings, load_interactions(log), out)
    return out


@pytest.fixture(scope="module")
def ray_cluster(home: Path) -> Iterator[dict[str, str]]:
    """Start a local Ray with two processors for a file; return how this process then tells its own threads to wait."""
    pytest.importorskip("ray")
    from mltfr.cluster import connected

    with pytest.MonkeyPatch.context() as patch:
        for name in waits(os.environ):
            patch.delenv(name)
        with connected(None, 2):
            yield waits(os.environ)
