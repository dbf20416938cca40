from __future__ import annotations

import tomllib

import pytest

from mltfr.backbones import BACKBONES
from mltfr.config import dump_toml
from mltfr.errors import ConfigError
from mltfr.runs import resolve


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


@pytest.mark.parametrize(
    ("backbone", "keep", "weight"),
    [("sasrec", 1, 0.01), ("bert4rec", 1, 0.2), ("fmlp-rec", 10, 0.05), ("bsarec", 10, 0.1), ("linrec", 1, 0.1)],
)
def test_the_reference_has_the_published_settings_of_every_backbone(backbone, keep, weight):
    if backbone not in BACKBONES.names():
        pytest.skip(f"{backbone} is not there")
    config = resolve(preset="reference", backbone=backbone)
    assert (config.fusion.name, config.fusion.keep, config.fusion.consensus_weight) == ("mltfr-reference", keep, weight)
    assert (config.backbone.name, config.backbone.hidden, config.backbone.blocks) == (backbone, 64, 2)
    assert (config.backbone.max_length, config.backbone.dropout) == (50, 0.2)
    assert (config.training.batch_size, config.training.epochs, config.training.learning_rate) == (128, 100, 1e-3)
    assert config.training.first_round_epochs == (100 if backbone == "bert4rec" else 20)


@pytest.mark.parametrize("backbone", ["fmlp-rec", "bsarec"])
@pytest.mark.parametrize("preset", ["default", "reference"])
def test_a_backbone_that_sees_the_whole_window_is_trained_on_prefixes(backbone, preset):
    assert not BACKBONES.get(backbone).cls.is_causal
    assert resolve(preset=preset, backbone=backbone).training.samples == "prefixes"


def test_presets_do_not_mix():
    complete = tomllib.loads(dump_toml(resolve()))
    for other in ({"preset": "reference"}, {"overrides": ["preset=reference"]}):
        with pytest.raises(ConfigError, match="of preset 'default', but preset 'reference' is asked for"):
            resolve(file=complete, **other)


@pytest.mark.parametrize("preset", ["default", "reference"])
@pytest.mark.parametrize("backbone", ["sasrec", "bert4rec", "fmlp-rec", "bsarec"])
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
