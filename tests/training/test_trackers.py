"""Experiment trackers: what is sent, to fakes of their packages here, and to the packages where they are installed."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from mltfr import Recommender
from mltfr.config import flatten
from mltfr.errors import ConfigError, MissingExtraError, MltfrWarning
from mltfr.interactions.synthetic import SyntheticConfig, synthetic
from mltfr.training import TRACKERS, Callback, Callbacks, Interrupted, MLflowTracker
from mltfr.training.callbacks import flatten as numbers_of
from mltfr.training.trackers.tracker import TrackerError
from support.command_line import run

LOG = synthetic(SyntheticConfig(users=40, items=24, topics=2, mean_length=6), seed=0).log
SETTINGS = {
    "backbone": {"name": "sasrec", "hidden": 8, "max_length": 6}, "fusion": {"name": "none"},
    "training": {"epochs": 2, "batch_size": 32},
}  # fmt: skip
NAMES = sorted(TRACKERS)


class Sent:
    """What a fake tracker was sent."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.broken = ""

    def begin(self, project: str, name: str) -> dict[str, Any]:
        if self.broken == "open":
            raise ConnectionError("no such server\nand more")
        self.runs.append({"project": project, "name": name, "settings": {}, "log": [], "end": None})
        return self.runs[-1]

    def log(self, run: dict[str, Any], numbers: dict[str, float], step: int) -> None:
        if self.broken == "log":
            raise ConnectionError("the server is gone")
        run["log"].append((step, numbers))


def fake_mlflow(sent: Sent) -> ModuleType:
    """The part of MLflow's client that is used, with its refusals."""

    experiments: dict[str, str] = {}

    class Client:
        def get_experiment_by_name(self, name: str) -> Any:
            known = experiments.get(name)
            return known and SimpleNamespace(experiment_id=known)

        def create_experiment(self, name: str) -> str:
            return experiments.setdefault(name, name)

        def create_run(self, experiment_id: str, run_name: str | None = None) -> Any:
            made = sent.begin(experiment_id, str(run_name))
            return SimpleNamespace(info=SimpleNamespace(run_id=sent.runs.index(made)))

        def log_batch(self, run_id: int, metrics: Any = (), params: Any = ()) -> None:
            assert len(params) <= 100
            run = sent.runs[run_id]
            for param in params:
                assert param.key not in run["settings"]
                assert isinstance(param.value, str)
                assert len(param.value) <= 500
                run["settings"][param.key] = param.value
            if metrics:
                assert not any("@" in metric.key for metric in metrics)  # MLflow refuses it
                assert len({metric.step for metric in metrics}) == 1
                sent.log(run, {one.key.replace("_at_", "@"): one.value for one in metrics}, metrics[0].step)

        def set_terminated(self, run_id: int, status: str) -> None:
            sent.runs[run_id]["end"] = {"FINISHED": True, "FAILED": False}[status]

    module = ModuleType("mlflow")
    metric = lambda key, value, timestamp, step: SimpleNamespace(key=key, value=value, step=step)  # noqa: E731
    param = lambda key, value: SimpleNamespace(key=key, value=value)  # noqa: E731
    module.MlflowClient, module.entities = Client, SimpleNamespace(Metric=metric, Param=param)  # type: ignore[attr-defined]
    return module


