"""The tutorials run as they stand and print what their pages say; pages and notebooks are those of the scripts."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import jupytext
import pytest

import tutorial_pages

SCRIPTS = tutorial_pages.SCRIPTS


def masked(text: str) -> list[str]:
    """Return the lines of a text without numbers and ids, which another processor may compute otherwise."""
    return [re.sub(r"[\s─┬┴┼═╪╡╞]+", " ", re.sub(r"\b[iu]?\d[\d.,]*", "0", line)) for line in text.splitlines()]


def first_lines(text: str) -> list[str]:
    """Return four masked lines; below the head of a comparison sorted, since another processor may swap near scores."""
    head, *rows = masked(text)[:4] or [""]
    return [head, *(sorted(rows) if head.startswith("run ndcg@") else rows)]


@pytest.mark.slow
@pytest.mark.usefixtures("_own_home")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_tutorial_prints_what_its_page_says(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLTFR_OFFLINE", "1")
    begun = time.process_time()
    said = tutorial_pages.run(script, tmp_path)
    kept = json.loads(tutorial_pages.PRINTED.read_text("utf-8"))[script.stem]
    assert [first_lines(text) for text in said] == [first_lines(text) for text in kept]
    assert [len(masked(text)) for text in said] == pytest.approx([len(masked(text)) for text in kept], abs=2)
    assert time.process_time() - begun < 120


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_is_its_script_without_outputs(script: Path) -> None:
    made = jupytext.read(script.with_suffix(".ipynb"))
    assert [(cell.cell_type, cell.source) for cell in made.cells] == [
        (cell.cell_type, cell.source) for cell in tutorial_pages.cells(script)
    ]
    assert all(not cell.get("outputs") for cell in made.cells)


def test_pages_and_notebooks_are_up_to_date() -> None:
    stale = [name for name, text in tutorial_pages.files().items()
             if (tutorial_pages.FOLDER.parents[1] / name).read_text("utf-8") != text]  # fmt: skip
    assert stale == [], "Run: python docs/generate.py"


def test_there_are_four_with_a_page_each() -> None:
    index = (tutorial_pages.FOLDER / "README.md").read_text("utf-8")
    assert len(SCRIPTS) == 4
    assert [script.stem for script in SCRIPTS if f"]({script.stem}.md)" not in index] == []
