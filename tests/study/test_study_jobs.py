"""One cell: a run that is interrupted, resumed, and measured user by user."""

from __future__ import annotations

import json
import os
import tomllib
from threading import Event

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mltfr.errors import OutputError, RunError
from mltfr.pipeline import fit, load_artifact, resolve
from mltfr.storage.folder import FolderFormat
from mltfr.storage.progress import SILENT
from mltfr.study import make_plan
from mltfr.study.config import StudyConfig
from mltfr.study.data import open_log
from mltfr.study.fingerprint import difference, fingerprint_of, inputs_of
from mltfr.study.folder import KEPT, StudyFolder, clean_up
from mltfr.study.inputs import StudyInputs
from mltfr.study.job import is_finished, train
from mltfr.study.results import gather, read_run
from mltfr.tokens import verified
from mltfr.training import Checkpoints, Interrupted
from support.manifests import change_sealed
from support.small_study import small


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("MLTFR_HOME", str(tmp_path_factory.getbasetemp() / "mltfr-home"))
    study = StudyConfig.parse(small(metrics=["ndcg@5"]))
    cell = next(cell for cell in make_plan(study) if cell.group.fusion == "mltfr")
    yield StudyInputs(study, study.data, SILENT).cell_spec(cell)
    patch.undo()


def named(metrics, run):
    """Return the document of another run's metrics under this run's name."""
    return json.loads(json.dumps(metrics).replace('"run": "straight"', f'"run": "{run}"'))


def test_an_interrupted_cell_ends_as_an_uninterrupted_one_and_as_a_fit(tmp_path, spec):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    train(straight, spec, Event())
    stop = Event()
    stop.set()
    interruptions = 0
    while True:
        try:
            train(broken, spec, stop if interruptions < 3 else Event())
            break
        except Interrupted:
            interruptions += 1
            assert (broken / "checkpoint/state.json").exists()
            assert not is_finished(broken, spec)
    assert interruptions == 3
    fit(spec.config, open_log(spec.data), tmp_path / "fitted")
    for run in (broken, tmp_path / "fitted"):
        assert (run / "weights.safetensors").read_bytes() == (straight / "weights.safetensors").read_bytes()
    assert read_run(broken).metrics == named(read_run(straight).metrics, "broken")
    assert_frame_equal(pl.read_parquet(broken / "users.parquet"), pl.read_parquet(straight / "users.parquet"))


def test_a_cell_that_failed_right_before_its_manifest_is_made_again(tmp_path, spec, monkeypatch):
    """Without a checkpoint: nothing of it stays, its scores by user neither, which no other run has."""

    def broken(*_, **__):
        raise OutputError("broken")

    monkeypatch.setattr(Checkpoints, "save", lambda *_: None)
    with monkeypatch.context() as patch:
        patch.setattr(FolderFormat, "write_manifest", broken)
        with pytest.raises(OutputError, match="broken"):
            train(tmp_path / "run", spec, Event())
    assert not (tmp_path / "run").exists()
    train(tmp_path / "run", spec, Event())
    assert is_finished(tmp_path / "run", spec)
    (tmp_path / "run" / "manifest.json").unlink()  # users.parquet alone is no result
    cell = next(cell for cell in make_plan(StudyConfig.parse(small())) if not cell.baseline)
    folder = StudyFolder(tmp_path / "study")
    folder.run(cell).parent.mkdir(parents=True)
    (tmp_path / "run").rename(folder.run(cell))
    assert gather(folder, [cell]) == 0


@pytest.mark.parametrize(("key", "value"), [("data", "other"), ("files", {"vectors": "other"})])
def test_what_has_changed_since_the_study_was_begun_is_not_taken_for_what_it_was(tmp_path, spec, key, value):
    changed = spec.model_copy(update={"inputs": {**spec.inputs, key: value}})
    with pytest.raises(RunError, match=rf"run: what it is made from has changed .*\({key}.* was .* and is "):
        train(tmp_path / "run", changed, Event())
    assert not (tmp_path / "run").exists()


