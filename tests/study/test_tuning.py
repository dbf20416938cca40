"""The search of settings: fair, on validation, and the same after an interruption."""

from __future__ import annotations

import json
import sys
from functools import partial
from importlib import import_module
from threading import Event

import pytest

from mltfr.errors import MissingExtraError, RunError
from mltfr.study import make_plan
from mltfr.study.config import StudyConfig
from mltfr.study.data import open_log
from mltfr.study.fingerprint import inputs_of
from mltfr.study.job import train
from mltfr.study.space import TuningConfig
from mltfr.study.spec import JobSpec
from mltfr.study.tuning import GroupTuning
from support.small_study import small

SPACE = {
    "training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "backbone.dropout": [0.1, 0.3, 0.5],
    "fusion.heads": {"low": 1, "high": 4, "int": True},
}
STUDY = StudyConfig.parse(small(tuning={"trials": 12, "seed": 5, "space": SPACE}))


def search(folder, study=STUDY, fusion="mltfr"):
    cell = next(cell for cell in make_plan(study) if cell.group.fusion == fusion)

    data = study.data["made-up"]
    log = open_log(data).fingerprint()

    def spec(config):
        return JobSpec(data=data, inputs=inputs_of(config, log, [], 1), trial=True)

    return GroupTuning(folder, cell.group, cell.config, study.tuning, study.metrics[0], spec), cell


def value(config):
    return -abs(config.training.learning_rate - 2e-3) - config.backbone.dropout


def work(tuning, trials=100):
    """Run some trials; heads that do not divide the hidden width of 8 are refused as settings."""
    while not tuning.done and trials:
        config = tuning.next().config
        if config.fusion.heads == 3:
            tuning.tell(None, error="heads do not divide")
        else:
            tuning.tell(value(config), epochs=2, seconds=1.0)
        trials -= 1


def lines(folder):
    (file,) = folder.glob("*.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_changed_score_of_a_search_is_damage(tmp_path):
    work(search(tmp_path)[0], 3)
    (file,) = tmp_path.glob("*.jsonl")
    file.write_text(file.read_text().replace('"value": 0', '"value": 1', 1).replace('"epochs": 2', '"epochs": 3', 1))
    with pytest.raises(RunError, match=r"jsonl: damaged.*checksum differs"):
        search(tmp_path)


def test_an_interrupted_search_goes_on_as_if_nothing_had_happened(tmp_path):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    work(search(straight)[0])
    for trials in (1, 4, 2, 100):  # each time from the file alone
        tuning, _ = search(broken)
        tuning.next()  # proposed, and lost with the process
        work(tuning, trials)
    assert lines(broken) == lines(straight)
    records = lines(straight)
    assert len(records) == 12
    assert records[0]["settings"] == {"training.learning_rate": 1e-3, "backbone.dropout": 0.5, "fusion.heads": 4}
    assert len({json.dumps(record["settings"]) for record in records}) > 8
    assert any(record["value"] is None for record in records)
    again, _ = search(straight)
    assert again.done


def test_the_best_trial_gives_every_seed_its_settings(tmp_path):
    tuning, cell = search(tmp_path)
    assert tuning.next().config.seed == 5
    assert tuning.best() is None
    assert tuning.tuned(cell) == cell
    work(tuning)
    best = max((record for record in lines(tmp_path) if record["value"] is not None), key=lambda r: r["value"])
    tuned = tuning.tuned(cell)
    assert tuned.config.training.learning_rate == best["settings"]["training.learning_rate"] != 1e-3
    assert tuned.config.backbone.dropout == best["settings"]["backbone.dropout"] == 0.1
    assert tuned.config.seed == cell.seed
    assert (tuned.group, tuned.name) == (cell.group, cell.name)


def test_of_equal_trials_the_untuned_settings_win(tmp_path):
    tuning, cell = search(tmp_path)
    while not tuning.done:
        tuning.next()
        tuning.tell(0.1)
    assert tuning.best()["trial"] == 0
    assert tuning.tuned(cell).config == cell.config


def test_a_group_is_tuned_in_the_settings_that_it_has(tmp_path):
    tuning, _ = search(tmp_path, fusion="none")
    assert set(tuning.space) == {"training.learning_rate", "backbone.dropout"}
    assert tuning.trials == 12
    only = {"trials": 12, "space": {"fusion.heads": [1, 2]}}
    tuning, _ = search(tmp_path, StudyConfig.parse(small(tuning=only)), fusion="none")
    assert tuning.done


def test_untuned_settings_outside_the_space_are_tried_all_the_same(tmp_path):
    space = {"backbone.dropout": [0.1, 0.2], "training.learning_rate": {"low": 1e-2, "high": 1e-1}}
    tuning, _ = search(tmp_path, StudyConfig.parse(small(tuning={"trials": 3, "space": space})))
    while not tuning.done:
        tuning.next()
        tuning.tell(0.1)
    assert [record["settings"]["backbone.dropout"] in (0.1, 0.2) for record in lines(tmp_path)] == [False, True, True]


@pytest.mark.parametrize("change", [
    {"tuning__seed": 6}, {"settings__training__batch_size": 16}, {"tuning__space__backbone.dropout": [0.2, 0.4]},
])  # fmt: skip
def test_a_search_of_something_else_is_not_continued(tmp_path, change):
    work(search(tmp_path)[0], 4)
    values = small(tuning=STUDY.tuning.model_dump(by_alias=True))
    for key, new in change.items():
        *path, last = key.split("__")
        table = values
        for part in path:
            table = table[part]
        table[last] = new
    with pytest.raises(RunError, match=r"trial [0-9] belongs to other settings, data or versions"):
        search(tmp_path, StudyConfig.parse(values))


def test_a_damaged_record_is_said(tmp_path):
    tuning, _ = search(tmp_path)
    tuning.file.write_text('{"trial": 1}\n')
    with pytest.raises(RunError, match="damaged"):
        search(tmp_path)


def test_what_lies_there_of_another_trial_is_removed(tmp_path):
    tuning, _ = search(tmp_path)
    run = tuning.prepare(tuning.next())
    run.mkdir()
    (run / "checkpoint").mkdir()
    assert search(tmp_path)[0].prepare(tuning.next()) == run
    assert (run / "checkpoint").exists()
    other = search(tmp_path, StudyConfig.parse(small(tuning=STUDY.tuning.model_dump(by_alias=True), seeds=[1],
                                                     settings__training__batch_size=16)))[0]  # fmt: skip
    other.prepare(other.next())
    assert not run.exists()


def test_the_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"optuna is not installed.*mltfr\[study\]"):
        search(tmp_path)


def test_a_trial_never_scores_test(tmp_path, monkeypatch):
    parts = []

    def spy(original, scorer, split, part, *arguments, **more):
        parts.append(part)
        return original(scorer, split, part, *arguments, **more)

    for name in ("mltfr.pipeline.estimators", "mltfr.pipeline.report_metrics"):
        module = import_module(name)
        monkeypatch.setattr(module, "evaluate", partial(spy, module.evaluate))
    tuning, _ = search(tmp_path, fusion="none")
    run = tuning.prepare(tuning.next())
    train(run, tuning.next(), Event())
    assert parts == ["validation"] * 3  # two epochs, and the best one
    tuning.tell_result(run)
    (recorded,) = lines(tmp_path)
    assert 0 <= recorded["value"] <= 1
    assert recorded["epochs"] == 2


def test_whole_numbers_have_whole_ends():
    with pytest.raises(ValueError, match="whole ends"):
        TuningConfig(trials=2, space={"fusion.heads": {"low": 1.5, "high": 4, "int": True}})
