"""`mltfr explain`: a readable answer, the same document as in Python, and mistakes in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mltfr import Recommender
from mltfr.explain import Explanation
from support.command_line import refused, run


def test_a_user_and_a_history_are_explained(finished: Path, store: Path, tmp_path: Path) -> None:
    recommender = Recommender.load(finished / "run")
    fitted = recommender.fitted
    user = fitted.split.user_ids[0]
    done = run("explain", finished / "run", "--user", user, "-k", "2", home=store)
    best = recommender.recommend([user], k=2)["item_id"].to_list()
    for rank, item in enumerate(best, start=1):
        assert f"{item} for {user}: rank {rank}, logit " in done.stdout
    for said in ("contribution", "sum of parts", "interaction", "most recent first", "Effect of fusion", "kept token",
                 "Effect of table alpha", "before random tables do worse"):  # fmt: skip
        assert said in done.stdout
    codes = fitted.split.histories[0]
    items = fitted.split.vocabulary.decode(codes[codes > 0])
    (tmp_path / "mine.txt").write_text("\n".join(items))
    given = run("explain", finished / "run", "--history", tmp_path / "mine.txt", "-k", "2", home=store)
    assert given.stdout == done.stdout.replace(f"for {user}:", "for mine:")


def test_the_document_is_the_one_of_python(finished: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTFR_HOME", str(store))
    recommender = Recommender.load(finished / "run")
    user, item = recommender.fitted.split.user_ids[1], recommender.fitted.split.vocabulary.item_ids[3]
    done = run("explain", finished / "run", "--user", user, "--item", item, "--json", home=store)
    found = recommender.explain([user], items=[item])
    assert json.loads(done.stdout) == [each.to_json() for each in found]
    assert set(json.loads(done.stdout)[0]) == set(Explanation.__dataclass_fields__)


def test_fidelity_is_printed_and_written_where_it_is_asked(finished: Path, store: Path, tmp_path: Path) -> None:
    out = tmp_path / "fidelity.json"
    done = run("explain", finished / "run", "--fidelity", "--users", "8", "--out", out, home=store)
    for said in ("POS@10", "NEG@10", "DEL", "INS", "NDCG", "largest contribution", "random", "most recent", "popular"):
        assert said in done.stdout
    printed = run("explain", finished / "run", "--fidelity", "--users", "8", "--json", home=store)
    assert json.loads(printed.stdout) == json.loads(out.read_text()) == Recommender.load(finished / "run").fidelity(
        users=8
    ).to_json()  # fmt: skip


def test_mistakes_take_one_line(finished: Path, store: Path, tmp_path: Path) -> None:
    folder = finished / "run"
    assert "Give --user USER, --history FILE" in refused(tmp_path, store, "explain", folder)
    assert "one of the three" in refused(tmp_path, store, "explain", folder, "--user", "u0", "--fidelity")
    assert "--users is for --fidelity" in refused(tmp_path, store, "explain", folder, "--user", "u0", "--users", "5")
    assert "are for one user" in refused(tmp_path, store, "explain", folder, "--fidelity", "--item", "i1")
    (tmp_path / "there.json").write_text("{}")
    there = refused(tmp_path, store, "explain", folder, "--user", "u0", "--out", tmp_path / "there.json")
    assert "there.json: exists" in there
    assert "is not in the training log" in refused(tmp_path, store, "explain", folder, "--user", "nobody")
    user = Recommender.load(folder).fitted.split.user_ids[0]
    unknown = refused(tmp_path, store, "explain", folder, "--user", user, "--item", "nothing")
    assert "Item 'nothing' does not occur in the training data" in unknown
    assert "no such folder" in refused(tmp_path, store, "explain", tmp_path / "gone", "--user", user)