def fake_runs(sent: Sent, name: str) -> ModuleType:
    """The part of wandb or trackio that is used: `init`, and a run with `log` and `finish`."""

    class Run:
        def __init__(self, run: dict[str, Any]) -> None:
            self.run = run

        def log(self, numbers: dict[str, float], step: int) -> None:
            print("chatter")
            sent.log(self.run, numbers, step)

        def finish(self, exit_code: int | None = None) -> None:
            self.run["end"] = True if exit_code is None else exit_code == 0

    def init(project: str, name: str, config: dict[str, Any], settings: Any = None, embed: bool = True) -> Run:
        print("chatter")  # and this is what an old trackio takes
        run = sent.begin(project, name)
        run["settings"] = config
        return Run(run)

    class Settings:
        model_fields = ("console", "disable_git", "x_disable_meta")

        def __init__(self, console: str, disable_git: bool, x_disable_meta: bool) -> None:
            assert (console, disable_git, x_disable_meta) == ("off", True, True)

    module = ModuleType(name)
    module.init, module.Settings = init, Settings  # type: ignore[attr-defined]
    return module


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    """Put fakes in the place of all trackers."""
    sent = Sent()
    monkeypatch.setitem(sys.modules, "mlflow", fake_mlflow(sent))
    for name in ("wandb", "trackio"):
        monkeypatch.setitem(sys.modules, name, fake_runs(sent, name))
    for name in ("MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    return sent


@pytest.mark.parametrize("name", NAMES)
def test_settings_epochs_and_scores_are_sent_in_the_words_of_mltfr(name: str, sent: Sent, tmp_path: Path) -> None:
    recommender = Recommender(config=SETTINGS, settings={"trackers": [name]}).fit(LOG, tmp_path / "mine")
    (run,), fitted = sent.runs, recommender.fitted
    assert (run["project"], run["name"], run["end"]) == ("mltfr", "mine", True)
    settings = flatten(fitted.config.model_dump(mode="json")) | {"trackers": []}  # as they are resolved: samples, too
    assert {key: str(value) for key, value in run["settings"].items()} == {k: str(v) for k, v in settings.items()}
    assert settings["training.samples"] != "auto"
    *epochs, (last, scores) = run["log"]
    assert epochs == [(record["step"], _without_step(record)) for record in fitted.history]
    assert "validation/ndcg@10" in epochs[0][1]
    document = json.loads((tmp_path / "mine" / "metrics.json").read_text())
    assert last == fitted.history[-1]["step"]
    assert scores["scores/test/ndcg@10"] == document["metrics"]["ndcg@10"]
    assert scores["scores/validation/ndcg@10"] == document["validation"]["metrics"]["ndcg@10"]
    assert scores["scores/zero_branch/hr@10"] == document["zero_branch"]["hr@10"]
    assert scores["scores/popularity/mrr@5"] == document["popularity"]["mrr@5"]
    assert scores["scores/baselines/markov/test/hr@5"] == document["baselines"]["markov"]["test"]["hr@5"]
    assert not set(fitted.split.user_ids) & set(json.dumps(run, default=str).split('"'))


@pytest.mark.filterwarnings("ignore:.*rows meet the condition")
@pytest.mark.parametrize("name", [*NAMES, "callback"])
def test_neither_paths_nor_conditions_on_rows_are_sent(name: str, sent: Sent, tmp_path: Path) -> None:
    _write(log := tmp_path / "log.csv")
    names = tmp_path / "names.csv"
    names.write_text("item_id,title\n" + "".join(f"i{n},word{n}\n" for n in range(11)))
    settings = {"filters.where": "user_id != u5", "names.file": str(names)}
    settings["trackers"] = [] if name == "callback" else [name]  # type: ignore[assignment]
    callback = Callbacks([MLflowTracker()]) if name == "callback" else Callback()
    Recommender(config=SETTINGS, settings=settings).fit(log, tmp_path / "mine", callback=callback)
    told = sent.runs[0]["settings"]
    assert (told["names.file"], str(told["filters.where"])) == ("names.csv", "None")
    assert not [text for text in (str(tmp_path), "u5") if text in str(sent.runs)]


def test_nothing_is_sent_unless_a_tracker_is_named(sent: Sent) -> None:
    Recommender(config=SETTINGS).fit(LOG)
    assert sent.runs == []


def test_a_callback_is_a_tracker_too_and_the_project_is_the_users(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "shop")
    Recommender(config=SETTINGS).fit(LOG, callback=Callbacks([MLflowTracker()]))
    assert [(run["project"], run["name"], run["end"]) for run in sent.runs] == [("shop", "sasrec", True)]


def test_a_baseline_is_tracked(sent: Sent) -> None:
    Recommender("popularity", settings={"trackers": ["trackio"]}).fit(LOG, callback=Callback())
    ((_, scores),) = sent.runs[0]["log"]
    assert "scores/test/ndcg@10" in scores


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_fit_that_goes_on_is_a_new_run_with_all_epochs(name: str, sent: Sent, tmp_path: Path) -> None:
    class StopAfterOne(Callback):
        def on_epoch_end(self, record: dict[str, Any]) -> None:
            stop.set()

    stop = Event()
    recommender = Recommender(config=SETTINGS, settings={"trackers": [name]})
    with pytest.raises(Interrupted):
        recommender.fit(LOG, tmp_path / "mine", callback=StopAfterOne(), stop=stop)
    recommender.fit(LOG, tmp_path / "mine", resume=True)
    stopped, finished = sent.runs
    assert (stopped["end"], finished["end"]) == (False, True)
    assert [step for step, _ in finished["log"][:-1]] == [record["step"] for record in recommender.fitted.history]
    assert finished["log"][0] == stopped["log"][0]


@pytest.mark.parametrize("name", NAMES)
def test_a_tracker_that_cannot_be_started_stops_the_fit(name: str, sent: Sent, tmp_path: Path) -> None:
    sent.broken = "open"
    with pytest.raises(TrackerError, match=rf"^{name}: could not be started \(no such server\)\. .*leave the tracker"):
        Recommender(config=SETTINGS, settings={"trackers": [name]}).fit(LOG, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_tracker_that_fails_later_is_left_alone(name: str, sent: Sent, tmp_path: Path) -> None:
    sent.broken = "log"
    with pytest.warns(MltfrWarning, match=rf"^{name}: failed, .* goes on \(the server is gone\)") as warned:
        Recommender(config=SETTINGS, settings={"trackers": [name]}).fit(LOG, tmp_path / "mine")
    assert len([one for one in warned if "is told no more" in str(one.message)]) == 1
    assert (tmp_path / "mine" / "manifest.json").is_file()


def test_what_is_missing_or_unknown_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r"mlflow-skinny is not installed\. .*'mltfr\[mlflow\]'"):
        Recommender(config=SETTINGS, settings={"trackers": ["mlflow"]}).fit(LOG)
    with pytest.raises(MissingExtraError):  # it is told before the log is read
        Recommender(config=SETTINGS, settings={"trackers": ["mlflow"]}).fit(tmp_path / "none.csv")
    done = run(*_fit(tmp_path), "--track", "mlflow", check=False)  # of a log that is not there
    assert (done.returncode, done.stdout) == (2, "")
    assert "mltfr: mlflow-skinny is not installed" in done.stderr
    done = run(*_fit(tmp_path), "--track", "wandb,mlfow", check=False)
    told = "mltfr: --track: unknown tracker 'mlfow'. Did you mean 'mlflow'? Known: mlflow, trackio, wandb.\n"
    assert (done.returncode, done.stderr) == (2, told)
    with pytest.raises(ConfigError, match=r"trackers.*neptune"):
        Recommender(settings={"trackers": ["neptune"]})


def test_trackers_decide_nothing(sent: Sent, tmp_path: Path) -> None:
    Recommender(config=SETTINGS).fit(LOG, tmp_path / "mine")
    again = Recommender(config=SETTINGS, settings={"trackers": ["wandb"]}).fit(LOG, tmp_path / "mine", resume=True)
    assert again.fitted.config.trackers == ()  # the finished run is shown
    assert sent.runs == []


def test_the_command_line_keeps_stdout_its_own(sent: Sent, tmp_path: Path) -> None:
    _write(tmp_path / "log.csv")
    done = run(*_fit(tmp_path), "--track", "wandb, trackio")
    assert "chatter" not in done.stdout
    assert [run["end"] for run in sent.runs] == [True, True]


def _without_step(record: dict[str, Any]) -> dict[str, float]:
    numbers = numbers_of(record)
    del numbers["step"]
    return numbers


def _fit(folder: Path) -> list[str | Path]:
    small = ("--fusion", "none", "--epochs", "1", "--set", "backbone.hidden=8")
    return ["fit", folder / "log.csv", "--out", folder / "mine", *small]


def _write(path: Path) -> None:
    rows = [f"u{n % 20},i{(n * 7) % 11},{n}" for n in range(200)]
    path.write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")


def test_mlflow_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="pip install 'mltfr[mlflow]' is missing")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    fitted = Recommender(config=SETTINGS, settings={"trackers": ["mlflow"]}).fit(LOG, tmp_path / "mine").fitted
    client = mlflow.MlflowClient()
    (found,) = client.search_runs([client.get_experiment_by_name("mltfr").experiment_id])
    assert (found.info.run_name, found.info.status) == ("mine", "FINISHED")
    assert found.data.params["training.batch_size"] == "32"
    assert found.data.metrics["scores/test/ndcg_at_10"] == fitted.metrics["metrics"]["ndcg@10"]


def test_wandb_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="pip install 'mltfr[wandb]' is missing")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    Recommender(config=SETTINGS, settings={"trackers": ["wandb"]}).fit(LOG, tmp_path / "mine")
    (written,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    content = written.read_bytes()
    assert b"scores/test/ndcg@10" in content
    assert b"training.batch_size" in content


def test_trackio_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trackio", reason="pip install 'mltfr[trackio]' is missing")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # it is read where trackio is imported
    _write(tmp_path / "log.csv")
    run(*_fit(tmp_path), "--track", "trackio", process=True)
    (database,) = (tmp_path / "trackio").rglob("mltfr.db")
    rows = sqlite3.connect(database).execute("select metrics from metrics order by step").fetchall()
    scores = json.loads((tmp_path / "mine" / "metrics.json").read_text())["metrics"]
    assert any(json.loads(row).get("scores/test/ndcg@10") == scores["ndcg@10"] for (row,) in rows)
