"""A small run, and a service that answers for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mltfr import Recommender
from mltfr.serve.loaded import LoadedRun
from support.service import RUNS, Client, client_of


@pytest.fixture(scope="session")
def run() -> LoadedRun:
    """Return the small run of sasrec and mltfr; only to be read."""
    run = LoadedRun.load(RUNS / "mltfr")
    run.warm_up()
    return run


@pytest.fixture(scope="session")
def recommender() -> Recommender:
    """Return the same run as Python has it."""
    return Recommender.load(RUNS / "mltfr")


@pytest.fixture
def client(run: LoadedRun) -> Iterator[Client]:
    """Return a client of a service for the run."""
    with client_of(run) as client:
        yield client
