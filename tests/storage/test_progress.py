from __future__ import annotations

import pytest

from mltfr.storage.progress import SILENT, ConsoleProgress, Progress, show_progress


def job(progress: Progress) -> None:
    with progress:
        progress.start("reading", total=3, done=1)
        progress.advance(2)
        progress.message("[half] done")
        progress.start("writing")
        progress.advance()


def test_elsewhere_than_on_a_terminal_only_messages_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    job(ConsoleProgress())
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "[half] done\n")


def test_a_label_stands_before_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    job(show_progress(label="cell 3:"))
    assert capsys.readouterr().err == "cell 3: [half] done\n"


def test_quiet_progress_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_progress(quiet=True) is SILENT
    job(SILENT)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_short_tasks_one_after_another_are_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    progress = ConsoleProgress()
    progress.console.get_time = lambda: now
    for task in ("one", "two", "three", "four"):
        progress.start(task, 2)
        for _ in range(2):
            now += 6.0
            progress.advance()
    assert capsys.readouterr().err.splitlines() == ["three: 1 of 2"]


def test_a_terminal_shows_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    job(ConsoleProgress("demo"))
    shown = capsys.readouterr()
    assert shown.out == ""
    for text in ("demo reading", "3/3", "done", "demo writing"):
        assert text in shown.err


@pytest.mark.parametrize(
    ("total", "told"),
    [
        (4, ["work: 2 of 4", "a message", "work: 4 of 4, about 0 s left"]),
        (None, ["work: 2 so far", "a message", "work: 4 so far"]),
    ],
)
def test_elsewhere_a_long_task_is_told(
    capsys: pytest.CaptureFixture[str], total: int | None, told: list[str]
) -> None:
    now = 0.0
    progress = ConsoleProgress()
    progress.console.get_time = lambda: now
    progress.start("work", total, done=1)
    now = 31.0
    progress.advance()  # no pace is known yet
    now = 50.0
    progress.message("a message")
    now = 70.0
    progress.advance()  # a line stood there 20 seconds ago
    now = 81.0
    progress.advance()
    progress.close()
    progress.advance()
    assert capsys.readouterr().err.splitlines() == told
