"""Settings of earlier versions are read in the words of this one."""

from __future__ import annotations

from typing import Any

import pytest

from mltfr.errors import ConfigError
from mltfr.pipeline import resolve
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.upgrade import upgrade_settings


def former(**tables: dict[str, object]) -> dict[str, object]:
    return {"backbone": {"name": "sasrec"}, "fusion": {"name": "mltfr"}, **tables}


def test_flat_training_settings_are_advanced_now() -> None:
    settings = former(training={"epochs": 3, "bucket": 64, "refresh_every": 1, "refresh_histories": 2048})
    config = RunConfig.parse(upgrade_settings(settings))
    assert config.training.epochs == 3
    assert config.training.advanced.bucket == 64


@pytest.mark.parametrize(("before", "after"), [("position", "position"), ("user", "sequence"), ("nobody", "static")])
def test_who_chose_is_the_granularity_now(before: str, after: str) -> None:
    settings = former(fusion={"name": "mltfr", "filter": {"chosen_by": before}})
    assert upgrade_settings(settings)["fusion"]["filter"] == {"granularity": after}
    assert settings["fusion"] == {"name": "mltfr", "filter": {"chosen_by": before}}, "the argument was changed"


def test_a_run_of_before_does_what_it_did() -> None:
    complete = resolve(tokens=["a"]).model_dump(mode="json")
    now, then = complete["fusion"]["filter"], {
        "query_from": "input",
        "null_key": False,
        "query_projection": False,
        "rate_factor": 1.0,
        "hysteresis": 0.0,
    }
    before = {name: value for name, value in now.items() if name not in then}
    upgraded = upgrade_settings({**complete, "fusion": {**complete["fusion"], "filter": before}})
    assert upgraded["fusion"]["filter"] == {**before, **then}


def test_names_were_read_by_tables_but_for_a_control() -> None:
    names: dict[str, object] = {"file": "names.csv", "control": "random"}
    assert RunConfig.parse(upgrade_settings(former(names=names))).names.read == "tables"
    upgraded = upgrade_settings(former(names={**names, "control": "bag-of-words"}))["names"]
    assert (upgraded["read"], upgraded["control"]) == ("words", "none")
    complete = resolve(item_names="names.csv", fusion="none").model_dump(mode="json")
    assert upgrade_settings(complete) == complete
    complete["names"]["read"] = "auto"
    assert upgrade_settings(complete)["names"]["read"] == "words"


@pytest.mark.parametrize("given", [
    {"fusion": "none"}, {"backbone": "item-knn"}, {"backbone": "name-knn", "item_names": "names.csv"},
    {"fusion": "none", "item_names": "names.csv", "overrides": ["names.use=none"]},
])  # fmt: skip
def test_a_run_of_before_without_names_in_it_goes_on_as_it_was_begun(given: dict[str, Any]) -> None:
    now = resolve(**given)
    before = now.model_dump(mode="json")
    del before["names"]["read"]
    assert RunConfig.parse(upgrade_settings(before)).deciding() == now.deciding()


def test_the_former_name_of_words_is_told() -> None:
    with pytest.raises(ConfigError, match="control 'bag-of-words' is now read = 'words'"):
        resolve(item_names="names.csv", fusion="none", overrides=["names.control=bag-of-words"])


@pytest.mark.parametrize(
    ("fusion", "control", "name"),
    [
        ("mltfr", "random", "random"),
        ("mltfr", "shuffled", "shuffled"),
        ("mltfr-reference", "random", "random-reference"),
        ("none", "random", "none"),
    ],
)
def test_a_control_is_a_fusion_now(fusion: str, control: str, name: str) -> None:
    upgraded = upgrade_settings(former(fusion={"name": fusion}, tokens={"control": control}))
    assert upgraded["fusion"]["name"] == name
    assert upgraded["tokens"] == {}


def test_a_control_that_is_no_fusion_is_refused() -> None:
    with pytest.raises(ConfigError, match="fusion 'external' has no control 'shuffled' any more"):
        upgrade_settings(former(fusion={"name": "external"}, tokens={"control": "shuffled"}))


def test_a_gru4rec_of_before_has_no_item_bias() -> None:
    for given, wanted in (({}, False), ({"item_bias": True}, True)):
        upgraded = upgrade_settings(former(backbone={"name": "gru4rec", **given}))
        assert upgraded["backbone"]["item_bias"] is wanted
    assert upgrade_settings(former())["backbone"] == {"name": "sasrec"}


def test_settings_of_this_version_stay_as_they_are() -> None:
    settings = resolve(overrides=["training.advanced.bucket=32"]).model_dump(mode="json")
    assert upgrade_settings(settings) == settings


def test_a_former_name_in_a_users_settings_says_what_it_is_now() -> None:
    with pytest.raises(ConfigError, match=r"chosen_by is now fusion\.filter\.granularity; 'user' is 'seq"):
        resolve(overrides=["fusion.filter.chosen_by=user"])


def test_what_was_fitted_before_there_were_lags_has_none() -> None:
    settings = {"backbone": {"name": "markov", "smoothing": 300.0, "newest": 1, "decay": 0.5}}
    assert upgrade_settings(settings)["backbone"] == {**settings["backbone"], "lags": 1}
    settings = {"backbone": {"name": "item-knn", "neighbours": 500}}
    assert upgrade_settings(settings)["backbone"] == {**settings["backbone"], "lags": 0}


def test_the_ease_of_earlier_versions_is_the_truncated_one() -> None:
    settings = {"backbone": {"name": "ease", "l2": 300.0, "keep": 200, "recent": 0.9}}
    assert upgrade_settings(settings)["backbone"] == {**settings["backbone"], "name": "ease-recent"}
    assert upgrade_settings({"backbone": {"name": "ease", "l2": 9.0}})["backbone"]["name"] == "ease"


def test_noise_that_ended_after_epochs_is_said_to_end_after_steps() -> None:
    assert upgrade_settings(former(fusion={"name": "mltfr", "filter": {"noise_epochs": 5.0}}))["fusion"]["filter"] == {}
    with pytest.raises(ConfigError, match=r"noise_epochs is now fusion\.filter\.noise_steps, and counts optimisation"):
        resolve(overrides=["fusion.filter.noise_epochs=3"])
