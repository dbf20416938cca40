"""Workers of a cluster are told how their threads wait; the process that connects stays as it is."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest

from mltfr.cluster import connected
from mltfr.threads import SHORT_WAITS, waits


@pytest.mark.parametrize(("chosen", "told"), [
    ({}, SHORT_WAITS),
    ({"OMP_WAIT_POLICY": "ACTIVE"}, {}),  # which workers inherit
    ({"GOMP_SPINCOUNT": "5"}, {"KMP_BLOCKTIME": "0"}),
])  # fmt: skip
def test_workers_get_what_they_do_not_inherit(monkeypatch, chosen, told):
    asked = []
    ray = SimpleNamespace(
        is_initialized=lambda: False, init=lambda **options: asked.append(options), shutdown=lambda: None
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr("mltfr.cluster.connection.find_spec", lambda name: ray)
    for name in ("RAY_ADDRESS", *waits(os.environ)):
        monkeypatch.delenv(name, raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    with connected(None, 1):
        assert waits(os.environ) == chosen
    assert asked[0]["runtime_env"] == {"env_vars": told}
