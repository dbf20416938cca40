from __future__ import annotations

import tomllib

import pytest

from mltfr.backbones import BACKBONES
from mltfr.config import dump_toml
from mltfr.errors import ConfigError
from mltfr.runs import RunConfig, resolve


def test_later_settings_win():
    file = {"seed": 1, "backbone": {"hidden": 128}, "training": {"epochs": 7, "batch_size": 32}}
    config = resolve(file=file, epochs=8, overrides=["training.batch_size=16"])
    assert (config.seed, config.backbone.hidden) == (1, 128)
    assert (config.training.epochs, config.training.batch_size) == (8, 16)


@pytest.mark.parametrize("named", [{}, {"name": "sasrec"}])
def test_a_flag_that_names_the_same_component_keeps_the_files_settings(named):
    config = resolve(file={"backbone": {**named, "hidden": 128}}, backbone="sasrec")
    assert config.backbone.hidden == 128
    config = resolve(file={"fusion": {"consensus_weight": 0.7}}, fusion="mltfr")
    assert config.fusion.consensus_weight == 0.7


def test_another_component_does_not_inherit_settings():
    assert resolve(file={"backbone": {"inner": 3}}, backbone="bert4rec").backbone.name == "bert4rec"
    assert resolve(file={"backbone": {"hidden": 128}}, backbone="bert4rec").backbone.hidden == 64


@pytest.mark.parametrize(
    "arguments", [{"preset": "reference"}, {"overrides": ["preset=reference"]}, {"file": {"preset": "reference"}}]
)
def test_a_preset_can_be_named_anywhere(arguments):
    config = resolve(**arguments)
    assert config.preset == "reference"
    assert config.fusion.name == "mltfr-reference"
    assert config.loss.name == "bce"
    assert config.tokens.prepare == "raw"
    assert config.training.samples == "positions"


def test_presets_do_not_mix():
    complete = tomllib.loads(dump_toml(resolve()))
    for other in ({"preset": "reference"}, {"overrides": ["preset=reference"]}):
        with pytest.raises(ConfigError, match="of preset 'default', but preset 'reference' is asked for"):
            resolve(file=complete, **other)


@pytest.mark.parametrize("preset", ["default", "reference"])
@pytest.mark.parametrize("backbone", ["sasrec", "bert4rec", "cl4srec"])
@pytest.mark.parametrize("fusion", ["mltfr", "none"])
def test_a_complete_config_resolves_to_itself(preset, backbone, fusion):
    config = resolve(preset=preset, backbone=backbone, fusion=fusion)
    assert resolve(file=tomllib.loads(dump_toml(config))) == config


def test_a_bare_backbone_reads_no_tables_whatever_the_file_says():
    complete = tomllib.loads(dump_toml(resolve()))
    assert resolve(file=complete, fusion="none").tokens.tables == ()


def test_the_bare_backbone_of_the_reference_is_trained_alike():
    full, bare = resolve(preset="reference"), resolve(preset="reference", fusion="none")
    assert full.backbone == bare.backbone
    assert full.training == bare.training
    assert full.loss == bare.loss


def test_what_is_unknown_is_said():
    with pytest.raises(ConfigError, match=r"Unknown preset 'refrence'\. Did you mean 'reference'"):
        resolve(preset="refrence")
    with pytest.raises(ConfigError, match="Did you mean 'sasrec'"):
        resolve(backbone="sasrc")


@pytest.mark.parametrize(("arguments", "objective"), [
    ({}, "none"),
    ({"backbone": "cl4srec"}, "cl4srec"),
    ({"overrides": ["backbone.name=duorec"]}, "duorec"),
    ({"file": {"backbone": {"name": "duorec", "hidden": 32}}}, "duorec"),
    ({"file": {"backbone": "duorec"}, "backbone": "sasrec"}, "none"),
    ({"overrides": ["objective.name=cl4srec"]}, "cl4srec"),
    ({"overrides": ["objective=duorec"]}, "duorec"),
    ({"backbone": "cl4srec", "overrides": ["objective.name=none"]}, "none"),
    ({"backbone": "cl4srec", "preset": "reference"}, "cl4srec"),
])  # fmt: skip
def test_the_objective_is_the_backbones_unless_one_is_named(arguments, objective):
    assert resolve(**arguments).objective.name == objective


def test_settings_of_an_objective_need_no_name():
    config = resolve(backbone="cl4srec", overrides=["objective.mask=0.5"])
    assert (config.objective.name, config.objective.mask, config.objective.weight) == ("cl4srec", 0.5, 0.1)
    with pytest.raises(ConfigError, match="objective 'duorec': unknown setting 'mask'"):
        resolve(backbone="duorec", overrides=["objective.mask=0.5"])


@pytest.mark.parametrize(("file", "kept"), [
    ({"backbone": "sasrec", "objective": {"name": "none"}}, "duorec"),         # what SASRec comes with
    ({"backbone": "cl4srec", "objective": {"name": "cl4srec", "mask": 0.5}}, "duorec"),
    ({"backbone": "cl4srec", "objective": {"mask": 0.5}}, "duorec"),
    ({"backbone": "sasrec", "objective": {"name": "cl4srec"}}, "cl4srec"),     # somebody's choice
    ({"backbone": "cl4srec", "objective": "none"}, "none"),
    ({"objective": {"name": "cl4srec"}}, "cl4srec"),
])  # fmt: skip
def test_another_backbone_does_not_inherit_what_a_files_backbone_came_with(file, kept):
    assert resolve(file=file, backbone="duorec").objective.name == kept


def test_a_run_config_names_its_objective_too():
    assert RunConfig(backbone="duorec").objective.name == "duorec"
    assert RunConfig(backbone=BACKBONES.get("cl4srec").config()).objective.name == "cl4srec"
    assert RunConfig().objective.name == "none"
    with pytest.raises(ConfigError, match="Did you mean 'duorec'"):
        RunConfig.parse({"backbone": "duorek"})
