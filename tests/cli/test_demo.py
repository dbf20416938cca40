"""What the demo runs on, and which epoch it talks about; the fits themselves are those of `mltfr fit`."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltfr.cli import demo
from mltfr.errors import DataError, FetchError, MltfrError, TokenTableError
from mltfr.interactions import catalogue
from mltfr.tokens import TokenStore, load
from support.walks import as_log, rows, walks

OFFLINE = "Offline: this demo runs on a SYNTHETIC log"


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLTFR_OFFLINE", raising=False)


def failing_at(monkeypatch: pytest.MonkeyPatch, what: str, error: MltfrError) -> None:
    """Let the log, or the first real table, fail; without a failure the log is a small one."""
    (log := Path.cwd() / "log.csv").write_text("user_id,item_id\nu,a\nu,b\n")
    ensure = load.ensure_table

    def get_data(name: str, progress: object) -> Path:
        if what == "log":
            raise error
        return log

    def ensure_table(name: str, *more: object) -> None:
        if name != "synthetic":
            raise error
        ensure(name, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(catalogue, "get_data", get_data)
    monkeypatch.setattr(load, "ensure_table", ensure_table)


@pytest.mark.parametrize("what", ["log", "table"])
def test_what_cannot_be_reached_is_made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str) -> None:
    monkeypatch.chdir(tmp_path)
    failing_at(monkeypatch, what, FetchError("no network"))
    _, tables, line = demo._data()
    assert tables == ["synthetic"]
    assert line.startswith(OFFLINE)


def test_a_missing_table_is_made_up_where_fetching_is_forbidden(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLTFR_OFFLINE", "1")
    monkeypatch.setattr(catalogue, "get_data", lambda name, progress: log)
    (log := tmp_path / "log.csv").write_text("user_id,item_id\nu,a\nu,b\n")
    assert demo._data()[2].startswith(OFFLINE)


@pytest.mark.parametrize(
    ("what", "error"), [("log", DataError("SHA-256 is x, expected y")), ("table", TokenTableError("damaged"))]
)
def test_damage_remains_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str, error: MltfrError
) -> None:
    monkeypatch.chdir(tmp_path)
    failing_at(monkeypatch, what, error)
    with pytest.raises(type(error), match=str(error)):
        demo._data()


def test_a_demo_says_where_it_stands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load.ensure_table("synthetic", TokenStore())
    monkeypatch.setattr(demo, "_data", lambda: (as_log(rows(walks())), ["synthetic"], "made up"))
    small = ("training.epochs=1", "backbone.hidden=16", "training.advanced.fisher_examples=8")
    monkeypatch.setattr(demo, "SETTINGS", (*demo.SETTINGS, *small))
    demo.demo(tmp_path / "demo")
    said = capsys.readouterr().out
    for text in ("item-knn ", "mltfr, zero branch", "Fusion mltfr ", "Training was cut off after epoch 1", " mltfr "):
        assert text in said
    assert "better than" in said or "Undecided between" in said  # the two runs
    assert "Next, try" not in said  # its options are those of fit


def test_the_chosen_epoch_is_the_best_of_the_last_round() -> None:
    history = [
        {"round": 1, "epoch": 1, "best": True},
        {"round": 2, "epoch": 1, "best": True},
        {"round": 2, "epoch": 2, "best": True},
        {"round": 2, "epoch": 3},
    ]
    assert demo.chosen_epoch(history) is history[2]
    assert demo.chosen_epoch(history[:1]) is history[0]
    assert demo.chosen_epoch(history[3:]) is history[3]
