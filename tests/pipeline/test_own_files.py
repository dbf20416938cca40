"""Nothing is deleted that mltfr did not write, and a finished run survives whatever lies in its folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mltfr.cli import demo
from mltfr.errors import OutputError, RunError
from mltfr.pipeline import artifact, fit, load_artifact, open_run, resolve
from mltfr.pipeline.artifact import FILES, remove_run
from mltfr.storage.files import read_json
from mltfr.storage.folder import FolderFormat
from mltfr.storage.lock import LOCK, locked
from mltfr.training import Callback, Checkpoints, Interrupted
from support.command_line import files_of
from support.walks import as_log, rows, walks

SETTINGS = ["backbone.hidden=8", "backbone.max_length=8", "training.batch_size=32"]
STRAY = {"notes.txt": b"mine", "resume.log": b"", ".DS_Store": b"x", "sub/data.csv": b"1", "checkpoint/mine.txt": b"2"}


@pytest.fixture(scope="module")
def config():
    return resolve(fusion="none", epochs=1, overrides=SETTINGS)


@pytest.fixture(scope="module")
def log():
    return as_log(rows(walks()))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, config, log) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    fit(config, log, folder)
    return folder


def scatter(folder: Path) -> None:
    for name, content in STRAY.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def assert_strays(folder: Path) -> None:
    assert {name: (folder / name).read_bytes() for name in STRAY} == STRAY


class Scatter(Callback):
    """Scatters files over a run folder while it is made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_epoch_end(self, record: dict) -> None:
        scatter(self.folder)


def test_a_run_consists_of_its_own_files(finished: Path) -> None:
    assert sorted(path.name for path in finished.iterdir()) == sorted([*FILES, "manifest.json"])
    assert list(read_json(finished / "manifest.json")["files"]) == list(FILES)


def test_stray_files_survive_and_the_run_opens(tmp_path: Path, config, log) -> None:
    fit(config, log, tmp_path / "run", callback=Scatter(tmp_path / "run"))
    assert_strays(tmp_path / "run")
    assert not list((tmp_path / "run" / "checkpoint").glob("tensors-*"))
    before = load_artifact(tmp_path / "run").metrics
    (tmp_path / "run" / "notes.txt").write_text("changed")
    (tmp_path / "run" / "resume.log").unlink()
    assert load_artifact(tmp_path / "run").metrics == before


def test_a_failed_fit_removes_its_own_files_alone(tmp_path: Path, config, log, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OutputError("full")

    monkeypatch.setattr(Checkpoints, "save", lambda *_: None)
    monkeypatch.setattr(FolderFormat, "write_manifest", full)
    with pytest.raises(OutputError, match="full"):
        fit(config, log, tmp_path / "run", callback=Scatter(tmp_path / "run"))
    assert_strays(tmp_path / "run")
    assert sorted(files_of(tmp_path / "run")) == sorted(STRAY)
    with pytest.raises(OutputError, match="full"):
        fit(config, log, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_linked_checkpoint_is_not_followed(tmp_path: Path, config, log) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "run").mkdir()
    for name in ("precious.txt", "tensors-1-2-3.safetensors"):
        (tmp_path / "scratch" / name).write_text("mine")
    (tmp_path / "run" / "checkpoint").symlink_to(tmp_path / "scratch")
    before = files_of(tmp_path / "scratch")
    Checkpoints(tmp_path / "run" / "checkpoint").clear()
    remove_run(tmp_path / "run")
    with pytest.raises(RunError, match="is not empty and not a run"):
        fit(config, log, tmp_path / "run", resume=True)
    assert files_of(tmp_path / "scratch") == before


def test_a_checkpoint_that_cannot_be_removed_leaves_the_run_finished(tmp_path: Path, config, log, monkeypatch) -> None:
    unlink = Path.unlink

    def busy(path: Path, missing_ok: bool = False) -> None:
        if path.parent.name == "checkpoint" and not path.name.startswith("."):
            raise OSError(16, "Device or resource busy")
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", busy)
        fit(config, log, tmp_path / "run")
    assert load_artifact(tmp_path / "run").metrics


def test_an_interruption_after_the_manifest_leaves_the_run_finished(tmp_path: Path, finished: Path) -> None:
    fitted = load_artifact(finished)

    def save_and_stop() -> None:
        with open_run(tmp_path / "run", resume=False):
            artifact.save_artifact(fitted, tmp_path / "run")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_and_stop()
    assert load_artifact(tmp_path / "run").metrics == fitted.metrics
    assert not (tmp_path / "run" / "checkpoint").exists()


def test_a_finished_run_that_is_resumed_is_returned_as_it_is(tmp_path: Path, config, log, finished: Path) -> None:
    class Told(Callback):
        def message(self, text: str) -> None:
            told.append(text)

    told: list[str] = []
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    before = files_of(run)
    (run / "checkpoint").mkdir()  # killed right after the manifest
    (run / "checkpoint" / "state.json").touch()
    (run / LOCK).touch()
    fitted = fit(config, log, run, resume=True, callback=Told())
    assert told == [f"{run}: this run is finished; nothing was left to do."]
    assert fitted.metrics == load_artifact(finished).metrics
    assert files_of(run) == before
    assert not (run / "checkpoint").exists()
    with pytest.raises(RunError, match=r"else \(seed was .*; training\.epochs was .*\)\. Look at it: mltfr"):
        fit(resolve(fusion="none", epochs=2, seed=1, overrides=SETTINGS), log, run, resume=True)
    with pytest.raises(RunError, match=r"something else \(the log is another one\)"):
        fit(config, as_log(rows(walks(seed=1))), run, resume=True)
    with pytest.raises(RunError, match=r"holds a finished run\. Look at it"):
        fit(config, log, run)
    assert files_of(run) == before


def test_a_damaged_run_keeps_its_checkpoint(tmp_path: Path, config, log, finished: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "checkpoint").mkdir()
    (run / "checkpoint" / "state.json").touch()
    (run / "manifest.json").write_text("")
    before = files_of(run)
    with pytest.raises(RunError, match=r"manifest\.json: damaged"):
        fit(config, log, run, resume=True)
    assert files_of(run) == before


def test_of_several_processes_none_waits_for_a_finished_run(tmp_path: Path, config, log, finished, monkeypatch) -> None:
    shutil.copytree(finished, tmp_path / "run")
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "2" if name == "WORLD_SIZE" else "0")
    with pytest.raises(RunError, match=r"holds a finished run\. Look at it"):
        fit(config, log, tmp_path / "run", resume=True)


