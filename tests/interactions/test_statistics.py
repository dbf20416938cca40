from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from mltfr.cli.data import app
from mltfr.interactions import UNKNOWN, describe, load_interactions, split
from mltfr.interactions.statistics import gini
from mltfr.interactions.synthetic import SyntheticConfig, synthetic


def test_statistics_of_a_small_log(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("u a b a\nv a c\nw b\n")
    numbers = describe(load_interactions(path))
    assert (numbers.users, numbers.items, numbers.interactions) == (3, 3, 6)
    assert numbers.density == pytest.approx(5 / 9)  # u has a twice
    assert numbers.history_length["min"] == 1
    assert numbers.history_length["median"] == 2
    assert numbers.item_popularity["max"] == 3
    assert numbers.repeats == pytest.approx(1 / 6)
    assert numbers.test_users == 2
    assert numbers.cold_test_items == pytest.approx(1 / 2)  # c is only in the test part
    assert numbers.first_timestamp is None


def test_statistics_of_users_with_one_item() -> None:
    numbers = describe(load_interactions(pl.DataFrame({"user": ["u", "v"], "item": ["a", "a"]})))
    assert numbers.test_users == 0
    assert numbers.cold_test_items is None


def test_gini() -> None:
    assert gini(np.array([3, 3, 3])) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 8])) == pytest.approx(3 / 4)
    counts = np.array([1, 5, 2])
    assert gini(counts) == pytest.approx(np.abs(counts[:, None] - counts).sum() / (2 * 9 * counts.mean()))


def test_describe_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item,time\nu,a,1700000000\nu,b,1700000001\n,b,3\n")
    printed = CliRunner().invoke(app, ["describe", str(path), "--json", "--skip-invalid"])
    document = json.loads(printed.stdout)
    assert (document["users"], document["interactions"], document["skipped"]) == (1, 2, 1)
    table = CliRunner().invoke(app, ["describe", str(path), "--skip-invalid"]).stdout
    assert "2023-11-14" in table
    assert "interactions" in table


def test_the_synthetic_log_is_what_it_says() -> None:
    config = SyntheticConfig(users=600, items=200, topics=8)
    made, again, other = synthetic(config, seed=3), synthetic(config, seed=3), synthetic(config, seed=4)
    assert made.log.fingerprint() == again.log.fingerprint() != other.log.fingerprint()
    assert (made.topics[made.successors] == made.topics).all()
    assert sorted(made.successors) == list(range(200))
    assert load_interactions(made.log.frame).frame.equals(made.log.frame)
    assert split(made.log).left_out == {}
    index = {item: number for number, item in enumerate(made.item_ids)}
    follows = [
        made.successors[index[a]] == index[b]
        for (items,) in made.log.frame.group_by("user_id", maintain_order=True).agg("item_id").select("item_id").rows()
        for a, b in itertools.pairwise(items)
    ]
    assert np.mean(follows) == pytest.approx(config.follow, abs=0.05)


def test_order_beats_popularity_on_the_synthetic_log() -> None:
    parts = split(synthetic().log)
    targets = parts.targets(parts.test)
    known = targets != UNKNOWN
    popular = np.argsort(-parts.vocabulary.counts)[:10]
    size = len(parts.vocabulary) + 1
    steps = np.zeros((size, size))
    for history in parts.train_histories():
        np.add.at(steps, (history[:-1], history[1:]), 1)
    last = parts.histories.items[parts.histories.offsets[parts.test.user] + parts.test.cut - 1]
    usable = known & (last != UNKNOWN)
    best = np.argsort(-steps[last[usable]], axis=1)[:, :10]
    by_order = (best == targets[usable][:, None]).any(1).sum() / len(targets)
    assert by_order > 3 * np.isin(targets, popular).mean()


def test_too_many_topics_are_refused() -> None:
    with pytest.raises(ValueError, match="need at least as many items"):
        synthetic(SyntheticConfig(items=3, topics=4))
