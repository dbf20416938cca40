"""What the public object takes as settings."""

from __future__ import annotations

import re

import polars as pl
import pytest

import mltfr
from mltfr import Recommender
from mltfr.errors import ConfigError
from mltfr.pipeline import resolve
from mltfr.training import Callback


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


@pytest.mark.parametrize("settings", [{"training": {"epochs": 7}}, {"training.epochs": 7}, ["training.epochs=7"]])
def test_settings_may_be_a_dict(settings):
    assert Recommender(fusion="none", settings=settings).config == resolve(fusion="none", epochs=7)


def test_it_says_in_a_line_what_it_is():
    log = mltfr.load_interactions(pl.DataFrame({"user": [1, 1, 1, 1, 2, 2, 2, 2], "item": [1, 2, 3, 4, 2, 3, 4, 1]}))
    recommender = Recommender("popularity")
    assert repr(recommender) == "Recommender(popularity, not fitted)"
    assert repr(Recommender(tokens="a,b")) == "Recommender(sasrec + mltfr on a, b, not fitted)"
    recommender.fit(log, callback=Callback())
    assert re.fullmatch(r"Recommender\(popularity; 2 users, 3 items; test ndcg@10 .*, hr@10 .*\)", repr(recommender))
    assert repr(recommender.fitted).startswith("FittedModel(popularity; 2 users, 3 items; test ndcg@10 ")
    estimate = Recommender(fusion="none").estimate(log)
    assert re.match(r"TrainingMemory\(\d+ MB more than now: item embedding", repr(estimate))


def test_what_mltfr_offers_can_be_imported_from_it():
    for name in mltfr.__all__:
        assert getattr(mltfr, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mltfr.nothing  # noqa: B018


def test_what_is_no_list_or_no_split_is_refused():
    with pytest.raises(ConfigError, match="words is the text 'tea'; expected a list of words"):
        Recommender(fusion="external", words="tea")
    log = pl.DataFrame({"user": [1] * 4 + [2] * 4, "item": [1, 2, 3, 4, 2, 3, 4, 1]})
    fitted = Recommender("popularity").fit(log, callback=Callback())
    with pytest.raises(ConfigError, match=r"Unknown split 'val'\. Did you mean 'validation'\?"):
        fitted.evaluate("val")
    assert Recommender(config={"seed": 3, "fusion": "none"}).config == resolve(seed=3, fusion="none")
