from __future__ import annotations

import socket
import sys

import pytest

from mltfr.cli.engines import with_shards
from mltfr.cli.main import main
from mltfr.cluster.connection import require_shared, shared_storage
from mltfr.errors import ConfigError
from mltfr.pipeline import resolve


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
    with shared_storage(tmp_path / "new") as token:
        require_shared([token])
    assert list((tmp_path / "new").iterdir()) == []
    with pytest.raises(ConfigError, match=r"does not see .*storage that all nodes of the cluster share"):
        require_shared([token])
