"""Name-kNN as a run: made of the names, kept without them, asked like any other, and beside runs with names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mltfr import Recommender
from mltfr.errors import ConfigError, DataError
from mltfr.pipeline import quick_baselines
from mltfr.pipeline.all_baselines import baseline_configs
from mltfr.training import Callback

ITEMS, TOPICS = 40, 8
QUIET = Callback()


def log(start: int = 0, length: int = 8) -> pl.DataFrame:
    """Return users who mostly stay with the items of a topic, of which the names tell."""
    random = np.random.default_rng(start)
    rows = []
    for user in range(60):
        steps = random.permutation(ITEMS // TOPICS)[:length] * TOPICS + user % TOPICS
        other = random.integers(ITEMS, size=3)
        rows += [(f"u{user}", f"i{item}", start + step) for step, item in enumerate([*other, *steps])]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")


def names() -> dict[str, str]:
    return {f"i{item}": f"the topic{item % TOPICS} word{item}" for item in range(ITEMS)}


def fit(backbone: str = "name-knn", given: Mapping[str, str] | Path | None = None, **more: object) -> Recommender:
    return Recommender(backbone, item_names=given or names(), **more).fit(log(), callback=QUIET)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def neighbours() -> Recommender:
    return fit()


def test_it_scores_by_names_and_is_asked_like_any_other(neighbours: Recommender) -> None:
    ndcg = {name: scores["test"]["ndcg@10"] for name, scores in neighbours.metrics["baselines"].items()}
    assert neighbours.metrics["metrics"]["ndcg@10"] > 2 * ndcg["popularity"]
    assert "name-knn" not in ndcg, "a run is not put beside itself"
    assert neighbours.metrics["names"]["named"] == ITEMS
    assert neighbours.fitted.config.title == "name-knn"
    similar = neighbours.similar_items(["i3"], k=3)["item_id"].to_list()
    assert {int(item[1:]) % TOPICS for item in similar} == {3}
    for each in neighbours.explain(["u0"], k=3):
        assert each.method == "exact parts"


def test_a_run_folder_needs_no_names(tmp_path: Path, neighbours: Recommender) -> None:
    file = tmp_path / "names.csv"
    pl.DataFrame({"item_id": list(names()), "title": list(names().values())}).write_csv(file)
    fit(given=file).save(tmp_path / "run")
    file.unlink()
    found = Recommender.load(tmp_path / "run")
    assert found.fitted.config.names.file == str(file)
    assert found.recommend(["u1", "u2"], k=5).equals(neighbours.recommend(["u1", "u2"], k=5))
    assert dict(found.evaluate().metrics) == neighbours.metrics["metrics"]
    with pytest.raises(DataError, match=r"names\.csv"):  # it is computed anew
        found.update(log(100), epochs=1, callback=QUIET)
    with pytest.raises(ConfigError, match=r"name-knn is computed anew .* given in memory"):
        fit().update(log(100), epochs=1, callback=QUIET)
    updated = Recommender.load(tmp_path / "run").update(log(100), callback=QUIET)
    assert updated.fitted.config.backbone.name == "name-knn"


def test_an_update_reads_the_names_of_new_items(tmp_path: Path) -> None:
    file = tmp_path / "names.csv"
    more = {**names(), "new": "the topic3 again"}
    pl.DataFrame({"item_id": list(more), "title": list(more.values())}).write_csv(file)
    of_new = pl.DataFrame([(f"u{user}", "new", 90) for user in range(60)], schema=log().schema, orient="row")
    rows = log(100).vstack(of_new)
    updated = fit(given=file).update(rows, epochs=1, callback=QUIET)
    assert "new" in updated.similar_items(["i3"], k=10)["item_id"].to_list()


def test_it_is_blended_with_a_run_without_names(tmp_path: Path, neighbours: Recommender) -> None:
    neighbours.save(tmp_path / "name-knn")
    Recommender("item-knn").fit(log(), callback=QUIET).save(tmp_path / "item-knn")
    found = Recommender.blend([tmp_path / "item-knn", tmp_path / "name-knn"], out=tmp_path / "blend", callback=QUIET)
    assert [member["run"] for member in found.fitted.facts["blend"]["members"]] == ["item-knn", "name-knn"]
    again = Recommender.load(tmp_path / "blend")
    assert again.recommend(["u1"], k=5).equals(found.recommend(["u1"], k=5))
    mine, theirs = (each.similar_items(["i3"], k=3)["item_id"].to_list() for each in (found, neighbours))
    assert mine == theirs


def test_it_stands_beside_runs_with_names(monkeypatch: pytest.MonkeyPatch, neighbours: Recommender) -> None:
    more = {"fusion": "none", "epochs": 1, "settings": {"backbone.hidden": 8}}
    found = fit("sasrec", **more)
    assert list(found.metrics["baselines"]) == ["popularity", "markov", "item-knn", "name-knn"]
    own = found.metrics["baselines"]["name-knn"]["test"]
    assert own["ndcg@10"] == pytest.approx(neighbours.metrics["metrics"]["ndcg@10"])
    monkeypatch.setattr(quick_baselines, "MOST_SECONDS", 0.0)
    skipped = fit("sasrec", **more)
    assert set(skipped.fitted.verdict.skipped) == {"markov", "item-knn", "name-knn"}  # type: ignore[union-attr]


def test_its_cost_follows_the_words_in_common(neighbours: Recommender) -> None:
    data, protocol = neighbours.fitted.split, neighbours.fitted.protocol()
    words = neighbours.fitted.model._weights
    seconds, cells = quick_baselines.cost_of("name-knn", data, protocol, words)
    assert cells == words.nnz == 3 * ITEMS
    alone, _ = quick_baselines.cost_of("popularity", data, protocol, words)  # which reads no names
    assert (alone, 0) == quick_baselines.cost_of("popularity", data, protocol)
    length = float(data.train_length.mean())
    examples = len(data.validation) + len(data.test)
    having = ITEMS + ITEMS // TOPICS + 1                                 # of "the", a topic and a word of its own
    assert seconds == pytest.approx(alone + examples * min(length * having, cells) * quick_baselines.PER_SUM)


def test_all_baselines_have_it_where_there_are_names() -> None:
    assert "name-knn" not in baseline_configs()
    assert "name-knn" not in baseline_configs({"names": {"use": "none"}})
    of_a_run = {"backbone": "sasrec", "names": {"file": "a.csv", "scale": 3.0, "use": "none", "idf": False}}
    found = baseline_configs(of_a_run)
    own = found["name-knn"].names
    assert (own.file, own.idf, own.scale, own.use) == ("a.csv", False, 2, "start")
    assert not found["item-knn"].names.file
    found = baseline_configs(of_a_run, ["names.idf=true"], "b.csv", "title")
    assert (found["name-knn"].names.file, found["name-knn"].names.columns) == ("b.csv", ("title",))
    assert found["name-knn"].names.idf
