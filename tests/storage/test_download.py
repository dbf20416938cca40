from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from mltfr.errors import FetchError
from mltfr.storage import download
from mltfr.storage.files import sha256
from mltfr.storage.progress import Progress


def test_only_https_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="only https"):
        download.download_url("file:///etc/hostname", tmp_path / "x")


def test_a_missing_wheel_names_the_requirement_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(FetchError, match=r"no-such-wheel==1\.0: pip could not download it .*index settings"):
        download.download_wheel("no-such-wheel==1.0", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_missing_pip_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(FetchError, match=r"pip is missing.*ensurepip"):
        download.download_wheel("anything==1", tmp_path / "to")


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
    wheel_path = download.download_wheel("thing==1.0", tmp_path / "to")
    download.extract_member(wheel_path, "thing/data.txt", tmp_path / "data.txt")
    assert (tmp_path / "data.txt").read_text() == "content"
    assert sha256(tmp_path / "data.txt").startswith("ed7002b4")
    with pytest.raises(FetchError, match=r"has no file thing/other\.txt"):
        download.extract_member(wheel_path, "thing/other.txt", tmp_path / "other.txt")
    assert not (tmp_path / "other.txt").exists()


def test_a_damaged_archive_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.whl").write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(FetchError, match=r"x\.whl: is damaged"):
        download.extract_member(tmp_path / "x.whl", "a", tmp_path / "a")


class Recorder(Progress):
    def __init__(self) -> None:
        self.calls: list[object] = []

    def start(self, task: str, total: int | None = None, done: int = 0) -> None:
        self.calls.append((task, total))

    def advance(self, steps: int = 1) -> None:
        self.calls.append(steps)


class Answer:
    def __init__(self, pieces: list[bytes], length: int) -> None:
        self.pieces, self.headers = pieces, {"Content-Length": str(length)}

    def read(self, size: int) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def test_megabytes_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piece = b"x" * 1_500_000
    monkeypatch.setattr(download, "urlopen", lambda url, timeout: Answer([piece, piece], 3_000_000))
    progress = Recorder()
    download.download_url("https://example.org/x", tmp_path / "x", progress)
    assert progress.calls == [("downloading https://example.org/x (MB)", 3), 1, 2]
    assert (tmp_path / "x").stat().st_size == 3_000_000


def test_a_download_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "urlopen", lambda url, timeout: Answer([b"half"], 8))
    with pytest.raises(FetchError, match="broke off after 4 of 8 bytes"):
        download.download_url("https://example.org/x", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
