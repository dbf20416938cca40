"""A second writer of a folder of parts is told who is at work; nothing that is there is replaced unasked."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from mltfr.storage.lock import locked
from support.command_line import refused, run


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


def test_a_file_that_is_there_is_replaced_only_if_asked(tmp_path: Path, store: Path, finished: Path) -> None:
    (tmp_path / "thesis.csv").write_text("mine")
    (tmp_path / "link.csv").symlink_to(tmp_path / "nowhere.csv")
    for name in ("thesis.csv", "link.csv"):
        out = ("recommend", finished / "run", "--out", tmp_path / name)
        line = refused(tmp_path, store, *out)
        assert f"{name}: exists. Choose another --out, or give --overwrite to replace it." in line
    assert (tmp_path / "thesis.csv").read_text() == "mine"
    for name in ("thesis.csv", "link.csv"):
        run("recommend", finished / "run", "--out", tmp_path / name, "--overwrite", home=store)
        assert (tmp_path / name).read_text().startswith("user_id,rank,item_id,score\n")
    assert not (tmp_path / "link.csv").is_symlink()
    assert not (tmp_path / "nowhere.csv").exists()
    line = refused(tmp_path, store, "recommend", finished / "run", "--out", tmp_path / "parts", "--overwrite")
    assert "parts: is a folder of parts, which is continued (--resume); --overwrite is for one file" in line


def test_another_table_of_that_name_is_replaced_only_if_that_is_asked_for(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for number in (0, 1):
        np.save(tmp_path / f"{number}.npy", np.random.default_rng(number).random((40, 4), np.float32))
    command = ("tokens", "import", "mine")
    run(*command, tmp_path / "0.npy", home=home)
    run(*command, tmp_path / "0.npy", home=home)  # the same one
    line = refused(tmp_path, home, *command, tmp_path / "1.npy")
    assert "mine: is the name of another table. Choose another name, or give --overwrite to replace it." in line
    assert "from 0.npy" in run("tokens", "list", home=home).stdout
    run(*command, tmp_path / "1.npy", "--overwrite", home=home)
    assert "from 1.npy" in run("tokens", "list", home=home).stdout
    (home / "tokens/names/mine.json").write_text("damaged")
    run(*command, tmp_path / "1.npy", home=home)
