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
from support.documented import blocks
from support.walks import walks, write_log

ROOT = Path(__file__).parents[1]
TABLES = {"smollm2-135m": 24, "wordllama": 16, "minilm-l6": 20}
WORDS = ("Lion", "King", "Toy", "Story", "Snow", "White", "Jungle", "Book", "Robin", "Hood", "Peter", "Pan")
"""Of the names of items; the small tables know them."""


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
    words = (*(f"▁word{number}" for number in range(600)), *(f"▁{word.lower()}" for word in WORDS))
    for name, width in TABLES.items():
        values = np.random.default_rng(width).normal(size=(len(words), width)).astype(np.float32)
        store.put(TokenTable(name, values, words))
    monkeypatch.setattr("mltfr.recommender.resolve", lambda **given: resolve(**{**given, "epochs": 1}))


def shape(printed: str) -> list[str]:
    """Return the lines of a printed table without its numbers, names and widths."""
    table = printed[printed.index("shape: ") :]
    return [re.sub(r"[\d.]+|[─═┬┼┴╪]+|(?<=┆ )[A-Z]\w*(?: \w+)*", "", re.sub(" +", " ", line))
            for line in table.rstrip().split("\n")]  # fmt: skip


@pytest.mark.usefixtures("_small")
def test_the_lines_of_the_readme_run_and_print_what_stands_below_them(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    (code,) = python_of(text)
    films = ["1", "71", *(str(number) for number in range(100, 110))]
    rows = [f"{user}\t{films[(user + step) % len(films)]}\t4\t{step}" for user in range(40) for step in range(6)]
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    Path("ml-100k.inter").write_text("\n".join([header, *rows, ""]))
    titles = "".join(f"{film}\t{word} {word}\n" for film, word in zip(films, WORDS, strict=True))
    Path("ml-100k.item").write_text(f"item_id:token\tmovie_title:token_seq\n{titles}")
    recommender = run(code)["rec"]
    (stands,) = re.findall(r"^```text\n(NDCG.*?)^```", text, re.DOTALL | re.MULTILINE)
    printed = capsys.readouterr().out
    assert shape(printed) == shape(stands)
    assert re.match(r"NDCG@10: 0\.\d+\n", printed)
    assert recommender.config.names.use == "start"
    assert Path("runs/films/manifest.json").exists()


def test_the_readme_is_read_in_a_moment() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert len(lines) <= 120, "move what is second-rate to docs/"
    assert [line for line in lines if len(line) > 120 and not line.startswith(("|", "!", "[!"))] == []


def test_the_figures_of_the_readme_are_those_of_the_results() -> None:
    table = (ROOT / "README.md").read_text("utf-8").partition("NDCG@10 on test")[2].partition("\n\n")[0]
    figures = re.findall(r"\.\d{4}", table)
    assert len(figures) == 8 * 3
    results = (ROOT / "docs" / "results.md").read_text("utf-8")
    assert [figure for figure in figures if figure not in results] == []


@pytest.mark.usefixtures("_small")
def test_the_lines_of_the_how_to_run_as_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    for fusion, name in (("mltfr", "mltfr"), ("none", "plain")):
        Recommender(fusion=fusion).fit("interactions.csv", f"runs/{name}")
    Path("movies.csv").write_text("item_id,title\ni3,Heat\n")
    every = sorted((ROOT / "docs").rglob("*.md"))
    pages = [page for page in every if page.stem not in ("extending", "reference") and page.parent.name != "tutorials"]
    found = [each for page in pages for each in blocks(page.read_text("utf-8"))]
    snippets = [code for language, code, why in found if language == "python" and not why]
    for code in snippets:
        run(code)
    printed = capsys.readouterr().out
    assert len(snippets) >= 7
    assert re.search(r"^\d+ \d\.\d+e?-?\d*$", printed, re.MULTILINE)  # of an export
    assert re.search(r"^wordllama \{'word\d+': 0\.\d+, 'word", printed, re.MULTILINE)
    assert "95 % interval" in " ".join(printed.split())
    assert "Heat" in printed
    assert "similarity" in printed
