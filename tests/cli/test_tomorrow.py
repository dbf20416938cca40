"""`mltfr update` and `mltfr evaluate --data`: the next day of a run."""

from __future__ import annotations

import json

import polars as pl
import pytest

from support.command_line import refused, run
from support.walks import rows as log_rows
from support.walks import walks

NEW = "user,item,time\nu0,i1,100\nu0,i2,101\nsomebody,i3,102\nsomebody,i4,103\nu1,fresh,104\n"


@pytest.fixture
def new(tmp_path):
    (tmp_path / "new.csv").write_text(NEW)
    return tmp_path / "new.csv"


def test_an_update_says_what_it_took_and_recommends(finished, store, new, tmp_path):
    done = run("update", finished / "run", new, "--out", tmp_path / "next", home=store)
    said = (
        f"{new}: 5 of 5 rows taken; users: 3, of them new: 1; rows of items that training has not seen: 1 (items: 1); "
        "rows with nothing of their user before them: 1.\n"
    )
    assert said in done.stderr
    assert "3 users" in done.stdout
    assert "new-rows, full ranking" in done.stdout
    assert ", the baseline that the run before was compared with: test ndcg@10 0." in done.stdout
    assert "Only the histories were updated; with --epochs 5 the model learns from the new rows too." in done.stdout
    run("recommend", tmp_path / "next", "--out", tmp_path / "lists.csv", "--users", ids(tmp_path), home=store)
    lists = pl.read_csv(tmp_path / "lists.csv")
    assert lists["user_id"].unique(maintain_order=True).to_list() == ["somebody", "u0"]
    assert not set(lists.filter(pl.col("user_id") == "somebody")["item_id"]) & {"i3", "i4"}


def ids(folder):
    (folder / "users.txt").write_text("somebody\nu0\n")
    return folder / "users.txt"


def test_a_score_on_new_rows_is_one_document(finished, store, new, tmp_path):
    done = run("evaluate", finished / "run", "--data", new, "--json", home=store)
    document = json.loads(done.stdout)
    assert document["examples"] == 4
    assert document["unknown_targets"] == 1
    assert document["protocol"]["split"] == "new-rows"
    assert document["popularity"].keys() == document["metrics"].keys()
    assert document["new_rows"]["new_users"] == 1
    run("update", finished / "run", new, "--out", tmp_path / "next", home=store)
    again = json.loads(run("evaluate", tmp_path / "next", "--json", home=store).stdout)
    assert again["metrics"] == document["metrics"]


def test_a_score_on_new_rows_has_popularity_beside_it(finished, store, new):
    done = run("evaluate", finished / "run", "--data", new, home=store)
    assert "test, popularity" in done.stdout
    assert "5 of 5 rows taken" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--user-column", "user"], "--user-column is for the log of --data, and none is given. Leave it out."),
        (["--data", "new.csv", "--split", "validation"], "--data scores new rows, which are no part of 'validation'"),
        (["--data", "old.csv"], "old.csv: none of its 1 rows is later than the run's last one (12)"),
        (["--data", "none.csv"], "none.csv: no such file or folder. Check the path."),
    ],
)
def test_what_cannot_be_scored_is_refused(finished, store, new, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.csv").write_text("user,item,time\nu0,i1,1\n")
    assert message in refused(tmp_path, store, "evaluate", finished / "run", *arguments)


def test_an_update_writes_over_nothing(finished, store, new, tmp_path):
    for out, found in ((finished / "run", "holds a finished run"), (tmp_path, "not empty")):
        assert found in refused(tmp_path, store, "update", finished / "run", new, "--out", out)


def test_an_update_that_trains_is_shown_again_by_resume(finished, store, tmp_path):
    rows = [f"u{n % 20},{'new' if n % 5 == 0 else f'i{n % 25}'},{100 + n}" for n in range(60)]
    (tmp_path / "new.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    command = ("update", finished / "run", tmp_path / "new.csv", "--out", tmp_path / "next", "--epochs", "1")
    done = run(*command, home=store)
    assert "new items: " in done.stderr
    assert "epoch 2 of at most 2: loss" in done.stderr  # the run's own was the first
    assert "validation" in done.stdout
    again = run(*command, "--resume", home=store)
    assert "this run is finished; nothing was left to do." in again.stderr
    assert again.stdout.replace("│", "") == done.stdout.replace("│", "")
    other = refused(tmp_path, store, *command[:-1], "2", "--resume")
    assert "holds a finished run of something else" in other


def test_rows_of_another_day_are_read_as_the_run_was(store, tmp_path):
    rows = [f"{user};{item[0]};{item[1:]};{time}" for user, item, time in log_rows(walks())]
    (tmp_path / "log.txt").write_text("\n".join(["who;kind;what;when", *rows]) + "\n")
    how = ("--user-column", "who", "--item-column", "kind,what", "--timestamp-column", "when", "--format", "csv")
    run("fit", tmp_path / "log.txt", *how, "--out", tmp_path / "run", "--backbone", "markov", home=store)
    (tmp_path / "new.txt").write_text("who;kind;what;when\nu0;i;1;100\nu0;i;2;101\n")
    scored = run("evaluate", tmp_path / "run", "--data", tmp_path / "new.txt", "--json", home=store)
    document = json.loads(scored.stdout)
    assert (document["examples"], document["unknown_targets"]) == (2, 0)
    run("update", tmp_path / "run", tmp_path / "new.txt", "--out", tmp_path / "next", home=store)
    events = ("recommend", tmp_path / "run", "-k", "1", "--out", "-", "--histories")
    lists = run(*events, tmp_path / "new.txt", home=store).stdout
    assert lists.splitlines()[1].startswith("u0,1,i|")
    # what an option says is above it
    (tmp_path / "new.csv").write_text("user,kind,what,when\nu0,i,1,100\nu0,i,2,101\n")
    assert "no column 'who'" in refused(tmp_path, store, *events, tmp_path / "new.csv")
    assert run(*events, tmp_path / "new.csv", "--user-column", "user", home=store).stdout == lists
    # one row a user has nothing to read otherwise
    (tmp_path / "new.jsonl").write_text('{"user_id": "u0", "items": ["i|1", "i|2"]}\n')
    assert run(*events, tmp_path / "new.jsonl", home=store).stdout == lists
