from __future__ import annotations

import sys
import zipfile
from email.message import Message
from pathlib import Path
from threading import Event
from urllib.request import Request

import pytest

from mltfr.errors import ChecksumError, ConfigError, FetchError, MissingExtraError, MltfrError
from mltfr.interactions.catalogue import get_data
from mltfr.storage import download
from mltfr.storage.files import sha256
from mltfr.storage.progress import Progress
from mltfr.study.launch import launch
from mltfr.tokens import TokenStore
from mltfr.tokens.fetch import fetch_table
from mltfr.tokens.load import ensure_table
from mltfr.tokens.sources.hub import HubConfig, HubSource


def test_only_https_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="only https"):
        download.download_url("file:///etc/hostname", tmp_path / "x")


def fetch_from(what: str, folder: Path) -> None:
    """Fetch by each of the ways that there are."""
    if what == "address":
        download.download_url("https://nowhere.invalid/x", folder / "x")
    elif what == "wheel":
        download.download_wheel("thing==1.0" + HASH, folder)
    elif what == "table":
        fetch_table("smollm2-135m", TokenStore(folder))
    elif what == "table of a run":
        ensure_table("smollm2-135m", TokenStore(folder))
    elif what == "repository":
        with HubSource(HubConfig(repository="owner/model")).open():
            pass
    else:
        get_data("ml-100k")


WAYS = ("address", "wheel", "table", "table of a run", "repository", "data set")


@pytest.mark.parametrize("what", WAYS)
def test_nothing_is_fetched_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """The rule holds where something is fetched, whoever asks for it; a value that says neither is refused."""
    for name in ("download.urlopen", "download.subprocess.run"):
        monkeypatch.setattr(f"mltfr.storage.{name}", lambda *_args, **_options: pytest.fail("it was fetched"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path / "home"))
    allowed: dict[str, tuple[type[MltfrError], str]] = {
        "1": (FetchError, "MLTFR_OFFLINE=1 forbids fetching it"),
        "true": (ConfigError, "MLTFR_OFFLINE is 'true'; expected 1"),
        " 1": (ConfigError, "MLTFR_OFFLINE is ' 1'"),
    }
    for value, (error, message) in allowed.items():
        monkeypatch.setenv("MLTFR_OFFLINE", value)
        with pytest.raises(error, match=message):
            fetch_from(what, tmp_path)
    monkeypatch.setenv("MLTFR_OFFLINE", "0")
    with pytest.raises((pytest.fail.Exception, MissingExtraError)):
        fetch_from(what, tmp_path)


def test_a_damaged_table_is_not_called_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTFR_OFFLINE", "1")
    store = TokenStore(tmp_path)
    (tmp_path / "names").mkdir()
    (tmp_path / "names" / "minilm-l6.json").write_text('{"folder": "' + "0" * 64 + '"}')
    with pytest.raises(FetchError, match=r"'minilm-l6' \(missing or damaged in .*\): MLTFR_OFFLINE=1 forbids"):
        ensure_table("minilm-l6", store, verify=True)


HASH = " --hash=sha256:" + "0" * 64


def write_wheel(folder: Path, content: str = "content") -> str:
    """Write a wheel and return the requirement that pins it."""
    folder.mkdir(exist_ok=True)
    path = folder / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("thing/data.txt", content)
        wheel.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        wheel.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("thing-1.0.dist-info/RECORD", "")
    return f"thing==1.0 --hash=sha256:{sha256(path)}"


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let pip find wheels in one folder alone."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    return tmp_path / "links"