@pytest.mark.parametrize("files", [
    {"checkpoint/model.ckpt": "theirs"},
    {"checkpoint/model.ckpt": "theirs", "config.toml": "a = 1"},
    {"config.toml": "a = 1", "checkpoint/.keep": ""},
    {"log.jsonl": "{}", "checkpoint/.keep": ""},
])  # fmt: skip
def test_resume_does_not_write_over_somebody_elses_folder(tmp_path: Path, config, log, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(RunError, match="is not empty and not a run"):
        fit(config, log, tmp_path, resume=True)
    assert files_of(tmp_path) == {name: text.encode() for name, text in files.items()}


def test_two_writers_of_one_run(tmp_path: Path, config, log) -> None:
    class Second(Callback):
        def on_epoch_end(self, record: dict) -> None:
            import threading

            def attempt() -> None:
                try:
                    fit(config, log, tmp_path / "run", resume=True)
                except RunError as error:
                    told.append(str(error))

            thread = threading.Thread(target=attempt)
            thread.start()
            thread.join()

    told: list[str] = []
    fit(config, log, tmp_path / "run", callback=Second())
    assert len(told) == 1
    assert "run: this process (`" in told[0]
    assert load_artifact(tmp_path / "run").metrics
    with locked(tmp_path / "run"):  # reading takes no lock
        load_artifact(tmp_path / "run")


def test_a_changed_state_is_damage(tmp_path: Path, config, log) -> None:
    from threading import Event

    stop = Event()
    stop.set()
    with pytest.raises(Interrupted):
        fit(config, log, tmp_path / "run", stop=stop)
    state = tmp_path / "run" / "checkpoint" / "state.json"
    content = state.read_text()
    for key, value in json.loads(content).items():
        changed = {**json.loads(content), key: "../x" if isinstance(value, str) else 7}
        state.write_text(json.dumps(changed))
        with pytest.raises(RunError, match=r"state\.json: damaged.*checksum differs.*without --resume"):
            fit(config, log, tmp_path / "run", resume=True)
    state.write_text(content)
    fit(config, log, tmp_path / "run", resume=True)


def test_a_demo_removes_a_demos_files_alone(tmp_path: Path, finished: Path) -> None:
    (tmp_path / "demo.txt").write_text("My demo of last week.")
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match="holds files that are not a demo's"):
        demo._clear(tmp_path)
    (tmp_path / "demo.txt").unlink()
    with pytest.raises(RunError, match="holds files that are not a demo's"):
        demo._clear(tmp_path)
    (tmp_path / "thesis.tex").unlink()
    demo._clear(tmp_path)
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "recommendations.csv").touch()
    shutil.copytree(finished, tmp_path / "bare")
    (tmp_path / "bare" / "notes.txt").touch()
    with pytest.raises(RunError, match=r"bare/notes\.txt: is not a demo's"):
        demo._clear(tmp_path)
    assert load_artifact(tmp_path / "bare")
    (tmp_path / "bare" / "notes.txt").unlink()
    demo._clear(tmp_path)
    assert sorted(files_of(tmp_path)) == ["demo.txt", "thesis.tex"]
