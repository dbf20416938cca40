from __future__ import annotations

import tomllib
import warnings

import pytest

from mltfr.backbones import BACKBONES
from mltfr.config import differences, dump_toml
from mltfr.errors import ConfigError, MltfrWarning
from mltfr.fusion import FUSIONS
from mltfr.pipeline import RunConfig, resolve


def test_later_settings_win():
    file = {"seed": 1, "backbone": {"hidden": 128}, "training": {"epochs": 7, "batch_size": 32}}
    config = resolve(file=file, fusion="none", epochs=8, overrides=["training.batch_size=16"])
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
def test_a_backbone_that_sees_the_whole_window_is_published_with_prefixes(backbone):
    assert not BACKBONES.get(backbone).cls.is_causal
    assert resolve(preset="reference", backbone=backbone).training.samples == "prefixes"


def test_presets_do_not_mix():
    complete = tomllib.loads(dump_toml(resolve()))
    for other in ({"preset": "reference"}, {"overrides": ["preset=reference"]}):
        with pytest.raises(ConfigError, match="of preset 'default', but preset 'reference' is asked for"):
            resolve(file=complete, **other)


@pytest.mark.parametrize("preset", ["default", "reference"])
@pytest.mark.parametrize("backbone", ["sasrec", "bert4rec", "fmlp-rec", "bsarec", "cl4srec"])
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


@pytest.mark.parametrize("control", ["random", "shuffled"])
def test_a_control_is_mltfr_with_other_tables(control):
    complete = resolve(overrides=["fusion.heads=2"])
    fusion = FUSIONS.get(control).config.model_validate({**complete.fusion.model_dump(), "name": control})
    expected = complete.model_copy(update={"fusion": fusion})
    file = tomllib.loads(dump_toml(complete))
    assert resolve(file=file, fusion=control) == expected
    assert resolve(file=file, overrides=[f"fusion.name={control}"]) == expected
    assert resolve(file={"fusion": {"name": control, "heads": 2}}) == expected
    assert resolve(fusion=control, overrides=["fusion.heads=2"]) == expected
    assert resolve(file={"fusion": control, "tokens": {"width": 64}}).tokens.width == 64
    assert resolve(file=tomllib.loads(dump_toml(expected))) == expected
    assert resolve(file=tomllib.loads(dump_toml(expected)), fusion="mltfr") == complete


def test_a_control_of_the_reference_keeps_its_settings():
    file = tomllib.loads(dump_toml(resolve(preset="reference", overrides=["fusion.keep=3"])))
    config = resolve(file=file, fusion="random")
    assert (config.fusion.name, config.fusion.keep) == ("random-reference", 3)
    control, real = (resolve(preset="reference", fusion=name).fusion.model_dump() for name in ("random", "mltfr"))
    assert (control.pop("name"), real.pop("name")) == ("random-reference", "mltfr-reference")
    assert control == real


def test_words_and_item_vectors_are_settings():
    config = resolve(fusion="external", words=["hair care", "soap"])
    assert config.fusion.words == ("hair care", "soap")
    assert resolve(file=tomllib.loads(dump_toml(config)), words=["tea"]).fusion.words == ("tea",)
    config = resolve(fusion="adapter", item_vectors="v.parquet")
    assert (config.fusion.vectors, config.tokens.tables) == ("v.parquet", ())
    with pytest.raises(ConfigError, match="--words is read by fusion 'external', but the fusion is 'mltfr'"):
        resolve(words=["tea"])


def test_what_is_unknown_is_said():
    with pytest.raises(ConfigError, match=r"Unknown fusion 'shufled'\. Did you mean 'shuffled'\?.*random"):
        resolve(fusion="shufled")
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


@pytest.mark.parametrize(("arguments", "fusion"), [
    ({}, "random"),
    ({"fusion": "mltfr"}, "mltfr"),
    ({"overrides": ["fusion=direct"]}, "direct"),
    ({"overrides": ["fusion.heads=2"]}, "random"),
    ({"fusion": "shuffled"}, "shuffled"),
])  # fmt: skip
def test_a_fusion_that_is_asked_for_replaces_a_files_control(arguments, fusion):
    assert resolve(file={"fusion": "random"}, **arguments).fusion.name == fusion


def test_the_former_setting_of_a_control_names_the_fusion_to_choose():
    assert resolve(file={"tokens": {"control": "none"}}) == resolve()
    with pytest.raises(ConfigError, match=r"tokens: control is no setting any more\. .* choose 'random', its control"):
        resolve(file={"tokens": {"control": "random"}})


def test_a_complete_file_takes_another_component_of_an_override_without_the_settings_of_its_own():
    file = tomllib.loads(dump_toml(resolve(overrides=["loss.name=cross_entropy", "loss.label_smoothing=0.1"])))
    assert resolve(file=file, overrides=["loss.name=bce"]).loss.name == "bce"


def test_a_name_in_a_file_is_a_component():
    assert resolve(file={"fusion": "external"}, words=["tea"]).fusion.words == ("tea",)
    with pytest.raises(ConfigError, match=r"'training' is a table of settings, as in .*, but 'x' was given"):
        resolve(file={"training": "x"}, epochs=3)


