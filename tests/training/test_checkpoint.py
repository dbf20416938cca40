from __future__ import annotations

import json
import shutil

import pytest
import torch
from torch import nn

from mltfr.errors import OutputError, RunError
from mltfr.prefixes import under_prefix, with_prefix
from mltfr.training.checkpoint import (
    Checkpoints,
    load_optimizer,
    load_random,
    optimizer_tensors,
    random_tensors,
)
from support.manifests import change_sealed

STATE = {"round": 1, "epoch": 2, "batch": 3}


def test_what_was_saved_comes_back(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoint")
    assert checkpoints.load() is None
    checkpoints.save({"a": torch.arange(3)}, STATE)
    checkpoints.save({"a": torch.arange(4)}, STATE | {"batch": 4})
    tensors, state = checkpoints.load()
    assert torch.equal(tensors["a"], torch.arange(4))
    assert state == STATE | {"batch": 4}
    assert len(list(checkpoints.folder.iterdir())) == 2  # the older one is gone
    checkpoints.clear()
    assert not checkpoints.folder.exists()


def test_damage_is_noticed(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save({"a": torch.zeros(100)}, STATE)
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(RunError, match=r"checksum differs.*without --resume"):
        checkpoints.load()
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        checkpoints.load()


def test_a_kill_between_the_two_files_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save({"a": torch.zeros(1)}, STATE)

    def killed(*_args, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr(json, "dumps", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save({"a": torch.ones(1)}, STATE | {"batch": 9})
    monkeypatch.undo()
    tensors, state = checkpoints.load()
    assert tensors["a"].item() == 0
    assert state["batch"] == 3


def test_a_full_disk_is_one_clear_error(tmp_path, monkeypatch):
    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mltfr.training.checkpoint.save_file", full)
    with pytest.raises(OutputError, match="disk is full"):
        Checkpoints(tmp_path).save({"a": torch.zeros(1)}, STATE)
    assert list(tmp_path.iterdir()) == []


def test_optimizer_and_random_states_survive():
    def run(steps, weights=None, saved=None):
        torch.manual_seed(0)
        layer = nn.Linear(3, 3)
        optimizer = torch.optim.Adam(layer.parameters(), fused=True)
        if saved is not None:
            layer.load_state_dict(weights)
            load_optimizer(optimizer, saved)
            load_random(saved)
        for _ in range(steps):
            optimizer.zero_grad()
            layer(torch.randn(2, 3)).square().sum().backward()
            optimizer.step()
        state = {name: value.clone() for name, value in layer.state_dict().items()}
        return state, optimizer_tensors(optimizer) | random_tensors()

    straight, _ = run(6)
    weights, saved = run(4)
    saved = {name: value.clone() for name, value in saved.items()}
    resumed, _ = run(2, weights, saved)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_prefixes_are_taken_off_as_they_were_put_on():
    tensors = {"a.b": torch.zeros(1), "c": torch.ones(1)}
    both = with_prefix("best", tensors) | with_prefix("model", tensors)
    assert under_prefix("best", both) == tensors


@pytest.mark.parametrize("name", ["../tensors-1-1-1.safetensors", "{}/tensors-1-1-1.safetensors", "other.safetensors"])
def test_a_state_leads_to_tensors_of_its_own_folder_alone(tmp_path, name):
    """What lies elsewhere is whole, and would be read."""
    checkpoints = Checkpoints(tmp_path / "checkpoint")
    checkpoints.save({"a": torch.zeros(1)}, STATE)
    (file,) = checkpoints.folder.glob("*.safetensors")
    for other in (tmp_path / "tensors-1-1-1.safetensors", checkpoints.folder / "other.safetensors"):
        shutil.copy(file, other)
    change_sealed(checkpoints.folder / "state.json", lambda state: state.update(tensors=name.format(tmp_path)))
    with pytest.raises(RunError, match="names no file of tensors"):
        checkpoints.load()
