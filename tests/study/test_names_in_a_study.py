"""Names in a study: an arm is a label with settings of names, its tables are the study's, and its file is checked."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event

import pytest

from mltfr.errors import RunError
from mltfr.storage.progress import SILENT
from mltfr.study import load_study, make_plan
from mltfr.study.inputs import StudyInputs
from mltfr.study.job import train
from mltfr.tokens.sources.synthetic import SyntheticConfig, synthetic_words
from support.small_study import write

ARMS = {
    "none": {"names": {"use": "none"}},
    "named": {"fusion": {"name": "none"}, "names": {"read": "tables"}},
    "random-rows": {"fusion": {"name": "none"}, "names": {"read": "tables", "control": "random"}},
    "words": {"fusion": {"name": "none"}},
}


@pytest.fixture(params=["names.csv", "names"])
def file(request: pytest.FixtureRequest) -> str:
    """Return what the file of names is called: what it is made of does not depend on it."""
    return str(request.param)


@pytest.fixture
def study(tmp_path: Path, file: str) -> Path:
    """Return a study with the names of its items beside it."""
    words = synthetic_words(SyntheticConfig()).words
    names = [f"i{item:04d},{words[item % 7]} {words[7 + item % 5]}" for item in range(40)]
    (tmp_path / file).write_text("\n".join(["item_id,title", *names]) + "\n")
    return write(tmp_path, fusions=ARMS, data__made_up=None, baselines=["popularity"],
                 **{"data__made-up__settings": {"names": {"file": file}}})  # fmt: skip


def test_arms_read_the_tables_of_the_study_where_they_read_names(study: Path, file: str) -> None:
    cells = {cell.group.fusion: cell for cell in make_plan(load_study(study))}
    assert {label: cell.group.tables for label, cell in cells.items()} == {
        "": "", "none": "", "named": "one", "random-rows": "one", "words": "",
    }  # fmt: skip
    for label in ARMS:
        assert cells[label].config.names.file == str((study.parent / file).resolve())
        assert cells[label].config.names.are_used == (label != "none")
    assert cells["named"].config.tokens.tables == ("synthetic-2",)
    assert not cells[""].config.names.file  # a baseline


def test_a_cell_is_trained_with_its_names_and_no_others(study: Path, file: str, tmp_path: Path) -> None:
    loaded = load_study(study)
    inputs = StudyInputs(loaded, ["made-up"], SILENT)
    cells = {cell.group.fusion: cell for cell in make_plan(loaded)}
    spec = inputs.cell_spec(cells["random-rows"])
    assert list(spec.inputs["files"]) == ["names.file"]
    assert [table["name"] for table in spec.inputs["tables"]] == ["synthetic-2"]
    train(tmp_path / "run", spec, Event())
    assert json.loads((tmp_path / "run/metrics.json").read_text())["names"]["named"] == 40
    (study.parent / file).write_text("item_id,title\ni0001,other\n")
    with pytest.raises(RunError, match=r"files\.names\.file was .* and is "):
        train(tmp_path / "other", spec, Event())
