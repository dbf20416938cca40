"""How large the parts of a log are: in numbers, in words, and the same wherever they are said."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from mltfr import Recommender
from mltfr.cli.data import app
from mltfr.evaluation.asked import TargetCounts
from mltfr.interactions import load_interactions, prepare
from mltfr.interactions.extend import METHOD as NEW_ROWS
from mltfr.interactions.filter_steps import FilterStep
from mltfr.interactions.filters import FilterConfig
from mltfr.pipeline import resolve
from mltfr.pipeline.all_baselines import fit_baselines
from mltfr.pipeline.data_counts import WIDTH, DataCounts
from mltfr.training import Callback

pytestmark = pytest.mark.filterwarnings("ignore::mltfr.errors.MltfrWarning")
COUNTS = DataCounts(
    split="leave-one-out",
    average="examples",
    filters=(FilterStep("before", 21_654, 2_603, 400), FilterStep("max_user_interactions", 18_054, 2_600, 400)),
    training=FilterStep("training", 13_451, 2_600, 399),
    validation=TargetCounts(2_600, 2_600, 1, 5, 1),
    test=TargetCounts(2_003, 2_003, 3, 1_024, 1),
    left_out={"too short for test": 597},
)
FILTERS = ["filters.where=event != view", "filters.since=2023-11-20", "filters.core=3"]


@pytest.fixture
def shop(tmp_path):
    """Return the file of a shop's log, in which people buy again what they have bought."""
    random, rows = np.random.default_rng(0), 1_500
    table = {
        "user": [f"u{user}" for user in random.integers(0, 90, rows)],
        "item": [f"i{int(40 * x**2)}" for x in random.random(rows)],
        "time": 1_700_000_000 + np.arange(rows) * 5_000,
        "event": random.choice(["view", "cart", "buy"], rows),
    }
    pl.DataFrame(table).write_csv(tmp_path / "shop.csv")
    return tmp_path / "shop.csv"


class Lines(Callback):
    def __init__(self):
        self.lines = []

    def message(self, text):
        self.lines.append(text)


def test_the_words():
    assert str(COUNTS).split("\n") == [
        "data                            rows   users   items",
        "read                          21,654   2,603     400",
        "after max_user_interactions   18,054   2,600     400",
        "training                      13,451   2,600     399",
        "validation                     2,600   2,600",
        "test                           2,003   2,003",
        "Left out: 597 users too short for test.",
        "3 of 2,003 test items (less than 1 %) are not in training and count as misses.",
        "1,024 of 2,003 test items (51 %) are in the user's history already and can never",
        "be recommended: --set evaluation.remove_seen=false, or",
        "filters.consecutive_repeats=drop where the item before is repeated.",
    ]


def test_the_words_as_a_paragraph():
    assert COUNTS.paragraph.startswith(
        "read 21,654 rows, 2,603 users, 400 items; after max_user_interactions 18,054 rows, 2,600 users, 400 items; "
        "training 13,451 rows, 2,600 users, 399 items; validation 2,600 rows, 2,600 users; test 2,003 rows, 2,003 "
        "users. Left out: 597 users too short for test. 3 of"
    )


def test_a_remedy_is_said_where_there_is_much_and_it_was_not_taken():
    def of(test, **changes):
        return list(replace(COUNTS, test=test, left_out={}, **changes).remarks())

    dropped = (*COUNTS.filters, FilterStep("consecutive_repeats", 1, 1, 1), FilterStep("core", 1, 1, 1))
    assert of(TargetCounts(200, 200, 20, 20, 1), filters=dropped) == [
        "20 of 200 test items (10 %) are not in training and count as misses.",
        "20 of 200 test items (10 %) are in the user's history already and can never be recommended: --set "
        "evaluation.remove_seen=false.",
    ]
    by_time = of(TargetCounts(20, 930, 329, 10, 212), split="global-time(validation_from=0.8, test_from=0.9)")
    assert by_time == [
        "329 of 930 test items (35 %) are not in training and count as misses: later split.validation_from and "
        "split.test_from leave fewer new items.",
        "10 of 930 test items (1 %) are in the user's history already and can never be recommended.",
        "The test scores rest on 20 users only: differences between runs may be chance.",
        "One user has 212 of 930 test items (23 %): with --set evaluation.average=users everyone counts the same.",
    ]
    assert len(of(TargetCounts(20, 930, 0, 0, 212), average="users")) == 1
    assert of(TargetCounts(20, 930, 329, 400, 212), split=NEW_ROWS) == [  # an update keeps its run's settings
        "329 of 930 test items (35 %) are not in training and count as misses.",
        "400 of 930 test items (43 %) are in the user's history already and can never be recommended.",
        "The test scores rest on 20 users only: differences between runs may be chance.",
        "One user has 212 of 930 test items (23 %).",
    ]
    assert of(TargetCounts(200, 200, 20, 0, 1))[0].endswith("--set filters.core=5 leaves rare items out.")
    assert of(TargetCounts(200, 200, 0, 0, 1)) == of(TargetCounts(0, 0, 0, 0, 0)) == []
    assert len(of(TargetCounts(5, 5, 0, 0, 1))) == 1  # each has a fifth of the test items, and none more than another


