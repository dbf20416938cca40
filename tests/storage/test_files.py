from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path

import pytest

from mltfr.errors import OutputError, RunError
from mltfr.storage.files import (
    atomic_file,
    check_new,
    completed,
    home,
    partial_folder,
    partial_name,
    read_json,
    read_json_lines,
    remove_partial,
    write_json,
    write_json_lines,
)


def break_off(destination: Path, error: Exception) -> None:
    with atomic_file(destination) as temporary:
        temporary.write_text("half")
        raise error


def test_a_name_of_what_is_not_complete_is_told_from_others(tmp_path: Path) -> None:
    for path in (tmp_path / "lists.csv", tmp_path / ".hidden", Path("run")):
        assert completed(partial_name(path)) == str(path)
        assert completed(partial_name(path) / "weights") == str(path / "weights")
    for path in (tmp_path / "other.partial", tmp_path, Path("a"), 3):
        assert completed(path) == str(path)


def test_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path))
    assert home() == tmp_path
    monkeypatch.delenv("MLTFR_HOME")
    assert home() == Path.home() / ".cache" / "mltfr"


def test_atomic_file_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    destination = tmp_path / "new" / "file.txt"
    for text in ("first", "second"):
        with atomic_file(destination) as temporary:
            temporary.write_text(text)
        assert destination.read_text() == text
    assert list(destination.parent.iterdir()) == [destination]


def test_every_writer_leaves_a_file_with_the_usual_permissions(tmp_path: Path) -> None:
    def private(path: Path) -> None:
        path.touch(mode=0o600)  # as safetensors does

    before = os.umask(0o027)
    try:
        for name, write in (("a", Path.touch), ("b", private)):
            with atomic_file(tmp_path / name) as temporary:
                write(temporary)
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o640
    finally:
        os.umask(before)


def test_a_file_reaches_the_disk_before_its_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def rename(*paths: Path) -> None:
        done.append("rename")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    with atomic_file(tmp_path / "a") as temporary:
        temporary.write_text("content")
    assert done == ["file", "rename", "folder"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    destination = tmp_path / "file.txt"
    destination.write_text("old")
    with pytest.raises(ValueError, match="halfway"):
        break_off(destination, ValueError("halfway"))
    assert destination.read_text() == "old"
    assert list(tmp_path.iterdir()) == [destination]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    destination = tmp_path / "file.txt"
    with pytest.raises(OutputError, match=r"file\.txt: the disk is full"):
        break_off(destination, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert list(tmp_path.iterdir()) == []


def test_a_parent_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match="Choose a folder that you may write to"),
        atomic_file(tmp_path / "file" / "inner" / "x") as path,
    ):
        path.write_text("")


def test_a_disk_that_only_the_text_of_an_error_calls_full(tmp_path: Path) -> None:
    for error in (RuntimeError("No space left on device (os error 28)"), OSError("4096 requested and 0 written")):
        with pytest.raises(OutputError, match="the disk is full"):
            break_off(tmp_path / "file", error)


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    for name in (".a.txt.1-0123abcd.partial", ".hidden", "a.partial", ".film.mkv.partial"):
        (tmp_path / name).touch()
    (tmp_path / ".b.2-0123abcd.partial").mkdir()
    (tmp_path / ".b.2-0123abcd.partial" / "piece").touch()
    remove_partial(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".film.mkv.partial", ".hidden", "a.partial"]


def test_what_was_killed_while_others_may_write_the_same_file_goes_after_a_day(tmp_path: Path) -> None:
    partial = [f".{name}-0123abcd.partial" for name in ("a.csv.1", "a.csv.2", "b.csv.1")]
    old, new, other, mine = (tmp_path / name for name in (*partial, ".a.csv.bak"))
    for path in (old, new, other, mine):
        path.touch()
        if path != new:
            os.utime(path, (time.time() - 90_000,) * 2)
    with atomic_file(tmp_path / "a.csv") as path:
        path.touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([new.name, other.name, mine.name, "a.csv"])
    other.unlink()
    other.mkdir()
    os.utime(other, (time.time() - 90_000,) * 2)
    with partial_folder(tmp_path / "b.csv"):
        assert not other.exists()


def test_json_comes_back_and_must_be_an_object(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": [1]})
    assert read_json(tmp_path / "a.json") == {"a": [1]}
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(ValueError, match="no JSON object"):
        read_json(tmp_path / "a.json")


def test_lines_of_json_come_back(tmp_path: Path) -> None:
    write_json_lines(tmp_path / "log.jsonl", [{"a": 1}, {"a": None}])
    assert (tmp_path / "log.jsonl").read_text() == '{"a": 1}\n{"a": null}\n'
    assert read_json_lines(tmp_path / "log.jsonl") == [{"a": 1}, {"a": None}]


def test_a_new_folder_may_be_missing_empty_or_hold_hidden_and_ignored_files(tmp_path: Path) -> None:
    check_new(tmp_path / "missing", "a run")
    (tmp_path / ".hidden").touch()
    (tmp_path / "leftover").touch()
    check_new(tmp_path, "a run", ignored={"leftover"})
    with pytest.raises(RunError, match=r"is not empty and not a run\. Choose another --out\."):
        check_new(tmp_path, "a run", error=RunError)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        check_new(tmp_path / "file", "a run")


def test_what_a_folder_holds_decides(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").touch()
    check_new(tmp_path, "a run", known={"manifest.json": "holds a run.", "checkpoint": None})
    with pytest.raises(OutputError, match="holds an interrupted run"):
        check_new(tmp_path, "a run", known={"checkpoint": "holds an interrupted run."})
    (tmp_path / "manifest.json").touch()
    with pytest.raises(OutputError, match="holds a run"):
        check_new(tmp_path, "a run", known={"manifest.json": "holds a run.", "checkpoint": None})


def test_atomic_file_does_not_replace_unless_it_may(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"

    def write(path: Path, meanwhile: str) -> None:
        with atomic_file(path, overwrite=False) as temporary:
            temporary.write_text("late")
            path.write_text(meanwhile)

    for text in ("by somebody else", "not even begun"):
        with pytest.raises(OutputError, match=r"a\.txt: exists\."):
            write(path, text)
        assert path.read_text() == "by somebody else"
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]
