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
    for said in ("contribution", "sum of parts", "interaction", "most recent first", "Effect of fusion"):
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


def test_mistakes_take_one_line(finished: Path, store: Path, tmp_path: Path) -> None:
    folder = finished / "run"
    assert "Give --user USER, or --history FILE" in refused(tmp_path, store, "explain", folder)
    assert "is not in the training log" in refused(tmp_path, store, "explain", folder, "--user", "nobody")
    user = Recommender.load(folder).fitted.split.user_ids[0]
    unknown = refused(tmp_path, store, "explain", folder, "--user", user, "--item", "nothing")
    assert "Item 'nothing' does not occur in the training data" in unknown
    assert "no such folder" in refused(tmp_path, store, "explain", tmp_path / "gone", "--user", user)
