"""A large download that broke off goes on where it stopped, if the file is still the same."""

from __future__ import annotations

import io
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

import pytest

from mltfr.errors import FetchError
from mltfr.storage import resume
from mltfr.storage.progress import Progress
from mltfr.storage.resume import download_large

URL = "https://example.org/large.zip"
CONTENT = bytes(range(256)) * 40


class Server:
    """Sends a file, or the rest of it, and breaks off after some bytes where it is told to."""

    def __init__(self) -> None:
        self.content, self.tag, self.breaks_after = CONTENT, '"one"', 10**9
        self.ranges = True
        self.asked: list[dict[str, str]] = []

    def open(self, request: Request, timeout: float) -> Any:
        headers = {name.lower(): value for name, value in request.header_items()}
        self.asked.append(headers)
        begin = 0
        if self.ranges and "range" in headers and headers.get("if-range") == self.tag:
            begin = int(headers["range"].removeprefix("bytes=").removesuffix("-"))
            if begin >= len(self.content):
                raise HTTPError(URL, 416, "Range Not Satisfiable", Message(), None)
        return Answer(self.content[begin:], begin, self)


class Answer:
    def __init__(self, content: bytes, begin: int, server: Server) -> None:
        self.status = 206 if begin else 200
        self.headers = {"Content-Length": str(len(content)), "ETag": server.tag}
        if begin:
            self.headers["Content-Range"] = f"bytes {begin}-{len(server.content) - 1}/{len(server.content)}"
        self.file = io.BytesIO(content[: server.breaks_after])

    def read(self, size: int) -> bytes:
        return self.file.read(min(size, 1000))

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *error: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.delenv("MLTFR_OFFLINE", raising=False)
    made = Server()
    monkeypatch.setattr(resume, "urlopen", made.open)
    return made


def broken_off(server: Server, path: Path, after: int = 2500) -> None:
    server.breaks_after = after
    with pytest.raises(FetchError, match=f"broke off after {after:,} of 10,240 bytes"):
        download_large(URL, path, 20_000)
    server.breaks_after = 10**9
    assert not path.exists()


def test_a_whole_download_leaves_the_file_alone(server: Server, tmp_path: Path) -> None:
    download_large(URL, tmp_path / "x", 20_000)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert "range" not in server.asked[0]


def test_the_rest_is_asked_for(server: Server, tmp_path: Path) -> None:
    broken_off(server, tmp_path / "x")
    assert (tmp_path / "x.part").stat().st_size == 2500
    download_large(URL, tmp_path / "x", 20_000)
    assert server.asked[1]["range"] == "bytes=2500-"
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_another_file_is_fetched_from_its_start(server: Server, tmp_path: Path) -> None:
    broken_off(server, tmp_path / "x")
    server.content, server.tag = CONTENT[::-1], '"two"'
    download_large(URL, tmp_path / "x", 20_000)
    assert (tmp_path / "x").read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("why", ["no ranges", "weak tag", "other address", "no note", "damaged note"])
def test_what_cannot_be_gone_on_with_begins_anew(server: Server, tmp_path: Path, why: str) -> None:
    server.tag = 'W/"weak"' if why == "weak tag" else server.tag
    broken_off(server, tmp_path / "x")
    server.ranges = why != "no ranges"
    note = tmp_path / "x.part.json"
    if why == "other address":
        note.write_text(note.read_text().replace("large", "other"))
    elif why == "no note":
        note.unlink()
    elif why == "damaged note":
        note.write_text("[")
    download_large(URL, tmp_path / "x", 20_000)
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_download_that_ended_before_its_name_was_given(server: Server, tmp_path: Path) -> None:
    broken_off(server, tmp_path / "x")
    (tmp_path / "x.part").write_bytes(CONTENT)
    download_large(URL, tmp_path / "x", 20_000)
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_too_much_is_not_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="sends more than the 5,000 bytes"):
        download_large(URL, tmp_path / "x", 5000)
    assert list(tmp_path.iterdir()) == []
    broken_off(server, tmp_path / "x")
    with pytest.raises(FetchError, match="sends more than the 10,000 bytes"):
        download_large(URL, tmp_path / "x", 10_000)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_server_keeps_what_is_there(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_off(server, tmp_path / "x")

    def refuse(request: Request, timeout: float) -> Any:
        raise HTTPError(URL, 503, "Service Unavailable", Message(), None)

    monkeypatch.setattr(resume, "urlopen", refuse)
    with pytest.raises(FetchError, match="Service Unavailable"):
        download_large(URL, tmp_path / "x", 20_000)
    assert (tmp_path / "x.part").stat().st_size == 2500


def test_only_https_and_nothing_offline(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FetchError, match="only https"):
        download_large("http://example.org/x", tmp_path / "x", 10)
    monkeypatch.setenv("MLTFR_OFFLINE", "1")
    with pytest.raises(FetchError, match="MLTFR_OFFLINE=1 forbids"):
        download_large(URL, tmp_path / "x", 10)
    assert server.asked == []


class Recorder(Progress):
    def __init__(self) -> None:
        self.begun: list[tuple[int | None, int]] = []

    def start(self, task: str, total: int | None = None, done: int = 0) -> None:
        self.begun.append((total, done))


def test_progress_begins_where_the_download_does(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mltfr.storage.download.MEGABYTE", 1000)
    broken_off(server, tmp_path / "x")
    progress = Recorder()
    download_large(URL, tmp_path / "x", 20_000, progress)
    assert progress.begun == [(10, 2)]
