"""How to repeat a run: commands that can be copied."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mltfr.interactions.readers.frame import MEMORY
from mltfr.page.repeat import repeat
from mltfr.pipeline import resolve

MANIFEST = {"files": {"config.toml": "c", "weights.safetensors": "w"}}
MEMBERS = [{"run": "sasrec", "weight": 0.25}, {"run": "my knn", "weight": 0.75}]


def commands_of(backbone, facts):
    config = (
        resolve(backbone="item-knn")
        if backbone != "blend"
        else SimpleNamespace(backbone=SimpleNamespace(name=backbone))
    )
    fitted = SimpleNamespace(facts=facts, metrics={}, config=config)
    return repeat(fitted, MANIFEST, "m", quotes=False).commands


@pytest.mark.parametrize(
    ("source", "log"),
    [("log.csv", "log.csv"), ("my log.csv", "'my log.csv'"), (MEMORY, "LOG"), ("a.csv and 2 more", "LOG")],
)
def test_a_log_is_one_word_of_the_command(source, log):
    assert commands_of("item-knn", {"source": source}) == (f"mltfr fit {log} --config RUN/config.toml --out AGAIN",)


@pytest.mark.parametrize(("weights", "more"), [("validation", ""), ("given", " --weights 0.25,0.75")])
def test_a_blend_is_repeated_with_the_weights_that_it_was_given(weights, more):
    told = commands_of("blend", {"blend": {"members": MEMBERS, "weights": weights}})
    assert told == (f"mltfr blend sasrec 'my knn'{more} --out AGAIN",)


@pytest.mark.parametrize(
    ("backbone", "first"),
    [("item-knn", "mltfr fit a.csv --config RUN/config.toml"), ("blend", "mltfr blend sasrec 'my knn'")],
)
def test_an_update_is_repeated_from_the_first_log_on(backbone, first):
    facts = {"source": "c 1.csv", "chain": [{"source": "a.csv"}, {"source": "b.csv"}], "blend": {"members": MEMBERS}}
    updates = ("mltfr update AGAIN b.csv --out UPDATED1", "mltfr update UPDATED1 'c 1.csv' --out UPDATED2")
    assert commands_of(backbone, facts) == (f"{first} --out AGAIN", *updates)
