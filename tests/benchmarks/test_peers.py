"""The peers' parts fit together, and mltfr behind their commands does what it says; no peer is needed here."""

from __future__ import annotations

import ast
import json
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mltfr.interactions import UNKNOWN

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
COMMANDS = {"count", "train", "evaluate", "recommend"}


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("PYTHONPATH", f"{BENCHMARKS}:{BENCHMARKS.parent / 'src'}")
    return BENCHMARKS


@pytest.fixture
def client(path: Path) -> ModuleType:
    return import_module("peers.client")


@pytest.fixture
def codes(path: Path, client: ModuleType, tmp_path: Path) -> Path:
    split = import_module("harness.data").made_up_split(items=40, users=150, seed=0)
    split.histories.items[split.histories.offsets[1] - 1] = UNKNOWN  # the first user's test item
    client.write_codes(split, tmp_path / "codes.npz")
    return tmp_path / "codes.npz"


def test_every_peer_is_pinned_and_has_an_adapter_with_all_commands(path: Path) -> None:
    for peer in import_module("peers.environments").PEERS.values():
        pins = peer.constraints.read_text().splitlines()
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin) for pin in pins)
        assert "torch==2.13.0" in pins
        assert not any("nvidia" in pin or "cuda" in pin for pin in pins)
        name = re.sub(r"\[.*?\]", "", peer.requirements[0])
        assert name in [pin.lower().replace("_", "-") for pin in pins]
        tree = ast.parse(peer.adapter.read_text())
        defined = [
            {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
            for node in tree.body
            if isinstance(node, ast.ClassDef)
        ]
        assert any(names >= COMMANDS for names in defined)


def test_an_environment_counts_as_installed_only_with_these_versions(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path))
    peer = import_module("peers.environments").PEERS["recbole"]
    assert peer.folder == tmp_path / "peers" / "recbole"
    assert not peer.is_installed()
    peer.folder.mkdir(parents=True)
    peer.marker.write_text(json.dumps(peer.contents()))
    assert peer.is_installed()
    peer.marker.write_text(json.dumps(peer.contents() | {"requirements": ["recbole==1.2.0"]}))
    assert not peer.is_installed()


@pytest.mark.slow
def test_mltfr_answers_the_commands(client: ModuleType, codes: Path) -> None:
    told = {"hidden": 8, "blocks": 1, "heads": 1, "length": 30, "batch": 64, "dropout": 0.0, "block": "paper"}
    more = {"data": str(codes), "loss": "bce", "samples": "positions", "threads": 1, "seed": 0}
    with client.Client("mltfr", told | more) as ours:
        assert ours.start_wall > 0
        assert ours.ask("count") == {"batches": 3}
        epoch = ours.ask("epoch", batches=None)
        assert epoch["batches"] == 3
        assert epoch["cpu"] > 0
        assert set(ours.ask("evaluate")["metrics"]) == {"hr@10", "ndcg@10"}
        assert ours.ask("recommend")["users"] == 150
        assert ours.ask("memory")["peak"] > 50
    assert ours.process.returncode == 0


@pytest.mark.slow
def test_an_adapter_that_breaks_says_why(client: ModuleType) -> None:
    with pytest.raises(client.PeerError, match=r"mltfr ended: .*threads"):
        client.Client("mltfr", {})


def test_the_log_is_handed_over_as_it_was_divided(path: Path, client: ModuleType, codes: Path) -> None:
    sys.path.insert(0, str(path / "peers" / "adapters"))
    try:
        handed = import_module("codes").Codes.read(str(codes))
    finally:
        sys.path.pop(0)
    split = import_module("harness.data").made_up_split(items=40, users=150, seed=0)
    assert (handed.users, handed.known, handed.catalogue) == (150, 40, 41)
    assert handed.target(0) == 41  # no item of the training part, so a code of its own
    for user in range(1, 150):
        assert handed.is_tested(user)
        np.testing.assert_array_equal(handed.history(user), split.histories[user][:-1])
        np.testing.assert_array_equal(handed.train(user), split.train_histories()[user])
        assert handed.target(user) == split.histories[user][-1]
