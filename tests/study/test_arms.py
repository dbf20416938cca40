"""Blends and distilled fits as rows of a study: what they are made of, in which order, and what is refused."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mltfr.errors import ConfigError, RunError
from mltfr.pipeline import load_artifact
from mltfr.pipeline.blend import blend
from mltfr.pipeline.config import BlendConfig
from mltfr.pipeline.report_metrics import score
from mltfr.storage.child import Ended
from mltfr.study import load_study, make_plan, run_study
from mltfr.study.config import StudyConfig, check_files
from mltfr.study.folder import KEPT
from mltfr.study.job import train
from mltfr.study.selection import select
from mltfr.study.spec import read_spec
from support.small_study import small, write

ARMS = {
    "baselines": ["popularity", "markov"],
    "blends": {"mix": {"members": ["markov", "none"]}},
    "fusions": {
        "none": {},
        "distilled": {"fusion": {"name": "none"}, "distillation": {"teacher": "mix", "top": 5}},
    },
    "tables": None,
}


def plan(**changes: Any):
    return make_plan(StudyConfig.parse(small(**{**ARMS, **changes})))


def labels(cells):
    return [(cell.label, cell.seed) for cell in cells]


def in_this_process(run: Path, threads: int, stop: Event, kill: Event) -> Ended:
    train(run, read_spec(run), stop)
    return Ended(0, "")


def test_what_is_made_of_others_stands_behind_them_and_has_their_place() -> None:
    cells = plan(seeds=[3, 4], backbones={"sasrec": {}, "gru4rec": {}})
    assert labels(cells)[:8] == [("popularity", 3), ("markov", 3), ("none", 3), ("none", 3), ("mix", 3), ("mix", 3),
                                 ("distilled", 3), ("distilled", 3)]  # fmt: skip
    for cell in cells:
        if cell.label == "mix":
            assert list(cell.needs) == ["markov", "none"]
            assert isinstance(cell.config.backbone, BlendConfig)
            assert cell.config.backbone.members == tuple(need.config for need in cell.needs.values())
        if cell.label == "distilled":
            assert list(cell.needs) == ["mix"]
        fits = [need for need in cell.needs.values() if not need.baseline]
        assert all((need.group.backbone, need.seed) == (cell.group.backbone, cell.seed) for need in fits)


def test_a_blend_runs_with_the_tables_of_its_members() -> None:
    two = {"a": {"tables": ["synthetic"]}, "b": {"tables": ["synthetic-2"]}}
    blends = {"mix": {"members": ["mltfr", "none"]}, "both": {"members": ["mix", "markov"]}}
    fusions = {"none": {}, "mltfr": {}, "learner": {"fusion": {"name": "none"}}}
    cells = plan(fusions=fusions, blends=blends, tables=two)
    assert {(cell.label, cell.group.tables) for cell in cells if cell.is_blend} == {
        ("mix", "a"), ("mix", "b"), ("both", "a"), ("both", "b"),
    }  # fmt: skip
    both = next(cell for cell in cells if cell.label == "both" and cell.group.tables == "b")
    assert both.needs["mix"].needs["mltfr"].config.tokens.tables == ("synthetic-2",)
    fusions["learner"]["distillation"] = {"teacher": "mix"}
    with pytest.raises(ConfigError, match=r"learner is made of 'mix', which runs with several token tables \(a, b\)"):
        plan(fusions=fusions, blends=blends, tables=two)


def test_a_blend_of_windows_and_of_a_drawn_control() -> None:
    fusions = {"mltfr": {}, "random": {}}
    cells = plan(fusions=fusions, blends={"mix": {"members": ["mltfr", "random"]}}, compare_with="mltfr", draws=3,
                 tables={"one": {"tables": ["synthetic-2"]}},
                 **{"data__made-up__rolling": {"windows": 2, "span": "7d"}})  # fmt: skip
    mixed = [cell for cell in cells if cell.is_blend]
    assert [cell.group.window for cell in mixed] == ["w1", "w2"]
    assert all(need.group[4:] == (cell.group.window, 0) for cell in mixed for need in cell.needs.values())


def test_what_a_chosen_cell_is_made_of_is_chosen_too() -> None:
    cells = plan(seeds=[0, 1])
    assert labels(select(cells, ["fusion=distilled", "seed=1"])) == [
        ("markov", 0), ("none", 1), ("mix", 1), ("distilled", 1),
    ]  # fmt: skip
    assert labels(select(cells, ["fusion=none", "seed=1"])) == [("none", 1)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blends__mix__members": ["none", "ease"]}, r"\[blends.mix\]: the study has no fusion, baseline or blend 'ea"),
        ({"blends__mix__members": ["none", "none"]}, r"\[blends.mix\]: members names 'none' twice"),
        ({"blends__mix__members": ["none"]}, r"blends.mix.members: .* at least 2 items"),
        ({"blends__mix__members": ["none", "mix"]}, r"'mix' of 'mix' would be made of itself"),
        ({"blends__mix__members": ["none", "distilled"]}, r"'mix' of 'distilled' of 'mix' would be made of itself"),
        ({"blends__none": {"members": ["none", "markov"]}}, r"\[blends.none\]: a fusion or baseline has that label"),
        ({"fusions__markov": {"fusion": {"name": "none"}}}, r"'markov', of which 'mix' is made, is a fusion and a b"),
        ({"blends__m/x": {"members": ["none", "markov"]}}, r"\[blends.'m/x'\]: a label is made of letters"),
        ({"backbones__bert4rec": {}}, r"'bert4rec' is trained by masking, so it cannot learn from a teacher"),
        ({"tuning": {"trials": 2, "space": {"training.learning_rate": [0.1, 0.2]}}}, r"which a search cannot wait. L"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        plan(**changes)
    assert "\n" not in str(error.value)


def test_a_teacher_is_a_label_or_a_run_folder(tmp_path: Path) -> None:
    (tmp_path / "mix").mkdir()  # the row of the study comes first
    assert load_study(write(tmp_path, **ARMS)).teachers == {"distilled": "mix"}
    study = load_study(write(tmp_path, **{**ARMS, "fusions__distilled__distillation__teacher": "mixed"}))
    assert not study.teachers
    with pytest.raises(ConfigError, match=r"no .*/mixed. Give a run folder.* or the label of a row .*: none, d"):
        check_files(study, ["made-up"])


def test_a_study_with_a_blend_and_what_learned_from_it(tmp_path: Path, reports: list[dict[str, Any]]) -> None:
    file, out = write(tmp_path, **ARMS), tmp_path / "out"
    cells = {cell.label: cell for cell in make_plan(load_study(file))}
    folders = {label: out / "cells" / cell.name for label, cell in cells.items()}

    def failing(run: Path, threads: int, stop: Event, kill: Event) -> Ended:
        return Ended(1, "broken") if run == folders["mix"] else in_this_process(run, threads, stop, kill)

    outcome = run_study(file, out, jobs=1, launch=failing)
    assert outcome.done == 3
    assert outcome.failures == {cells["mix"].name: "broken",
                                cells["distilled"].name: "'mix', of which it is made, failed: broken"}  # fmt: skip
    kept = {label: (folder / "weights.safetensors").exists() for label, folder in folders.items()}
    assert kept == {"popularity": False, "markov": True, "none": True, "mix": False, "distilled": False}
    by_hand = blend({label: folders[label] for label in ("markov", "none")}, measure=score)

    (folders["mix"] / "checkpoint").mkdir(parents=True)  # as a kill leaves it
    outcome = run_study(file, out, jobs=1, launch=in_this_process, resume=True, only=["fusion=mix"])
    assert (outcome.cells, outcome.done) == (3, 3)
    assert (folders["mix"] / "weights.safetensors").exists()
    assert not (folders["markov"] / "weights.safetensors").exists()
    blended = load_artifact(folders["mix"])
    assert blended.metrics["metrics"] == by_hand.metrics["metrics"]
    assert [member["run"] for member in blended.facts["blend"]["members"]] == ["markov", "none"]

    assert run_study(file, out, jobs=1, launch=in_this_process, resume=True).done == 5
    assert {path.name for label in folders for path in folders[label].iterdir()} == set(KEPT)
    results = pl.read_parquet(out / "results.parquet")
    assert set(results["fusion"]) == {"", "none", "mix", "distilled"}
    spec = read_spec(folders["distilled"])
    assert spec.inputs["runs"] == {"mix": read_spec(folders["mix"]).fingerprint}
    assert "teacher" in pl.Series([(folders["distilled"] / "manifest.json").read_text()])[0]

    straight = tmp_path / "straight"
    assert run_study(file, straight, jobs=2, launch=in_this_process).done == 5
    for name in ("results.parquet", "users.parquet"):
        found, expected = (pl.read_parquet(folder / name) for folder in (out, straight))
        if "seconds" in found.columns:
            found, expected = found.drop("seconds"), expected.drop("seconds")
        assert_frame_equal(found, expected, check_exact=True)
    assert run_study(file, out, launch=pytest.fail, resume=True).done == 5

    other = write(tmp_path, **{**ARMS, "blends__other": {"members": ["none", "mix"]}})
    with pytest.raises(RunError, match=r"cell is finished and keeps no weights, but .* other is made of 'none'"):
        run_study(other, out, launch=pytest.fail, resume=True)
