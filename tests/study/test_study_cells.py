"""One cell: interrupted, resumed, described."""

from __future__ import annotations

import json
import tomllib
from threading import Event

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from small_study import small

from mltfr.pipeline import resolve
from mltfr.study import make_plan
from mltfr.study.cell import run_cell
from mltfr.study.config import StudyConfig
from mltfr.study.fingerprint import basis_of, difference, fingerprint_of
from mltfr.study.material import Material
from mltfr.training import Interrupted


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("MLTFR_HOME", str(tmp_path_factory.getbasetemp() / "mltfr-home"))
    study = StudyConfig.parse(small(metrics=["ndcg@5"]))
    cell = next(cell for cell in make_plan(study) if cell.group.fusion == "mltfr")
    yield Material(study, study.data, lambda text: None).cell_task(cell)
    patch.undo()


def result(folder):
    document = json.loads((folder / "cell.json").read_text())
    assert document.pop("seconds") > 0
    return document


def test_an_interrupted_cell_continues_where_it_stopped(tmp_path, task):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    for folder in (straight, broken):
        folder.mkdir()
    run_cell(straight, task, Event())
    stop = Event()
    stop.set()
    interruptions = 0
    while True:
        try:
            run_cell(broken, task, stop if interruptions < 3 else Event())
            break
        except Interrupted:
            interruptions += 1
            assert (broken / "run/checkpoint/state.json").exists()
            assert not (broken / "cell.json").exists()
    assert interruptions == 3
    assert result(broken) == result(straight)
    assert_frame_equal(pl.read_parquet(broken / "users.parquet"), pl.read_parquet(straight / "users.parquet"))
    assert not (broken / "run").exists()  # with its weights


def test_a_finished_cell_says_all_that_the_tables_need(tmp_path, task):
    run_cell(tmp_path, task, Event())
    document = result(tmp_path)
    labels = {"data": "made-up", "backbone": "sasrec", "fusion": "mltfr", "tables": "one", "seed": 0}
    assert document.items() >= labels.items()
    assert document["cell"].startswith("made-up-sasrec-mltfr-one-s0-")
    assert document["fingerprint"] == task.fingerprint
    assert document["epochs"] == 3  # one in round 1, two in round 2
    for part in ("metrics", "validation", "zero_branch"):
        assert set(document[part]) == {f"{name}@{k}" for name in ("hr", "ndcg", "mrr") for k in (5, 10, 20)}
    assert document["parameters"] > 8 * 40
    assert resolve(file=tomllib.loads((tmp_path / "config.toml").read_text())) == task.config
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(record["round"], record["epoch"]) for record in logged] == [(1, 1), (2, 1), (2, 2)]
    assert set(logged[-1]["router_share"]) == {"synthetic-2"}

    users = pl.read_parquet(tmp_path / "users.parquet")
    columns = ["user_id", "history_length", "target_popularity", "hr@10", "ndcg@10", "mrr@10", "ndcg@5"]
    assert users.columns == columns
    assert users["user_id"].is_unique().all()
    assert set(users["target_popularity"]) <= {"head", "mid", "tail", "unknown"}
    for metric in columns[3:]:
        assert users[metric].mean() == pytest.approx(document["metrics"][metric], rel=1e-12)


def test_what_is_done_already_is_not_done_again(tmp_path, task):
    (tmp_path / "cell.json").write_text("{}")
    run_cell(tmp_path, task, Event())
    assert (tmp_path / "cell.json").read_text() == "{}"


def test_the_run_folder_stays_if_it_is_wanted(tmp_path, task):
    run_cell(tmp_path, task.model_copy(update={"keep_run": True}), Event())
    assert (tmp_path / "run/weights.safetensors").exists()


def test_a_fingerprint_is_of_everything_that_decides_the_result():
    config = resolve(fusion="none")
    basis = basis_of(config, "data", [], 1)
    same = resolve(fusion="none", overrides=["training.checkpoint_seconds=1", "training.tensorboard=true"])
    assert fingerprint_of(basis_of(same, "data", [], 1)) == fingerprint_of(basis)
    others = [
        basis_of(resolve(fusion="none", seed=1), "data", [], 1),
        basis_of(resolve(fusion="none", epochs=1), "data", [], 1),
        basis_of(config, "other", [], 1),
        basis_of(config, "data", [], 2),
    ]
    assert len({fingerprint_of(other) for other in [basis, *others]}) == 5
    assert [difference(basis, other) for other in others] == [
        "config.seed was 0 and is 1",
        "config.training.epochs was 100 and is 1",
        'data was "data" and is "other"',
        "threads was 1 and is 2",
    ]


def test_files_that_a_fusion_reads_count_by_their_content(tmp_path):
    file = tmp_path / "vectors.parquet"
    config = resolve(fusion="adapter", overrides=[f'fusion.vectors="{file}"'])
    found = set()
    for content in ("a", "b"):
        file.write_text(content)
        found.add(fingerprint_of(basis_of(config, "data", [], 1)))
    assert len(found) == 2