def test_published_settings_are_of_one_backbone():
    file = resolve(preset="reference").model_dump(mode="json")
    assert resolve(file=file, seed=1).backbone.name == "sasrec"
    with pytest.raises(ConfigError, match=r"published settings of backbone 'sasrec'.*--backbone bert4rec"):
        resolve(file=file, backbone="bert4rec")


@pytest.mark.parametrize(("given", "message"), [
    (["loss.name=ce"], r"Unknown loss 'ce'\. Did you mean 'cross_entropy'\?"),
    (["epochs=3"], r"unknown setting 'epochs'\. Did you mean 'training\.epochs'\?"),
    (["lr=3"], r"unknown setting 'lr'\. Did you mean 'training\.learning_rate'\?"),
    (["training.lr=3"], r"unknown setting 'training\.lr'\. Did you mean 'learning_rate'\?"),
    (["max_length=3"], r"Did you mean 'backbone\.max_length'\?"),
    (["training.loss=bce"], r"unknown setting 'training\.loss'\. Did you mean 'loss'\?"),
    (["training.metric=recall"], r"training\.metric: unknown metric 'recall'\. Write one of .* as in ndcg@10"),
    (["training.device=gpu"], r"training\.device: expected one like auto, cpu, cuda:1, got 'gpu'"),
    (["training.samples=prefix"], r"'windows' or 'positions', got 'prefix'\. Did you mean 'prefixes'\?"),
    (["fusion=none", "fusion.filter.keep=3"], r"unknown setting 'filter'\. Known: .*setting of .*mltfr"),
    (["training=3"], r"training: is a table of settings, as in `\[training\]`, got 3"),
    (["loss.label_smoothing=0.1"], r"expected the name of a loss, or loss\.name beside other settings"),
    (["backbone=mltfr"], r"'mltfr' is a fusion, and no backbone: give it as --fusion mltfr"),
    (["fusion=ease"], r"'ease' is a backbone, and no fusion"),
    ([{"seed": 3}], r"settings are texts KEY=VALUE, or a dict, got \{'seed': 3\}"),
])  # fmt: skip
def test_a_mistaken_setting_is_answered_with_the_one_that_is_meant(given, message):
    with pytest.raises(ConfigError, match=message):
        resolve(overrides=given)


@pytest.mark.parametrize("given", [
    {"training": {"epochs": 3}, "fusion": "none", "tokens": {"tables": []}},
    {"training.epochs": 3, "fusion.name": "none", "tokens.tables": []},
    "training.epochs=3",
])  # fmt: skip
def test_settings_are_texts_or_a_dict(given):
    config = resolve(fusion="none", overrides=given)
    assert config == resolve(fusion="none", epochs=3)


def test_settings_that_mean_nothing_to_a_baseline_are_said():
    with pytest.warns(MltfrWarning, match="'ease' is fitted in one pass, so these have no meaning .* training.epochs"):
        resolve(backbone="ease", epochs=3)


@pytest.mark.parametrize("idle", ["names.control=random", "names.scale=3", "names.read=tables"])
def test_settings_of_names_that_change_no_words_are_said_beside_a_baseline_of_words(idle):
    with pytest.warns(MltfrWarning, match=f"these have no meaning with it: {idle.partition('=')[0]}\\."):
        resolve(backbone="name-knn", item_names="n.csv", overrides=[idle])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolve(backbone="name-knn", item_names="n.csv", overrides=["names.control=permuted", "names.idf=false"])
    with pytest.raises(ConfigError, match=r"but names are read as words\. Set names\.read = 'tables'"):
        resolve(fusion="none", item_names="n.csv", overrides=["names.control=random"])


@pytest.mark.parametrize(("given", "why"), [
    ({"fusion": "none"}, "fusion 'none' reads none. Leave --tokens out, or read them with --fusion mltfr."),
    ({"fusion": "none", "item_names": "n.csv"}, "names are read as words. .* or names with --set names.read=tables"),
])  # fmt: skip
def test_token_tables_that_nothing_reads_are_said(given, why):
    with pytest.warns(MltfrWarning, match=why):
        assert resolve(tokens=["a", "b"], **given).tokens.tables == ()
    with pytest.warns(MltfrWarning, match=why):
        resolve(overrides=['tokens.tables=["a"]'], **given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resolve(tokens=[], **given) == resolve(**given)
        assert resolve(tokens=["a"], item_names="n.csv").tokens.tables == ("a",)


def test_what_a_baseline_is_judged_by_has_a_meaning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resolve(backbone="ease", overrides=["training.metric=hr@20"]).judged_by == "hr@20"


def test_what_differs_is_named_with_both_values():
    given = {"overrides": "training.epochs=3"}
    one, other = (resolve(**each).model_dump(mode="json") for each in (given, {"seed": 4}))
    assert differences(one, other) == ["seed was 0 and is 4", "training.epochs was 3 and is 30"]
    assert differences(one, resolve(backbone="gru4rec", **given).model_dump(mode="json")) == [
        'backbone.name was "sasrec" and is "gru4rec"'
    ]
