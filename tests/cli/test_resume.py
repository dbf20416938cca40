from __future__ import annotations

import json
import signal
import time

import pytest

from support.command_line import SMALL, run
from support.forks import Forked
from support.walks import write_log

OPTIONS = ("--tokens", "alpha,beta", *SMALL, "--epochs", "6", "--set", "training.advanced.checkpoint_seconds=0")


def start(folder, store, *arguments):
    return Forked(*arguments, said=folder, environment={"MLTFR_HOME": str(store)})


def wait_for(process, folder, round_number, batches):
    """Wait until the checkpoint has got as far as a round and some batches of any epoch."""
    deadline = time.monotonic() + 120
    while process.is_alive() and time.monotonic() < deadline:
        try:
            state = json.loads((folder / "checkpoint/state.json").read_text())
        except (OSError, ValueError):
            state = {"round": 0, "step": 0}
        if (state["round"], state["step"]) >= (round_number, batches):
            return
        time.sleep(0.005)
    pytest.fail(f"training ended before it could be interrupted: {process.ended()}")


@pytest.fixture(scope="module")
def straight(tmp_path_factory, store):
    folder = tmp_path_factory.mktemp("straight")
    write_log(folder / "log.csv")
    run("fit", folder / "log.csv", "--out", folder / "run", *OPTIONS, home=store)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("round_number", "batches"), [(1, 2), (1, 17), (2, 3), (2, 20)])
def test_killed_and_resumed_ends_with_the_same_bits(tmp_path, store, straight, round_number, batches):
    out = tmp_path / "run"
    process = start(tmp_path, store, "fit", straight / "log.csv", "--out", out, *OPTIONS)
    wait_for(process, out, round_number, batches)
    process.send(signal.SIGKILL)
    assert process.ended()[0] == -signal.SIGKILL
    assert not (out / "manifest.json").exists()
    refused = run("fit", straight / "log.csv", "--out", out, *OPTIONS, home=store, check=False)
    assert refused.returncode == 2
    assert "holds an interrupted run. Continue it with --resume" in refused.stderr
    run("fit", straight / "log.csv", "--out", out, *OPTIONS, "--resume", home=store)
    assert (out / "weights.safetensors").read_bytes() == (straight / "run/weights.safetensors").read_bytes()
    metrics = [json.loads((f / "metrics.json").read_text())["metrics"] for f in (out, straight / "run")]
    assert metrics[0] == metrics[1]
    assert not (out / "checkpoint").exists()


def test_a_finished_run_that_is_resumed_shows_its_scores(tmp_path, store, straight):
    """After a kill at the very end, too, the same command ends well."""
    before = {path: path.read_bytes() for path in (straight / "run").iterdir()}
    command = ("fit", straight / "log.csv", "--out", straight / "run", *OPTIONS, "--resume")
    done = run(*command, home=store)
    assert "this run is finished; nothing was left to do." in done.stderr
    assert "popularity" in done.stdout
    assert f"Run written to {straight / 'run'}. Next: mltfr recommend" in done.stdout.replace("\n", " ")
    refused = run(*command, "--epochs", "7", home=store, check=False)
    assert refused.returncode == 2
    assert "finished run of something else (training.epochs was 3 and is 4). Look at it: mltfr eval" in refused.stderr
    assert {path: path.read_bytes() for path in (straight / "run").iterdir()} == before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_writes_a_checkpoint(tmp_path, store, straight, number):
    out = tmp_path / "run"
    options = (*OPTIONS, "--set", "training.advanced.checkpoint_seconds=3600")
    process = start(tmp_path, store, "fit", straight / "log.csv", "--out", out, *options, "--epochs", "500")
    time.sleep(0.2)
    deadline = time.monotonic() + 60
    while not (out / "log.jsonl").exists() or not (out / "log.jsonl").read_text():
        assert time.monotonic() < deadline, "training did not start"
        time.sleep(0.01)
    process.send(number)
    code, _, errors = process.ended()
    assert code == 130
    assert "continue with the same command and --resume" in errors
    assert "Traceback" not in errors
    assert (out / "checkpoint/state.json").exists()


def test_other_settings_do_not_continue_a_run(tmp_path, store, straight):
    out = tmp_path / "run"
    process = start(tmp_path, store, "fit", straight / "log.csv", "--out", out, *OPTIONS)
    wait_for(process, out, 1, 10)  # an epoch has been logged
    process.send(signal.SIGKILL)
    process.ended()
    files = out / "config.toml", out / "log.jsonl"
    before = [file.read_bytes() for file in files]
    other = (*OPTIONS, "--seed", "5", "--resume")
    done = run("fit", straight / "log.csv", "--out", out, *other, home=store, check=False)
    assert done.returncode == 2
    assert "holds an interrupted run with other settings (seed was 0 and is 5). Give the same ones" in done.stderr
    assert [file.read_bytes() for file in files] == before