def test_a_finished_cell_says_all_that_the_tables_need(tmp_path, spec):
    run = tmp_path / "run"
    train(run, spec, Event())
    found = read_run(run)
    assert found.epochs == 3  # one in round 1, two in round 2
    for scores in (found.metrics["metrics"], found.metrics["validation"]["metrics"], found.metrics["zero_branch"]):
        assert set(scores) == {f"{name}@{k}" for name in ("hr", "ndcg", "mrr") for k in (5, 10, 20)}
    assert found.manifest["parameters"]["total"] > 8 * 40
    assert resolve(file=tomllib.loads((run / "config.toml").read_text())) == spec.config
    logged = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [(record["round"], record["epoch"]) for record in logged] == [(1, 1), (2, 1), (2, 2)]
    assert set(logged[-1]["router_share"]) == {"synthetic-2"}

    users = pl.read_parquet(run / "users.parquet")
    columns = ["user_id", "history_length", "target_popularity", "hr@10", "ndcg@10", "mrr@10", "ndcg@5"]
    assert users.columns == columns
    assert users["user_id"].is_unique().all()
    assert set(users["target_popularity"]) <= {"head", "mid", "tail", "unknown"}
    for metric in columns[3:]:
        assert users[metric].mean() == pytest.approx(found.metrics["metrics"][metric], rel=1e-12)

    load_artifact(run)  # an ordinary run folder
    for name in ("metrics.json", "log.jsonl", "users.parquet"):
        content = (run / name).read_bytes()
        (run / name).write_bytes(content[:-9] + b"1" + content[-8:])
        with pytest.raises(RunError, match=f"{name}: damaged"):
            read_run(run)
        (run / name).write_bytes(content)
    manifest = (run / "manifest.json").read_bytes()
    change_sealed(run / "manifest.json", lambda document: document["files"].pop("users.parquet"))
    with pytest.raises(RunError, match=r"users.parquet: missing from the run's manifest"):
        read_run(run)  # a table that is not listed is not checked
    assert read_run(run, ()).epochs == 3  # as a trial is read
    (run / "manifest.json").write_bytes(manifest)
    (run / "users.parquet").unlink()  # killed after the training
    train(run, spec, Event())
    assert_frame_equal(pl.read_parquet(run / "users.parquet"), users)
    clean_up(run, keep_runs=True)
    assert (run / "weights.safetensors").exists()
    clean_up(run, keep_runs=False)
    assert sorted(path.name for path in run.iterdir()) == sorted(KEPT)
    train(run, spec, Event())  # what is done is not done again
    assert not (run / "weights.safetensors").exists()


def test_a_fingerprint_is_of_everything_that_decides_the_result():
    config = resolve(fusion="none")
    inputs = inputs_of(config, "data", [], 1)
    same = resolve(fusion="none", overrides=["training.advanced.checkpoint_seconds=1", "training.tensorboard=true"])
    assert fingerprint_of(inputs_of(same, "data", [], 1)) == fingerprint_of(inputs)
    others = [
        inputs_of(resolve(fusion="none", seed=1), "data", [], 1),
        inputs_of(resolve(fusion="none", epochs=1), "data", [], 1),
        inputs_of(config, "other", [], 1),
        inputs_of(config, "data", [], 2),
    ]
    assert len({fingerprint_of(other) for other in [inputs, *others]}) == 5
    assert [difference(inputs, other) for other in others] == [
        "config.seed was 0 and is 1",
        "config.training.epochs was 30 and is 1",
        'data was "data" and is "other"',
        "threads was 1 and is 2",
    ]


def test_files_that_a_fusion_reads_count_by_their_content(tmp_path):
    file = tmp_path / "vectors.parquet"
    config = resolve(fusion="adapter", overrides=[f'fusion.vectors="{file}"'])
    found = set()
    for content in ("a", "b"):
        file.write_text(content)
        found.add(fingerprint_of(inputs_of(config, "data", [], 1)))
    assert len(found) == 2


@pytest.mark.parametrize("settled", [True, False])
def test_times_of_files_do_not_count_and_hide_no_change(tmp_path, monkeypatch, settled):
    monkeypatch.setattr(verified, "SETTLED", -1.0 if settled else 3600.0)
    file = tmp_path / "vectors.parquet"
    config = resolve(fusion="adapter", overrides=[f'fusion.vectors="{file}"'])

    def fingerprint(content: str, time: int) -> str:
        file.write_text(content)
        os.utime(file, ns=(time, time))
        return fingerprint_of(inputs_of(config, "data", [], 1))

    old = fingerprint("a", 1_700_000_000_000_000_000)
    assert fingerprint("b", 1_700_000_000_000_000_000) != old, "of the same size and time"
    assert fingerprint("a", 1_800_000_000_000_000_000) == old


def test_a_settled_file_is_read_once(tmp_path, monkeypatch):
    monkeypatch.setattr(verified, "SETTLED", -1.0)
    file = tmp_path / "vectors.parquet"
    file.write_text("a")
    config = resolve(fusion="adapter", overrides=[f'fusion.vectors="{file}"'])
    inputs_of(config, "data", [], 1)
    monkeypatch.setattr("mltfr.study.fingerprint.sha256", pytest.fail)
    inputs_of(config, "data", [], 1)
