"""A data set without names: what differs in names alone runs once there, and the summary says so."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mltfr.errors import ConfigError
from mltfr.names.config import NamesConfig
from mltfr.study import load_study, make_plan
from mltfr.study.config import StudyConfig
from mltfr.study.nameless import baselines_left_out, check_name_files, nameless_notes
from mltfr.study.plan import left_out

STUDY = """
baselines = ["markov"]
[data.named]
file = "log.csv"
settings.names.file = "names.csv"
[data.nameless]
file = "log.csv"
[settings]
tokens.tables = ["synthetic"]
names.read = "tables"
[backbones.sasrec]
[fusions.none]
names.use = "none"
[fusions.mltfr]
names.use = "none"
[fusions.names]
fusion.name = "none"
[fusions.permuted]
fusion.name = "none"
names.control = "permuted"
[fusions.mltfr-names]
fusion.name = "mltfr"
[fusions.distilled]
fusion.name = "none"
distillation.teacher = "mix"
[blends.mix]
members = ["names", "markov"]
[blends.bare]
members = ["names", "none"]
"""


def test_what_differs_in_names_alone_runs_once() -> None:
    study = StudyConfig.parse(tomllib.loads(STUDY) | {"seeds": [0]})
    cells = {(cell.group.data, cell.label): cell for cell in make_plan(study)}
    rows = {data: [label for of, label in cells if of == data] for data in ("named", "nameless")}
    assert rows == {
        "named": ["markov", "none", "mltfr", "names", "permuted", "mltfr-names", "mix", "bare", "distilled"],
        "nameless": ["markov", "none", "mltfr", "mix", "distilled"],
    }
    assert {data: list(cells[data, "mix"].needs) for data in rows} == {
        "named": ["names", "markov"],
        "nameless": ["none", "markov"],
    }
    (note,) = nameless_notes(left_out(study), baselines_left_out(study))
    assert "nameless has no names, without which names, permuted would be 'none' again; mltfr-names would be" in note


def test_a_control_of_nothing_but_names_is_the_row_that_is_compared_with() -> None:
    values = tomllib.loads(STUDY) | {"compare_with": "names"}
    found = left_out(StudyConfig.parse(values))
    assert found["nameless", "none"] == found["nameless", "permuted"] == "names"
    twice = tomllib.loads(STUDY)
    twice["fusions"]["again"] = twice["fusions"]["none"] | {"fusion": {"name": "none"}}
    assert ("nameless", "again") not in left_out(StudyConfig.parse(twice)), "it does not differ in names"


def test_a_baseline_made_of_names_is_left_out_in_blends_too() -> None:
    values = tomllib.loads(STUDY) | {"seeds": [0], "baselines": ["markov", "name-knn"]}
    values["blends"]["mix"]["members"] = ["names", "markov", "name-knn"]
    values["blends"]["bare"]["members"] = ["names", "name-knn"]
    study = StudyConfig.parse(values)
    cells = {(cell.group.data, cell.label): cell for cell in make_plan(study)}
    assert cells["named", "name-knn"].config.names == NamesConfig(file="names.csv")
    assert list(cells["named", "mix"].needs) == ["names", "markov", "name-knn"]
    assert list(cells["nameless", "mix"].needs) == ["none", "markov"]
    assert {label for data, label in cells if data == "nameless"} == {"markov", "none", "mltfr", "mix", "distilled"}
    notes = nameless_notes(left_out(study), baselines_left_out(study))
    remark = "Data set nameless has no names, which name-knn is made of. It is left out there, in blends too."
    assert notes[1:] == [remark]
    values["fusions"]["distilled"]["distillation"]["teacher"] = "name-knn"
    with pytest.raises(ConfigError, match="nameless has no names, which 'name-knn' is made of, so nothing can"):
        make_plan(StudyConfig.parse(values))
    del values["data"]["named"]
    with pytest.raises(ConfigError, match="baselines: name-knn is made of the names of items, and no data set has any"):
        make_plan(StudyConfig.parse(values))


def test_names_are_given_with_an_option(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "log.csv").touch()
    cells = make_plan(load_study(tmp_path / "study.toml"))
    with pytest.raises(ConfigError, match=r"names / default: names.file: there is no .*/names.csv. .*--item-names n"):
        check_name_files(cells)
    check_name_files(cell for cell in cells if cell.group.data == "nameless" or cell.label in ("none", "markov"))
    names = {"named": tmp_path / "log.csv", "nameless": Path("ids")}
    study = load_study(tmp_path / "study.toml", names=names)
    check_name_files(make_plan(study))
    assert study.data["named"].settings["names"]["file"] == str(tmp_path / "log.csv")
    assert study.data["nameless"].settings["names"]["file"] == "ids"
    assert not left_out(study)
    with pytest.raises(ConfigError, match="--item-names other=ids: the study has no such data set"):
        load_study(tmp_path / "study.toml", names={"other": Path("ids")})


def test_the_names_of_one_fusion_have_to_be_there_too(tmp_path: Path) -> None:
    values = tomllib.loads(STUDY)
    values["data"]["named"]["settings"]["names"]["file"] = "ids"
    values["fusions"]["permuted"]["names"]["file"] = str(tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"sasrec / permuted / default: names.file: there is no .*/gone"):
        check_name_files(make_plan(StudyConfig.parse(values)))
