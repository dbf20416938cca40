"""CL4SRec and DuoRec through the command line: fit, kill, resume, repeat, recommend."""

from __future__ import annotations

import json
import tomllib

import pytest

from support.command_line import FIT, refused, run
from support.walks import write_log

BARE = ("--fusion", "none", "--set", "backbone.hidden=16", "--set", "backbone.max_length=10", "--epochs", "2")


@pytest.mark.parametrize("backbone", ["cl4srec", "duorec"])
def test_a_run_is_repeated_by_its_own_config(tmp_path, store, backbone):
    write_log(tmp_path / "log.csv")
    run("fit", tmp_path / "log.csv", "--out", tmp_path / "run", "--backbone", backbone, *BARE, home=store)
    config = tomllib.loads((tmp_path / "run/config.toml").read_text())
    assert config["backbone"]["name"] == config["objective"]["name"] == backbone
    assert config["objective"]["weight"] == 0.1
    again = ("--config", tmp_path / "run/config.toml")
    run("fit", tmp_path / "log.csv", "--out", tmp_path / "again", *again, home=store)
    one, other = (tmp_path / name / "weights.safetensors" for name in ("run", "again"))
    assert one.read_bytes() == other.read_bytes()
    run("recommend", tmp_path / "run", "--out", tmp_path / "top.csv", "-k", "3", home=store)
    scores = json.loads(run("evaluate", tmp_path / "run", "--json", home=store).stdout)
    assert scores["metrics"] == json.loads((tmp_path / "run/metrics.json").read_text())["metrics"]


def test_an_objective_goes_with_a_fusion_and_any_causal_backbone(tmp_path, store):
    write_log(tmp_path / "log.csv")
    options = (*FIT, "--set", "objective.name=cl4srec")
    run("fit", tmp_path / "log.csv", "--out", tmp_path / "run", *options, home=store)
    run("recommend", tmp_path / "run", "--out", tmp_path / "top.csv", "-k", "3", home=store)
    rows = (tmp_path / "top.csv").read_text().splitlines()
    assert len(rows) == 1 + 3 * 60


def test_a_backbone_that_it_does_not_suit_is_one_line(tmp_path, store):
    write_log(tmp_path / "log.csv")
    options = ("--backbone", "bert4rec", "--fusion", "none", "--set", "objective.name=duorec")
    error = refused(tmp_path, store, "fit", tmp_path / "log.csv", "--out", tmp_path / "run", *options)
    assert "Choose objective 'none', or a causal backbone such as 'sasrec'" in error