def test_a_missing_wheel_names_the_requirement_and_leaves_nothing(tmp_path: Path, links: Path) -> None:
    with pytest.raises(FetchError, match=r"no-such-wheel==1\.0: pip could not download it .*index settings"):
        download.download_wheel("no-such-wheel==1.0" + HASH, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_missing_pip_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(FetchError, match=r"pip is missing.*ensurepip"):
        download.download_wheel("anything==1" + HASH, tmp_path / "to")


def test_a_wheel_with_the_known_checksum_comes(tmp_path: Path, links: Path) -> None:
    wheel = download.download_wheel(write_wheel(links), tmp_path / "to")
    assert wheel.read_bytes() == (links / wheel.name).read_bytes()


def test_a_forged_wheel_is_refused_before_it_is_opened(tmp_path: Path, links: Path) -> None:
    requirement = write_wheel(links)
    (links / "thing-1.0-py3-none-any.whl").write_bytes(b"no archive at all")
    with pytest.raises(ChecksumError, match=r"^thing==1\.0: wrong checksum.*not opened"):
        download.download_wheel(requirement, tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []


@pytest.mark.parametrize(
    "requirement", ["thing==1.0", "thing", "thing>=1" + HASH, "--index-url=x" + HASH, "a\nb==1" + HASH]
)
def test_a_wheel_that_is_not_pinned_is_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, requirement: str
) -> None:
    monkeypatch.setattr(download.subprocess, "run", pytest.fail)
    with pytest.raises(FetchError, match="no pinned version and checksum"):
        download.download_wheel(requirement, tmp_path)


def test_a_wheel_without_end_is_given_up(tmp_path: Path, links: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requirement = write_wheel(links, "x" * 200_000)
    monkeypatch.setattr(download, "MAX_DOWNLOAD", 100_000)
    with pytest.raises(FetchError, match="File too large"):
        download.download_wheel(requirement, tmp_path / "to")


PLANTED = ("pip", "random", "json", "runpy", "resource", "contextlib", "subprocess", "mltfr", "numpy", "zipfile", "ssl")


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a current folder full of modules that leave a mark when they are run."""
    here, mark = tmp_path / "here", tmp_path / "mark"
    here.mkdir()
    for name in PLANTED:
        (here / f"{name}.py").write_text(f"open({str(mark)!r}, 'a').write({name!r})\n")
    monkeypatch.chdir(here)
    return mark


def test_fetching_runs_nothing_in_the_current_folder(tmp_path: Path, links: Path, planted: Path) -> None:
    download.download_wheel(write_wheel(links), tmp_path / "to")
    assert not planted.exists()


@pytest.mark.slow
def test_a_job_of_a_study_runs_nothing_in_the_current_folder(tmp_path: Path, planted: Path) -> None:
    ended = launch(tmp_path / "no run", 1, Event(), Event())
    assert ended.code != 0
    assert "no run" in ended.last_error  # it came as far as looking for its settings
    assert not planted.exists()


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


@pytest.mark.parametrize("length", [8, 0, 10**30])
def test_a_download_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    endless = Answer([b"x" * 1000] * 50, length)
    monkeypatch.setattr(download, "urlopen", lambda url, timeout: endless)
    with pytest.raises(FetchError, match=r"sends more than the 10,000 bytes"):
        download.download_url("https://example.org/x", tmp_path / "x", limit=10_000)
    assert len(endless.pieces) >= 39
    assert list(tmp_path.iterdir()) == []


def test_what_announces_too_much_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = Answer([b"x"], 10_001)
    monkeypatch.setattr(download, "urlopen", lambda url, timeout: large)
    with pytest.raises(FetchError, match=r"sends more than the 10,000 bytes"):
        download.download_url("https://example.org/x", tmp_path / "x", limit=10_000)
    assert large.pieces == [b"x"]


def test_another_checksum_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "urlopen", lambda url, timeout: Answer([b"forged"], 6))
    with pytest.raises(ChecksumError, match=r"https://example\.org/x: SHA-256 is .*, expected 0000"):
        download.download_url("https://example.org/x", tmp_path / "x", checksum="0" * 64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("location", ["http://example.org/y", "ftp://example.org/y", "HTTP://example.org/y"])
def test_redirects_lead_to_https_alone(location: str) -> None:
    handler, request = download.HttpsRedirects(), Request("https://example.org/x")
    with pytest.raises(FetchError, match=r"redirects to .*only https"):
        handler.redirect_request(request, None, 302, "Found", Message(), location)
    found = handler.redirect_request(request, None, 302, "Found", Message(), "https://example.org/z")
    assert found is not None
    assert found.full_url == "https://example.org/z"


def test_the_opener_checks_redirects(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    class Opener:
        def open(self, url: str, timeout: float) -> str:
            return url

    monkeypatch.setattr(download, "build_opener", lambda *handlers: made.extend(handlers) or Opener())
    assert download.urlopen("https://example.org/x", timeout=1) == "https://example.org/x"
    assert made == [download.HttpsRedirects]
