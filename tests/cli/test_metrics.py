"""Which metrics a run measures: other averages, metrics and cutoffs in fit, evaluate, compare and studies."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mltfr import Recommender
from mltfr.evaluation import evaluate
from mltfr.pipeline import FittedModel
from mltfr.study.users import per_user
from support.command_line import FIT, refused, run
from support.walks import write_log

TIMES = ("--set", "split.method=global-time", "--set", "split.validation_from=0.6", "--set", "split.test_from=0.8")
SETTINGS = (*TIMES, "--set", "evaluation.average=users", "--set", "evaluation.cutoffs=[3, 10, 50]",
            "--set", 'evaluation.metrics=["hr", "recall", "precision", "map"]')  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """Return a folder with runs that are measured by users, `net` among them, and `examples`, the usual way."""
    folder = tmp_path_factory.mktemp("metrics")
    write_log(folder / "log.csv")
    for name, more in (("markov", SETTINGS), ("popularity", SETTINGS), ("examples", TIMES)):
        backbone = "markov" if name == "markov" else "popularity"
        run("fit", folder / "log.csv", "--out", folder / name, "--backbone", backbone, *more, home=store)
    more = (*SETTINGS, "--set", "training.metric=recall@7")
    run("fit", folder / "log.csv", "--out", folder / "net", *FIT, *more, home=store)
    return folder


def test_metrics_are_those_of_the_lists_that_a_user_would_have_got(folder: Path, store: Path) -> None:
    document = json.loads(run("evaluate", folder / "net", "--json", home=store).stdout)
    names = ("hr", "recall", "precision", "map")
    assert list(document["metrics"]) == [f"{name}@{k}" for name in names for k in (3, 10, 50)]
    assert document == {key: json.loads((folder / "net/metrics.json").read_text())[key] for key in document}
    rec = Recommender.load(folder / "net")
    split = rec.fitted.split
    first = {int(user): int(cut) for user, cut in reversed(list(zip(split.test.user, split.test.cut, strict=True)))}
    assert document["users"] == document["examples"] == len(first) < document["targets"]
    wanted, histories = {}, {}
    for user, cut in first.items():
        items = [split.vocabulary.item_ids[code - 1] if code > 0 else f"?{n}"
                 for n, code in enumerate(split.histories[user])]  # fmt: skip
        wanted[str(user)], histories[str(user)] = set(items[cut:]), items[:cut]
    lists = rec.recommend(histories=histories, k=3).group_by("user_id").agg("item_id")
    hits = {user: len(wanted[user] & set(items)) for user, items in lists.iter_rows()}
    recall = np.mean([hits.get(user, 0) / len(items) for user, items in wanted.items()])
    assert document["metrics"]["recall@3"] == pytest.approx(recall, abs=1e-9)
    assert document["metrics"]["precision@3"] == pytest.approx(sum(hits.values()) / 3 / len(first), abs=1e-9)


def test_the_table_shows_what_is_measured_and_how(folder: Path, store: Path) -> None:
    printed = run("evaluate", folder / "markov", home=store).stdout
    caption = " ".join(printed.split())
    targets = json.loads((folder / "markov/metrics.json").read_text())["targets"]
    assert caption.startswith(f"41 users, {targets} targets ")
    header = re.search(r"split .*", printed)
    assert header is not None
    assert re.findall(r"\w+@\d+", header[0]) == ["hr@10", "recall@10", "map@10", "precision@10", "hr@3"]
    assert "seen items removed, mean over users with all their targets; protocol " in caption
    usual = run("evaluate", folder / "examples", home=store).stdout
    assert "mean over" not in usual
    assert re.match(r"41 users, \d\d+ examples ", usual)
    assert re.findall(r"\w+@\d+", usual) == ["hr@10", "ndcg@10", "mrr@10", "hr@20", "ndcg@20"]


def test_runs_of_one_average_are_compared(folder: Path, store: Path, tmp_path: Path) -> None:
    arguments = ("compare", folder / "markov", folder / "popularity", "--metric", "recall@3")
    printed = run(*arguments, home=store).stdout
    assert "markov is better than popularity by 0." in printed
    assert printed.split()[:6] == ["run", "recall@3", "hr@3", "precision@3", "map@3", "hr@10"]
    error = refused(tmp_path, store, "compare", folder / "popularity", folder / "examples", "--metric", "hr@10")
    assert "average is 'users' in popularity, 'examples' in examples" in error
    assert "Known: hr@10, hr@3, hr@50, map@10" in refused(tmp_path, store, *arguments[:3], "--metric", "ndcg@10")


def of_users(fitted: FittedModel, *metrics: str) -> pl.DataFrame:
    return per_user(fitted, evaluate(fitted.scorer(), fitted.split, "test", fitted.protocol()), metrics)


def test_a_study_keeps_what_is_measured_user_by_user(folder: Path) -> None:
    fitted = Recommender.load(folder / "markov").fitted
    users = of_users(fitted, "map@3")
    assert users.columns == ["user_id", "history_length", "target_popularity", "hr@10", "map@3"]
    assert users["map@3"].mean() == pytest.approx(fitted.metrics["metrics"]["map@3"])
    first = dict(zip(fitted.split.test.user.tolist()[::-1], fitted.split.test.cut.tolist()[::-1], strict=True))
    assert users["history_length"].to_list() == [first[fitted.split.rows[user]] for user in users["user_id"]]
    usual = of_users(Recommender.load(folder / "examples").fitted)
    assert usual.select(pl.exclude("user_id", "history_length", "target_popularity")).columns == [
        "hr@10", "ndcg@10", "mrr@10",
    ]  # fmt: skip


def test_an_epoch_is_chosen_by_any_metric(folder: Path) -> None:
    records = [json.loads(line) for line in (folder / "net/log.jsonl").read_text().splitlines()]
    assert {tuple(record["validation"]) for record in records} == {("recall@7", "hr@10")}


def test_runs_are_judged_by_what_is_measured(folder: Path) -> None:
    judged = {name: Recommender.load(folder / name).config.judged_by for name in ("net", "markov", "examples")}
    assert judged == {"net": "recall@10", "markov": "hr@10", "examples": "ndcg@10"}
    assert json.loads((folder / "net/metrics.json").read_text())["verdict"]["metric"] == "recall@10"


@pytest.mark.parametrize(("setting", "message"), [
    ("training.metric=recal@10", r"training.metric: unknown metric 'recal@10'. Did you mean 'recall'\? Write one"),
    ("training.metric=ndcg", r"unknown metric 'ndcg'. .* with a cutoff, as in ndcg@10"),
    ("evaluation.metrics=[\"auc\"]", "evaluation.metrics.0: .*'hr', 'ndcg', 'mrr', 'recall', 'precision' or 'map'"),
    ("evaluation.cutoffs=[10, 5]", r"cutoffs must be ascending and different, got \[10, 5\]"),
    ("evaluation.cutoffs=[0]", "evaluation.cutoffs.0: .*greater than 0"),
    ("evaluation.average=user", "evaluation.average: .*'examples' or 'users'"),
])  # fmt: skip
def test_what_cannot_be_measured_is_refused(
    folder: Path, store: Path, tmp_path: Path, setting: str, message: str
) -> None:
    found = refused(tmp_path, store, "fit", folder / "log.csv", "--out", tmp_path / "run", "--set", setting)
    assert re.search(message, found), found
