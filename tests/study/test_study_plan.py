"""The study file: what it plans, in which order, and what it refuses."""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from pathlib import Path

import pytest

from mltfr.cli.main import main
from mltfr.cli.study import study
from mltfr.errors import ConfigError, MissingExtraError
from mltfr.study import load_study, make_plan, run_study
from mltfr.study.cell import slug
from mltfr.study.config import StudyConfig, check_files
from mltfr.study.selection import select
from support.small_study import small, write


def plan(**changes):
    return make_plan(StudyConfig.parse(small(**changes)))


def test_the_grid_is_complete_and_in_order():
    cells = plan(
        seeds=[3, 1],
        backbones={"bert4rec": {}, "wide": {"backbone": {"name": "sasrec", "hidden": 16}}},
        fusions={
            "random": {},
            "none": {},
            "mltfr": {},
        },
        tables={"one": {"tables": ["synthetic"]}, "two": {"tables": ["synthetic", "synthetic-2"]}},
        baselines=["popularity"],
    )
    labels = [(*cell.group[1:4], cell.seed) for cell in cells]
    assert labels[0] == ("popularity", "", "", 3)
    one_seed = [
        (backbone, fusion, tables)
        for backbone in ("bert4rec", "wide")
        for fusion, tables in (
            ("none", ""), ("random", "one"), ("random", "two"), ("mltfr", "one"), ("mltfr", "two")
        )
    ]  # fmt: skip
    assert labels[1:] == [(*group, seed) for seed in (3, 1) for group in one_seed]
    assert len({cell.name for cell in cells}) == len(cells) == 21
    by_label = {label: cell.config for label, cell in zip(labels, cells, strict=True)}
    assert by_label["wide", "mltfr", "two", 1].backbone.hidden == 16
    assert by_label["wide", "mltfr", "two", 1].backbone.name == "sasrec"
    assert by_label["bert4rec", "none", "", 3].backbone.hidden == 8
    assert by_label["bert4rec", "random", "two", 3].fusion.name == "random"
    assert by_label["bert4rec", "mltfr", "two", 3].tokens.tables == ("synthetic", "synthetic-2")
    assert by_label["bert4rec", "mltfr", "two", 3].tokens.width == 8
    assert by_label["bert4rec", "none", "", 3].tokens.tables == ()
    assert {config.seed for label, config in by_label.items() if label[-1] == 1} == {1}


def test_a_control_differs_from_its_fusion_in_one_setting():
    cells = plan(fusions__shuffled={"fusion": {"filter": {"shortlist": 16, "keep": 2}}})
    configs = {cell.group.fusion: cell.config for cell in cells}
    real, shuffled = configs["mltfr"], configs["shuffled"]
    assert shuffled.fusion.model_dump() == {**real.fusion.model_dump(), "name": "shuffled"}
    assert shuffled.model_copy(update={"fusion": real.fusion}) == real


def test_a_control_may_be_named_alone():
    cell = next(cell for cell in plan(fusions__random={}) if cell.group.fusion == "random")
    assert (cell.config.fusion.name, cell.group.tables) == ("random", "one")


def test_settings_of_a_data_set_count_for_its_cells_alone():
    second = {"name": "synthetic", "settings": {"training": {"epochs": 7}, "backbone": {"max_length": 5}}}
    cells = plan(data__second=second, baselines=["popularity"])
    found = {(cell.group.data, cell.config.training.epochs) for cell in cells}
    assert found == {("made-up", 2), ("second", 7)}
    lengths = {(cell.group.data, cell.config.backbone.max_length) for cell in cells if not cell.baseline}
    assert lengths == {("made-up", 10), ("second", 5)}


def test_a_fusion_with_tables_of_its_own_is_not_crossed():
    own = {"fusion": {"name": "mltfr"}, "tokens": {"tables": ["synthetic"]}}
    cells = plan(fusions__own=own)
    assert [cell.group.tables for cell in cells if cell.group.fusion == "own"] == ["synthetic"]
    assert [cell.group.tables for cell in plan(tables=None)] == ["", "default"]


def test_labels_that_read_alike_have_different_names():
    assert slug("a-b", "c") != slug("a", "b-c")
    assert slug("a", "", "c").startswith("a-c-")


