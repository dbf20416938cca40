from __future__ import annotations

import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from mltfr.cli.engines import with_shards
from mltfr.cli.main import main
from mltfr.cluster.connection import require_shared, shared_storage
from mltfr.cluster.fit import ray_storage
from mltfr.cluster.status import StatusActor, without_warnings
from mltfr.errors import ConfigError, MltfrWarning, RunError
from mltfr.pipeline import resolve
from mltfr.storage.files import is_partial

DEAD = 4_190_000
"""A number that no process has."""


def run(*words, code=0):
    """Run `mltfr` here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mltfr", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
    assert (ended.value.code or 0) == code


def refused(capsys, *words):
    """Run a command that must be refused; return its one line."""
    run(*words, code=2)
    out, errors = capsys.readouterr()
    assert out == ""
    assert len(errors.splitlines()) == 1
    return errors.removeprefix("mltfr: ")


COMMANDS = (["fit", "log.csv", "--out"], ["recommend", "run", "--out"], ["study", "study.toml", "--out"])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "ray", "--workers", "0"], "--workers is 0, but at least one has to work"),
        (["--workers", "2"], "--workers 2 needs --engine ray. Without Ray, start processes with torchrun"),
        (["--address", "a:1"], "--address a:1 needs --engine ray"),
        (["--engine", "spark"], "'spark' is not one of 'local', 'ray'"),
    ],
)
def test_options_that_do_not_fit_together(capsys, tmp_path, command, options, message):
    assert message in refused(capsys, *command, tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


def test_without_ray_it_says_what_to_install(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("mltfr.cluster.connection.find_spec", lambda name: None)
    line = refused(capsys, "fit", "log.csv", "--out", tmp_path / "run", "--engine", "ray")
    assert line == "ray is not installed. Install it with: pip install 'mltfr[ray]'\n"


def test_a_cluster_that_is_not_there(capsys, log, tmp_path):
    pytest.importorskip("ray")
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        options = ("--engine", "ray", "--address", address)
        line = refused(capsys, "fit", log, "--out", tmp_path / "run", *options)
    assert line.startswith(f"No Ray cluster could be reached at '{address}'")
    assert "Give --address HOST:PORT of a running one" in line
    assert "it is not HOST:PORT" in refused(
        capsys, "fit", log, "--out", tmp_path / "run", "--engine", "ray", "--address", "nowhere"
    )
    assert not (tmp_path / "run").exists()


def test_ray_writes_recommendations_into_folders(capsys, tmp_path):
    pytest.importorskip("ray")
    line = refused(capsys, "recommend", "run", "--out", tmp_path / "out.csv", "--engine", "ray")
    assert "--engine ray writes a folder of parts" in line


def test_the_number_of_shards_follows_the_processes_unless_it_is_given():
    assert with_shards(resolve(), 1).training.shards == 1
    assert with_shards(resolve(), 3).training.shards == 3
    assert with_shards(resolve(overrides=["training.shards=4"]), 2).training.shards == 4
    with pytest.raises(ConfigError, match=r"3 processes cannot share 4 shards \(training.shards\) evenly"):
        with_shards(resolve(overrides=["training.shards=4"]), 3)


def test_a_node_that_does_not_see_the_files(tmp_path):
    with shared_storage(tmp_path) as token:
        require_shared([token])
        assert is_partial(token)  # which goes when the folder is continued after a kill
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match=r"does not see .*storage that all nodes of the cluster share"):
        require_shared([token])


def test_what_lies_where_ray_train_writes_is_left_alone(tmp_path):
    beside = tmp_path / ".run.ray"
    (beside / "train").mkdir(parents=True)
    (beside / "train/mine.txt").write_text("mine")
    with ray_storage(tmp_path / "run") as storage:
        (storage / "train").mkdir()
    assert [path.name for path in beside.rglob("*")] == ["train", "mine.txt"]


def test_a_second_fit_on_a_cluster_is_refused_and_nothing_is_left(tmp_path):
    killed = tmp_path / f".run.ray/.train-{socket.gethostname()}-{DEAD}-00000000"
    killed.mkdir(parents=True)
    with ray_storage(tmp_path / "run") as storage:
        assert storage.parent == tmp_path / ".run.ray"
        assert not killed.exists()
        with (
            ThreadPoolExecutor(1) as other,
            pytest.raises(RunError, match=r"\.run\.ray: this process .* is at work in it"),
        ):
            other.submit(lambda: ray_storage(tmp_path / "run").__enter__()).result()
        assert storage.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_warnings_of_workers_are_said_once():
    status = StatusActor()
    for text in ("stripped", "stripped", "other"):
        status.warn(text)
    status.post("message", "hello")
    with pytest.warns(MltfrWarning) as said:
        assert list(without_warnings(status.drain())) == [("message", ("hello",))]
    assert [str(each.message) for each in said] == ["stripped", "other"]
