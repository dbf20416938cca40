from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from test_cluster_options import run

from mltfr import load_interactions
from mltfr.pipeline import fit, resolve
from support.forks import together
from support.processes import OPTIONS, SMALL, assert_same_run, checkpointed, descendants, start, wait_until, words

pytestmark = pytest.mark.slow


def test_two_processes_agree_on_everything():
    process = start(Path(__file__).parents[1] / "support" / "two_processes.py")
    out, errors = process.communicate(timeout=150)
    assert process.returncode == 0, errors
    assert all(out.count(f"process {number} agrees") == 1 for number in (0, 1))  # their lines may run together


def test_two_processes_train_what_one_does(home, log, alone, tmp_path):
    ended = together("fit", log, "--out", tmp_path / "run", *OPTIONS, said=tmp_path)
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert [out.count("Run written to") for _, out, _ in ended] == [1, 0]
    assert [errors.count("epoch 1 of at most") for _, _, errors in ended] == [2, 0]  # one a round: only one speaks
    assert_same_run(tmp_path / "run", alone)


def test_two_processes_move_the_same_item_vectors(home, log, tmp_path):
    """Each catches up with the rows that its own part reads; a step then moves those that any part has read."""
    settings = ["loss={name='sampled_softmax', negatives=4}", "training.advanced.item_updates='sparse'"]
    fit(resolve(overrides=[*SMALL, *settings, "training.shards=2"]), load_interactions(log), tmp_path / "alone")
    ended = together("fit", log, "--out", tmp_path / "run", *OPTIONS, *words(settings), said=tmp_path)
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert_same_run(tmp_path / "run", tmp_path / "alone")


def test_a_killed_process_ends_all_and_the_run_resumes_with_another_number(home, log, alone, tmp_path):
    """Process 1 is killed in round 2; one process alone goes on from the checkpoint, to the same end."""
    out = tmp_path / "run"
    options = [*OPTIONS, "--set", "training.advanced.checkpoint_seconds=0"]
    process = start("-m", "mltfr", "fit", log, "--out", out, *options)
    wait_until(lambda: checkpointed(out, 2, 3) or process.poll() is not None)
    both = [pid for pid in descendants("mltfr fit", process.pid) if pid != process.pid]
    assert len(both) == 2, process.communicate()[1]
    os.kill(max(both), signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "Another process of this training has ended" in errors
    assert 'File "' not in errors.partition("mltfr: ")[0]  # torchrun's own trace comes last
    assert not (out / "manifest.json").exists()
    run("fit", log, "--out", out, *options, "--set", "training.shards=2", "--resume")
    (out / "config.toml").write_text((out / "config.toml").read_text().replace("_seconds = 0.0", "_seconds = 60.0"))
    assert_same_run(out, alone)