@pytest.mark.parametrize(("changes", "message"), [
    ({"fusions__mltfr": {"training": {"epochs": 9}}}, r"\[fusions.mltfr\] sets 'training.epochs'"),
    ({"fusions__mltfr": {"loss": "bce"}}, r"\[fusions.mltfr\] sets 'loss.name'"),
    ({"fusions__mltfr": {"backbone": {"hidden": 9}}}, r"\[fusions.mltfr\] sets 'backbone.hidden'"),
    ({"backbones__sasrec": {"training": {"batch_size": 9}}}, r"\[backbones.sasrec\] sets 'training.batch_size'"),
    ({"backbones__sasrec": {"split": {"n": 2}}}, r"\[backbones.sasrec\] sets 'split.n'"),
    ({"tables__one": {"tables": ["a"], "training": {}}}, "unknown setting 'tables.one.training'"),
    ({"data__made-up__settings": {"fusion": "none"}}, r"sets 'fusion.name', but that belongs into \[fusions"),
    ({"data__made-up__settings": {"backbone": "sasrec"}}, r"sets 'backbone.name', but that belongs into \[backbones"),
    ({"settings__seed": 3}, r"\[settings\] sets 'seed', but that belongs into seeds"),
    ({"backbones__sasrecc": {}}, "Did you mean 'sasrec'.*needs backbone = {name = ...}"),
    ({"fusions__real": {}}, r"\[fusions.real\]: Unknown fusion 'real'"),
    ({"fusions__mltfr": {"fusion": {"keep": 3}}}, "made-up / sasrec / mltfr / one: .*unknown setting 'keep'"),
    ({"backbones__sasrec": {"backbone": {"width": 3}}}, "unknown setting 'width'"),
    ({"compare_with": "nothing"}, r"compare_with is 'nothing'.*Known: mltfr, none. Add \[fusions.nothing\]"),
    ({"seeds": [1, 2, 1]}, "seeds names 1 twice"),
    ({"baselines": ["a", "a"]}, "baselines names 'a' twice"),
    ({"baselines": ["popularityy"]}, "Unknown baseline 'popularityy'"),
    ({"metrics": ["ndgc@10"]}, r"metrics.0: unknown metric 'ndgc@10'. Did you mean 'ndcg'\?.*as in ndcg@10"),
    ({"metrics": ["ndcg@7"]}, r"'ndcg@7', which .* does not measure \(hr@5, .* Add it to evaluation.metrics"),
    ({"test": "z"}, "test: .*'wilcoxon'"),
    ({"seeds": []}, "seeds: .*at least 1"),
    ({"fusions": {"none": {}}}, "no fusion reads it"),
    ({"data__made-up__file": "a.csv"}, "either file or name"),
    ({"data__made-up__name": "ml-101k"}, "Did you mean 'ml-100k'"),
    ({"settings__preset": "reference", "backbones__bert4rec": {}, "fusions__mltfr": {}},
     "'loss.name' is 'bce' for .*sasrec.* for .*bert4rec"),
    ({"trials": 3}, "unknown setting 'trials'"),
    ({"tuning": {"trials": 3, "space": {"training.epochs": [1, 2]}}}, "'training.epochs' may not be tuned"),
    ({"tuning": {"trials": 3, "space": {"fusion.name": ["a", "b"]}}}, "'fusion.name' may not be tuned"),
    ({"tuning": {"trials": 3, "space": {"backbone.widht": [1, 2]}}},
     r"There is no setting 'backbone.widht' to search. .*See docs"),
    ({"tuning": {"trials": 3, "space": {"backbone.hiden": [1, 2]}}}, r"Did you mean 'backbone.hidden'\?"),
    ({"tuning": {"trials": 3, "space": {"fusion.dropout": [0.1, 0.2]}}}, "'fusion.dropout' has no value.*--set fusion"),
    ({"tuning": {"trials": 3, "space": {"backbone.dropout": [0.1]}}}, "at least two choices"),
    ({"tuning": {"trials": 3, "space": {"backbone.dropout": {"low": 0.5, "high": 0.1}}}}, "must lie below high"),
])  # fmt: skip
def test_what_is_wrong_is_said(changes, message):
    with pytest.raises(ConfigError, match=message):
        plan(**changes)


