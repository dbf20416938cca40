"""Baselines through the command line: the same commands, the same files, the same numbers."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mltfr import Recommender
from mltfr.baselines import ease
from mltfr.errors import ConfigError
from mltfr.storage.files import sha256
from mltfr.storage.folder import MANIFEST
from support.command_line import files_of, refused, run
from support.manifests import change_sealed
from support.walks import write_log

NAMES = ("popularity", "markov", "item-knn", "ease", "ease-recent")


@pytest.fixture(scope="module")
def runs(tmp_path_factory, store) -> tuple[Path, dict[str, list[str]]]:
    """Return a folder with `log.csv` and a run of every baseline."""
    folder = tmp_path_factory.mktemp("baselines")
    histories = write_log(folder / "log.csv")
    for name in NAMES:
        run("fit", folder / "log.csv", "--out", folder / name, "--backbone", name, home=store)
    return folder, histories


@pytest.mark.parametrize("name", NAMES)
def test_a_run_has_the_same_files_and_scores(runs, store, name):
    folder = runs[0] / name
    files = {path.name for path in folder.iterdir()}
    assert files == {
        "config.toml", "manifest.json", "metrics.json", "weights.safetensors",
        "items.parquet", "histories.parquet", "examples.parquet", "log.jsonl",
    }  # fmt: skip
    manifest = json.loads((folder / MANIFEST).read_text())
    assert set(manifest["files"]) == files - {MANIFEST}
    assert (manifest["tables"], manifest["rounds"]) == ([], 0)
    config = tomllib.loads((folder / "config.toml").read_text())
    assert (config["backbone"]["name"], config["fusion"]["name"]) == (name, "none")
    document = json.loads((folder / "metrics.json").read_text())
    assert "zero_branch" not in document
    assert document["validation"]["split"] == "validation"
    popularity = json.loads((runs[0] / "popularity/metrics.json").read_text())
    assert document["popularity"] == popularity["metrics"]  # one implementation, one number
    assert document["protocol_hash"] == popularity["protocol_hash"]
    if name != "popularity":
        assert document["metrics"]["ndcg@10"] > 1.3 * popularity["metrics"]["ndcg@10"]


@pytest.mark.parametrize("name", NAMES)
def test_evaluate_repeats_the_score(runs, store, name):
    document = json.loads((runs[0] / name / "metrics.json").read_text())
    for part, expected in (("test", document), ("validation", document["validation"])):
        printed = json.loads(run("evaluate", runs[0] / name, "--split", part, "--json", home=store).stdout)
        assert printed == {key: expected[key] for key in printed}


@pytest.mark.parametrize("name", NAMES)
def test_recommendations_reproduce_the_metrics(runs, store, name):
    """Equal scores count as the mean over their orders, so all candidates are written and ties looked at."""
    folder, histories = runs
    cases = {user: items for user, items in histories.items() if len(items) >= 2}
    lines = [json.dumps({"user_id": user, "items": items[:-1]}) for user, items in cases.items()]
    (folder / "histories.jsonl").write_text("\n".join(lines))
    out = folder / f"{name}.parquet"
    run("recommend", folder / name, "--histories", folder / "histories.jsonl", "--out", out, "-k", "99", home=store)
    lists = {user: frame for (user,), frame in pl.read_parquet(out).group_by("user_id", maintain_order=True)}
    assert list(lists) == list(cases)
    hits, gains = [], []
    for user, items in cases.items():
        assert not set(lists[user]["item_id"]) & set(items[:-1])
        scores = dict(zip(lists[user]["item_id"], lists[user]["score"], strict=True))
        target = scores.get(items[-1], -math.inf)
        higher = sum(score > target for score in scores.values())
        ranks = range(higher + 1, higher + 1 + max(1, sum(score == target for score in scores.values())))
        there = [items[-1] in scores and rank <= 10 for rank in ranks]
        hits.append(np.mean(there))
        gains.append(np.mean([1 / math.log2(rank + 1) if hit else 0 for rank, hit in zip(ranks, there, strict=True)]))
    metrics = json.loads((folder / name / "metrics.json").read_text())["metrics"]
    assert np.mean(hits) == pytest.approx(metrics["hr@10"], abs=1e-6)
    assert np.mean(gains) == pytest.approx(metrics["ndcg@10"], abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_recommend_knows_lists_users_and_strangers(runs, store, name):
    folder, histories = runs
    for file, text in (("users.txt", "u3\nu1\n"), ("allow.txt", "i1\ni2\ni3\n"), ("deny.txt", "i2\n"),
                       ("odd.jsonl", '{"user_id": "cold", "items": ["nope"]}\n')):  # fmt: skip
        (folder / file).write_text(text)
    out = folder / f"{name}.csv"
    arguments = ["recommend", folder / name, "--users", folder / "users.txt", "--out", out, "--overwrite"]
    run(*arguments, "--allow", folder / "allow.txt", "--deny", folder / "deny.txt", "--include-seen", home=store)
    frame = pl.read_csv(out)
    assert frame["user_id"].unique(maintain_order=True).to_list() == ["u3", "u1"]
    assert set(frame["item_id"]) == {"i1", "i3"}
    run(*arguments, "-k", "3", home=store)
    for user, item in pl.read_csv(out).select("user_id", "item_id").iter_rows():
        assert item not in histories[user]
    odd = ("--histories", folder / "odd.jsonl", "--out", out, "--overwrite")
    done = run("recommend", folder / name, *odd, "-k", "3", home=store)
    assert "1 history holds no item that training knows; it gets the most popular items" in done.stderr
    counts = pl.read_parquet(folder / name / "items.parquet").sort("count", descending=True, maintain_order=True)
    assert pl.read_csv(out)["item_id"].to_list() == counts["item_id"].to_list()[:3]


@pytest.mark.parametrize("name", NAMES)
def test_saved_loaded_and_fitted_again_it_is_the_same(runs, store, tmp_path, name):
    folder, _ = runs
    loaded = Recommender.load(folder / name)
    loaded.save(tmp_path / "saved")
    arguments = ("fit", folder / "log.csv", "--out", tmp_path / "again", "--config", folder / name / "config.toml")
    run(*arguments, home=store)
    expected = files_of(folder / name)
    for copy in ("saved", "again"):
        found = files_of(tmp_path / copy)
        assert found["weights.safetensors"] == expected["weights.safetensors"]
        assert found["config.toml"] == expected["config.toml"]
    with pytest.raises(ConfigError, match=f"'{name}' has no fusion: leave out zero_branch"):
        loaded.evaluate(zero_branch=True)


def test_similar_items(runs):
    for name in ("item-knn", "ease", "ease-recent"):
        frame = Recommender.load(runs[0] / name).similar_items("i3", k=5)
        assert frame.columns == ["similar_to", "rank", "item_id", "similarity"]
        assert len(frame) == 5
        assert "i3" not in frame["item_id"]
        assert {"i2", "i4"} <= set(frame["item_id"])  # its neighbours in the log
        assert frame["similarity"].is_sorted(descending=True)
    for name in ("popularity", "markov"):
        with pytest.raises(ConfigError, match="has no similarity of items"):
            Recommender.load(runs[0] / name).similar_items("i3")


def test_an_interrupted_run_starts_again(runs, store, tmp_path):
    """What a kill leaves: a folder with settings and an empty checkpoint."""
    (tmp_path / "run/checkpoint").mkdir(parents=True)
    arguments = ("fit", runs[0] / "log.csv", "--out", tmp_path / "run", "--backbone", "markov")
    assert "holds an interrupted run. Continue it with --resume" in run(*arguments, home=store, check=False).stderr
    run(*arguments, "--resume", home=store)
    expected = (runs[0] / "markov/weights.safetensors").read_bytes()
    assert (tmp_path / "run/weights.safetensors").read_bytes() == expected
    assert not (tmp_path / "run/checkpoint").exists()


def test_damaged_weights_are_said(runs, store, tmp_path):
    Recommender.load(runs[0] / "markov").save(tmp_path / "run")
    weights = (runs[0] / "popularity/weights.safetensors").read_bytes()
    new = tmp_path / "run/weights.safetensors"
    new.write_bytes(weights)
    change_sealed(tmp_path / "run" / MANIFEST, lambda manifest: manifest["files"].update({new.name: sha256(new)}))
    assert "weights.safetensors: damaged, or of another version (it lacks 'offsets')" in refused(
        tmp_path, store, "evaluate", tmp_path / "run"
    )


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "fusion": (("--fusion", "mltfr"), "backbone 'markov' is a baseline without hidden states, so fusion 'mltfr' can"),
    "part of a fusion": (("--set", "fusion.filter.keep=3"), "so fusion 'mltfr' cannot be used with it. Leave out fusi"),
    "tables": (("--tokens", "alpha,beta"), "tables cannot be used with it. Leave out fusion, token tables and names"),
    "preset": (("--preset", "reference"), "Preset 'reference' has no published settings for backbone 'markov'"),
    "setting": (("--set", "backbone.smoothin=3"), "unknown setting 'smoothin'. Did you mean 'smoothing'?"),
    "range": (("--set", "backbone.smoothing=0"), "smoothing: Input should be greater than 0, got 0"),
    "width": (("--set", "backbone.hidden=3"), "backbone 'markov': unknown setting 'hidden'"),
    "name": (("--backbone", "markow"), "Unknown backbone 'markow'. Did you mean 'markov'?"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_together_is_said(runs, store, tmp_path, case):
    options, message = REFUSED[case]
    arguments = ("fit", runs[0] / "log.csv", "--out", tmp_path / "run", "--backbone", "markov", *options)
    assert message in refused(tmp_path, store, *arguments)


def test_a_catalogue_too_large_for_ease_leaves_nothing_behind(runs, store, tmp_path, monkeypatch):
    monkeypatch.setattr(ease, "available_memory", lambda: 0)
    arguments = ("fit", runs[0] / "log.csv", "--out", tmp_path / "run", "--backbone", "ease")
    assert "'ease' needs about 0.5 GB for" in refused(tmp_path, store, *arguments)


def test_a_log_without_validation_is_enough(store, tmp_path):
    rows = "".join(f"u{user},i{(user + place) % 4},{place}\n" for user in range(9) for place in range(2))
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\n" + rows)
    run("fit", tmp_path / "log.csv", "--out", tmp_path / "run", "--backbone", "popularity", home=store)
    assert "validation" not in json.loads((tmp_path / "run/metrics.json").read_text())
