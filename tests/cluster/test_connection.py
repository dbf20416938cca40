"""Workers of a cluster are told how their threads wait; the process that connects stays as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mltfr.cluster import connected
from mltfr.threads import SHORT_WAITS, waits

CODE = """
import json, os
from mltfr.cluster import connected
from mltfr.threads import waits
with connected(None, 1):
    import ray
    worker = ray.get(ray.remote(lambda: {**os.environ}).remote())
print(json.dumps([waits(worker), waits(os.environ)]))
"""


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


@pytest.mark.slow
def test_workers_of_a_local_cluster_get_them():
    pytest.importorskip("ray")
    environment = {name: value for name, value in os.environ.items() if name not in waits(os.environ)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, timeout=100, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [SHORT_WAITS, {}]