@pytest.mark.parametrize("more", [[], ["split.method=global-time"], ["evaluation.remove_seen=false"]])
def test_a_run_says_what_it_then_measures(shop, tmp_path, more):
    heard = Lines()
    settings = [*FILTERS, *more]
    recommender = Recommender("popularity", settings=settings).fit(str(shop), tmp_path / "run", callback=heard)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    counts = metrics["counts"]
    assert recommender.metrics["counts"]["test"] == counts["test"]
    assert counts["filters"] == json.loads((tmp_path / "run" / "manifest.json").read_text())["filters"]
    assert [step["name"] for step in counts["filters"]] == ["before", "where", "since", "core"]
    for part, document in (("test", metrics), ("validation", metrics["validation"])):
        found = [document[name] for name in ("users", "examples", "unknown_targets", "seen_targets")]
        assert [counts[part][name] for name in ("users", "targets", "unknown", "seen")] == found
    assert (counts["test"]["seen"] > 0) == ("evaluation.remove_seen=false" not in more)
    data = recommender.fitted.split
    assert counts["training"] == {
        "name": "training", "interactions": data.train_length.sum(), "users": len(data.user_ids),
        "items": len(data.vocabulary),
    }  # fmt: skip
    said = str(DataCounts.from_json(counts)).split("\n")
    begin = heard.lines.index(said[0])
    assert heard.lines[begin:-1] == said
    assert heard.lines[-1].startswith("popularity fitted")  # after the data
    assert max(map(len, said)) <= WIDTH

    asked = [word for setting in settings for word in ("--set", setting)]
    told = CliRunner().invoke(app, ["describe", str(shop), *asked, "--json"])
    assert json.loads(told.stdout)["counts"] == counts
    assert str(DataCounts.from_json(counts)) in CliRunner().invoke(app, ["describe", str(shop), *asked]).stdout


def test_a_prepared_set_says_the_same(shop, tmp_path):
    asked = [word for setting in FILTERS for word in ("--set", setting)]
    made = CliRunner().invoke(app, ["prepare", str(shop), "--out", str(tmp_path / "set"), *asked])
    whole = json.loads(CliRunner().invoke(app, ["describe", str(shop), *asked, "--json"]).stdout)["counts"]
    assert str(DataCounts.from_json(whole)) in made.stderr
    told = CliRunner().invoke(app, ["describe", str(tmp_path / "set"), "--json"])
    assert json.loads(told.stdout)["counts"] == whole
    seen = ["--set", "evaluation.remove_seen=false"]
    kept = CliRunner().invoke(app, ["describe", str(tmp_path / "set"), "--json", *seen])
    assert json.loads(kept.stdout)["counts"]["test"] == {**whole["test"], "seen": 0}
    fitted = Recommender("popularity").fit(load_interactions(tmp_path / "set"), callback=Lines())
    assert json.loads(json.dumps(fitted.metrics["counts"])) == whole


def test_baselines_say_it_once(shop, tmp_path):
    heard = Lines()
    configs = {name: resolve(backbone=name, baselines=False) for name in ("popularity", "markov")}
    scores, _ = fit_baselines(configs, load_interactions(shop), tmp_path / "all", callback=heard)
    assert sum(line.startswith("training ") for line in heard.lines) == 1
    assert scores["popularity"]["counts"] == scores["markov"]["counts"]


def test_a_log_without_anything_to_predict(tmp_path):
    (tmp_path / "log.csv").write_text("user_id,item_id\nu,a\nv,b\n")
    command = ["describe", str(tmp_path / "log.csv")]
    told = CliRunner().invoke(app, command)
    assert told.stdout.endswith("No user has two interactions, so there is nothing to predict.\n")
    assert json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)["counts"] is None
    asked = CliRunner().invoke(app, [*command, "--set", "split.method=leave-last-n"])
    assert "has no test example" in str(asked.exception)


def test_an_update_counts_its_new_rows(tmp_path):
    old = "user_id,item_id,timestamp\n" + "".join(f"u{n % 9},i{n % 5},{1_700_000_000 + n}\n" for n in range(60))
    new = "user_id,item_id,timestamp\nu1,i0,1700001000\nu1,new,1700001001\nu2,i4,1700001002\nw,i1,1700001003\n"
    for name, text in (("old", old), ("new", new)):
        (tmp_path / name).with_suffix(".csv").write_text(text)
    heard = Lines()
    recommender = Recommender("popularity").fit(tmp_path / "old.csv", callback=Lines())
    recommender.update(tmp_path / "new.csv", callback=heard)
    counts = recommender.metrics["counts"]
    assert (counts["filters"], counts["test"]["targets"], counts["test"]["unknown"]) == ([], 3, 1)
    assert counts["test"]["seen"] == recommender.metrics["seen_targets"] == 2
    assert "test          3       2" in heard.lines


def test_prepared_in_python(shop, tmp_path):
    made = prepare(shop, tmp_path / "set", filters=FilterConfig(where="event = buy"))
    assert [step.name for step in made.report.steps] == ["before", "where"]
