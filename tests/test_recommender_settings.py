"""What the public object takes as settings."""

from __future__ import annotations

import pytest

from mltfr import Recommender
from mltfr.errors import ConfigError
from mltfr.pipeline import resolve


def test_names_of_tables_may_be_one_text():
    for text in ("alpha, beta", ["alpha", "beta"]):
        assert list(Recommender(tokens=text).config.tokens.tables) == ["alpha", "beta"]
    assert list(Recommender(tokens="wordllama").config.tokens.tables) == ["wordllama"]
    assert Recommender(settings="training.epochs=7").config.training.epochs == 7


@pytest.mark.parametrize("name", ["backbone", "fusion", "tokens", "preset", "seed", "epochs", "settings"])
def test_complete_settings_stand_alone(name):
    config = resolve(fusion="none")
    given = {"seed": 0, "epochs": 3, "settings": ["seed=3"], "preset": "default"}.get(name, "none")
    with pytest.raises(ConfigError, match=f"complete settings, so {name} cannot be given beside it. Leave config out"):
        Recommender(config=config, **{name: given})
    assert Recommender(config=config).config is config
