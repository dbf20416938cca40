"""The Python of the README and of the how-to runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mltfr import Recommender
from mltfr.pipeline import resolve
from mltfr.tokens import TokenStore, TokenTable
from support.walks import walks, write_log

ROOT = Path(__file__).parents[1]
TABLES = {"smollm2-135m": 24, "wordllama": 16, "minilm-l6": 20}


def python_of(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(code, "documentation", "exec"), names)
    return names


@pytest.fixture
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _own_home: None) -> None:
    """Stand in a folder with a small log; small tables have the real names; one epoch a round."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLTFR_OFFLINE", "1")
    write_log(tmp_path / "interactions.csv", walks(users=40, items=12, follow=1, longest=8))
    store = TokenStore()
    words = tuple(f"▁word{number}" for number in range(600))
    for name, width in TABLES.items():
        values = np.random.default_rng(width).normal(size=(len(words), width)).astype(np.float32)
        store.put(TokenTable(name, values, words))
    monkeypatch.setattr("mltfr.recommender.resolve", lambda **given: resolve(**{**given, "epochs": 1}))


@pytest.mark.usefixtures("_small")
def test_the_ten_lines_run_as_they_stand() -> None:
    (code,) = python_of((ROOT / "README.md").read_text("utf-8"))
    recommender = run(code)["rec"]
    assert (recommender.config.fusion.name, len(recommender.config.tokens.tables)) == ("mltfr", 3)
    assert Path("runs/mine/manifest.json").exists()
    assert [record["epoch"] for record in recommender.fitted.history] == [1, 1]
    assert recommender.recommend(users=["u1"], k=10)["user_id"].unique().to_list() == ["u1"]


@pytest.mark.usefixtures("_small")
def test_the_lines_of_the_how_to_run_as_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    for fusion, name in (("mltfr", "mltfr"), ("none", "plain")):
        Recommender(fusion=fusion).fit("interactions.csv", f"runs/{name}")
    Path("movies.csv").write_text("item_id,title\ni3,Heat\n")
    pages = [page for page in sorted((ROOT / "docs" / "how-to").glob("*.md")) if page.stem != "extending"]
    snippets = [code for page in pages for code in python_of(page.read_text("utf-8"))]
    for code in snippets:
        run(code)
    printed = capsys.readouterr().out
    assert len(snippets) == 6
    assert re.search(r"^\d+ \d\.\d+e?-?\d*$", printed, re.MULTILINE)  # of an export
    assert re.search(r"^wordllama \{'word\d+': 0\.\d+, 'word", printed, re.MULTILINE)
    assert "95 % interval" in " ".join(printed.split())
    assert "Heat" in printed
    assert "similarity" in printed
