from __future__ import annotations

import errno
import os
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from mltfr import fetch
from mltfr.errors import FetchError, OutputError


def break_off(destination: Path, error: Exception) -> None:
    with fetch.atomic_path(destination) as temporary:
        temporary.write_text("half")
        raise error


def test_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path))
    assert fetch.home() == tmp_path
    monkeypatch.delenv("MLTFR_HOME")
    assert fetch.home() == Path.home() / ".cache" / "mltfr"


def test_atomic_path_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    destination = tmp_path / "new" / "file.txt"
    for text in ("first", "second"):
        with fetch.atomic_path(destination) as temporary:
            temporary.write_text(text)
        assert destination.read_text() == text
    assert list(destination.parent.iterdir()) == [destination]


def test_every_writer_leaves_a_file_with_the_usual_permissions(tmp_path: Path) -> None:
    def private(path: Path) -> None:
        path.touch(mode=0o600)  # as safetensors does

    before = os.umask(0o027)
    try:
        for name, write in (("a", Path.touch), ("b", private)):
            with fetch.atomic_path(tmp_path / name) as temporary:
                write(temporary)
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o640
    finally:
        os.umask(before)


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
        fetch.atomic_path(tmp_path / "file" / "inner" / "x") as path,
    ):
        path.write_text("")


def test_only_https_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="only https"):
        fetch.download_url("file:///etc/hostname", tmp_path / "x")


def test_a_missing_wheel_names_the_requirement_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(FetchError, match=r"no-such-wheel==1\.0: pip could not download it .*index settings"):
        fetch.download_wheel("no-such-wheel==1.0", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_missing_pip_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(FetchError, match=r"pip is missing.*ensurepip"):
        fetch.download_wheel("anything==1", tmp_path / "to")


def test_a_local_wheel_is_found_and_its_member_extracted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = tmp_path / "links"
    links.mkdir()
    info = "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n"
    with zipfile.ZipFile(links / "thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("thing/data.txt", "content")
        wheel.writestr("thing-1.0.dist-info/METADATA", info)
        wheel.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("thing-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    wheel_path = fetch.download_wheel("thing==1.0", tmp_path / "to")
    fetch.extract_member(wheel_path, "thing/data.txt", tmp_path / "data.txt")
    assert (tmp_path / "data.txt").read_text() == "content"
    assert fetch.sha256(tmp_path / "data.txt").startswith("ed7002b4")
    with pytest.raises(FetchError, match=r"has no file thing/other\.txt"):
        fetch.extract_member(wheel_path, "thing/other.txt", tmp_path / "other.txt")
    assert not (tmp_path / "other.txt").exists()


def test_a_damaged_archive_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.whl").write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(FetchError, match=r"x\.whl: is damaged"):
        fetch.extract_member(tmp_path / "x.whl", "a", tmp_path / "a")
