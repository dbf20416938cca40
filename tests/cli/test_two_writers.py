"""A second writer of a folder of parts is told who is at work; stdout is no place for recommendations."""

from __future__ import annotations

import threading
from pathlib import Path

from mltfr.storage.lock import locked
from support.command_line import refused


def test_a_folder_of_parts_and_a_prepared_set_have_one_writer(tmp_path: Path, store: Path, finished: Path) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(tmp_path):
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    try:
        for command in (("recommend", finished / "run"), ("data", "prepare", finished / "log.csv")):
            assert "is at work in it. Wait for its end" in refused(tmp_path, store, *command, "--out", tmp_path)
    finally:
        done.set()
        thread.join()


def test_recommendations_do_not_go_to_stdout(tmp_path: Path, store: Path, finished: Path) -> None:
    assert "not to stdout. Give --out best.csv" in refused(tmp_path, store, "recommend", finished / "run", "--out", "-")