@pytest.mark.parametrize("kind", ["data", "backbones", "fusions"])
def test_an_empty_grid_is_refused(tmp_path, kind):
    with pytest.raises(ConfigError, match=re.escape(f"no [{kind}.LABEL] is given")):
        load_study(write(tmp_path, **{kind: None}))


def test_paths_are_relative_to_the_file_and_have_to_exist_where_they_are_needed(tmp_path):
    file = write(tmp_path, data={"mine": {"file": "log.csv"}, "made-up": {"name": "synthetic"}})
    study = load_study(file)
    assert study.data["mine"].file == str(tmp_path / "log.csv")
    check_files(study, ["made-up"])
    with pytest.raises(ConfigError, match=r"data.mine.file: there is no .*log.csv.*--data mine=FILE.*--only data="):
        check_files(study, ["made-up", "mine"])
    (tmp_path / "log.csv").write_text("")
    check_files(study, ["mine"])


def test_a_tracker_that_is_not_installed_is_told_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    settings = {**small()["settings"], "trackers": ["mlflow"]}
    with pytest.raises(MissingExtraError, match=r"mltfr\[mlflow\]"):
        run_study(write(tmp_path, settings=settings), tmp_path / "out", launch=pytest.fail)


def test_another_log_stands_in_for_the_one_in_the_file(tmp_path):
    of_mine = {"file": "log.csv", "settings": {"training": {"epochs": 3}}}
    file = write(tmp_path, data={"mine": of_mine, "made-up": {"name": "synthetic", "synthetic": {"users": 50}}})
    data = load_study(file, {"mine": tmp_path / "a.csv", "made-up": tmp_path / "b.csv"}).data
    assert data["mine"].file == str(tmp_path / "a.csv")
    assert data["mine"].settings == of_mine["settings"]
    assert (data["made-up"].file, data["made-up"].name) == (str(tmp_path / "b.csv"), None)
    with pytest.raises(ConfigError, match=r"--data mien=x: the study has no such data set. Did you mean 'mine'\?"):
        load_study(file, {"mien": Path("x")})


def test_only_chooses_cells_by_their_labels():
    cells = plan(seeds=[0, 1], baselines=["popularity"], backbones={"sasrec": {}, "bert4rec": {}})
    labels = {(cell.group.backbone, cell.group.fusion, cell.seed) for cell in select(cells, ["seed=1", "fusion=mltfr"])}
    assert labels == {("sasrec", "mltfr", 1), ("bert4rec", "mltfr", 1)}
    assert [cell.baseline for cell in select(cells, ["backbone=popularity"])] == [True]
    assert select(cells, ["backbone=sasrec", "backbone=bert4rec,popularity"]) == cells == select(cells, [])


def test_a_baseline_has_to_be_one():
    with pytest.raises(ConfigError, match=r"Unknown baseline 'sasrec'. .*Known: ease, ease-recent, item-knn, markov"):
        plan(baselines=["sasrec"])


@pytest.mark.parametrize(("only", "message"), [
    (["backbone"], r"--only 'backbone' is not AXIS=LABEL,LABEL with an axis of data, backbone"),
    (["fusoin=mltfr"], r"--only 'fusoin=mltfr' is not AXIS=LABEL"),
    (["backbone=sasrek"], r"--only backbone=sasrek: the study has no such backbone. Did you mean 'sasrec'\?"),
    (["backbone=popularity", "fusion=none"], r"no cell of the study is left"),
])  # fmt: skip
def test_what_only_cannot_mean_is_told(only, message):
    with pytest.raises(ConfigError, match=message):
        select(plan(baselines=["popularity"]), only)


def test_the_title_is_the_files_name_if_none_is_given(tmp_path):
    assert load_study(write(tmp_path, title=None)).title == "study"


def test_the_example_in_the_help_is_a_study_file(capsys, monkeypatch):
    example = inspect.cleandoc(study.__doc__).partition("A study file:")[2].strip("\b\n ").replace("\\[", "[")
    parsed = StudyConfig.parse(tomllib.loads(example))
    assert list(parsed.fusions) == ["none", "mltfr", "random"]
    monkeypatch.setattr(sys, "argv", ["mltfr", "study", "--help"])
    with pytest.raises(SystemExit):
        main()
    shown = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in example.splitlines() if line.strip() not in shown] == []
