"""A small run, and a service that answers for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from mltfr import Recommender
from mltfr.names.new_items import NewItems
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


@pytest.fixture(scope="session")
def with_new() -> LoadedRun:
    """Return a small run that knows an item which training has not seen, `new-1`; only to be read."""
    run = LoadedRun.load(RUNS / "bare")
    vector = run.fitted.model.trained_vectors()[4].numpy()
    words = csr_array(np.eye(2, dtype=np.float32)[[int(n in (4, 25)) for n in range(26)]])  # one word with that item
    new = NewItems(("new-1",), np.stack([vector]), words, 0.0, 1.0)
    run = replace(run, fitted=replace(run.fitted, new_items=new), names={"new-1": "A <b>new</b> thing"})
    run.warm_up()
    return run


@pytest.fixture
def client(run: LoadedRun) -> Iterator[Client]:
    """Return a client of a service for the run."""
    with client_of(run) as client:
        yield client
