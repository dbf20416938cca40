from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mltfr.errors import ConfigError, DataError, FetchError
from mltfr.interactions import catalogue, load_interactions
from mltfr.interactions import data_sets as known
from mltfr.interactions.catalogue import get_data, get_names, notes
from mltfr.interactions.data_sets import DataSet, data_sets
from mltfr.names.texts import item_texts
from mltfr.study.config import DataConfig

LINES = "u1::i1::5::100\nu1::i2::3::200\nu2::i1::4::300\n"
SOURCE = {"url": "https://example.org/tiny.zip", "member": "t/log", "header": "user_id::item_id::rating::timestamp",
          "limit": 1}  # fmt: skip


def zipped(files: dict[str, str | bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


TINY = zipped({"t/log": LINES})


class Server:
    """What can be fetched, by address; and what was."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.calls: list[str] = []

    def download(self, url: str, path: Path, limit: int, progress: object) -> None:
        self.calls.append(url)
        if url not in self.files:
            raise FetchError(f"{url}: cannot be fetched (it is gone).")
        path.write_bytes(self.files[url])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path))
    monkeypatch.delenv("MLTFR_OFFLINE", raising=False)
    made = Server()
    monkeypatch.setattr(catalogue, "download_large", made.download)
    monkeypatch.setattr(catalogue, "download_wheel", lambda *_: pytest.fail("a wheel was fetched"))
    return made


@pytest.fixture
def tiny(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., DataSet]:
    """Make the data set `tiny` the one that is known."""

    def make(*sources: dict[str, object], **facts: object) -> DataSet:
        log = {"file": "log.dat", "sources": [SOURCE | source for source in sources or ({},)]}
        values = {"title": "Tiny", "page": "https://example.org", "licence": "free", "log": log} | facts
        entry = DataSet.parse(values)
        monkeypatch.setattr(known, "data_sets", lambda: {"tiny": entry})
        return entry

    server.files["https://example.org/tiny.zip"] = TINY
    make()
    return make


def folder() -> Path:
    return catalogue._folder("tiny")


def test_a_log_is_fetched_once_and_reads_as_it_is(server: Server, tiny: object, tmp_path: Path) -> None:
    path = get_data("tiny")
    assert path == tmp_path / "data" / "tiny" / "log.dat"
    assert path.read_text() == SOURCE["header"] + "\n" + LINES
    assert get_data("tiny") == path
    assert server.calls == ["https://example.org/tiny.zip"]
    assert sorted(each.name for each in path.parent.iterdir()) == ["log.dat", "stored.json"]
    log = load_interactions(path)
    assert log.frame["user_id"].to_list() == ["u1", "u1", "u2"]


def test_a_damaged_copy_is_fetched_again(server: Server, tiny: object) -> None:
    get_data("tiny").write_bytes(b"damaged")
    assert get_data("tiny").read_text().endswith(LINES)
    assert len(server.calls) == 2


def test_the_next_source_is_tried(server: Server, tiny: Callable[..., DataSet]) -> None:
    tiny({"url": "https://example.org/gone.zip"}, {})
    assert get_data("tiny").is_file()
    assert server.calls == ["https://example.org/gone.zip", "https://example.org/tiny.zip"]


def test_what_cannot_be_reached_says_where_to_put_it_and_is_taken_from_there(server: Server, tiny: object) -> None:
    server.files.clear()
    with pytest.raises(FetchError) as caught:
        get_data("tiny")
    assert str(caught.value) == (
        "'tiny' could not be fetched. https://example.org/tiny.zip: cannot be fetched (it is gone). By hand: get "
        f"tiny.zip from https://example.org/tiny.zip, put it into {folder()}, and run: mltfr data get tiny"
    )
    (folder() / "tiny.zip").write_bytes(TINY)
    assert get_data("tiny").read_text().endswith(LINES)
    assert len(server.calls) == 1
    assert (folder() / "tiny.zip").read_bytes() == TINY  # what somebody put there stays


def test_offline_the_same_is_said(server: Server, tiny: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTFR_OFFLINE", "1")
    with pytest.raises(FetchError, match=r"MLTFR_OFFLINE=1 forbids.*data get tiny\. By hand: get tiny\.zip from https://example\.org"):
        get_data("tiny")
    (folder() / "tiny.zip").write_bytes(TINY)
    assert get_data("tiny").is_file()
    assert server.calls == []
    monkeypatch.setenv("MLTFR_OFFLINE", "yes")
    (folder() / "log.dat").unlink()
    (folder() / "tiny.zip").unlink()
    with pytest.raises(ConfigError, match="MLTFR_OFFLINE is 'yes'"):
        get_data("tiny")


def test_what_has_a_form_to_fill_in_is_asked_for(server: Server, tiny: Callable[..., DataSet]) -> None:
    tiny({"url": None, "name": "form.zip"})
    with pytest.raises(FetchError, match=r"'tiny' could not be fetched\. By hand: get form\.zip from https://example"):
        get_data("tiny")
    assert server.calls == []


MD5, SHA256 = hashlib.md5(TINY).hexdigest(), hashlib.sha256(TINY).hexdigest()


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_an_archive_is_checked_before_it_is_opened(
    server: Server, tiny: Callable[..., DataSet], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    tiny({kind: {"md5": MD5, "sha256": SHA256}[kind]})
    assert get_data("tiny").is_file()
    (folder() / "log.dat").unlink()
    tiny({kind: "0" * 32})
    monkeypatch.setattr(catalogue, "write_table", pytest.fail)
    with pytest.raises(DataError, match=r"tiny\.zip: .* is \w+, expected 000.*not opened\. Nothing was kept"):
        get_data("tiny")
    assert not (folder() / "tiny.zip").exists()
    (folder() / "tiny.zip").write_bytes(TINY)
    with pytest.raises(DataError, match=r"could not be read.*expected 000.*Remove it, or get it again"):
        get_data("tiny")
    assert (folder() / "tiny.zip").exists()


def test_a_table_of_known_checksum_is_that_one(server: Server, tiny: Callable[..., DataSet]) -> None:
    entry = tiny()
    table = entry.log.model_copy(update={"sha256": "0" * 64})
    tiny(log=table.model_dump())
    with pytest.raises(DataError, match=r"SHA-256 of log\.dat is \w+, expected 0000"):
        get_data("tiny")
    assert list(folder().iterdir()) == []


DAMAGED = {
    "no zip": (b"no zip", "is damaged"),
    "no such member": (zipped({"other": "x"}), "has no file t/log"),
    "too large": (zipped({"t/log": "x" * 1_000_001}), r"has 1,000,001 bytes unpacked, more than the 1,000,000"),
    "no rows": (zipped({"t/log": ""}), "holds no rows"),
    "cut off": (TINY[: len(TINY) // 2], "is damaged"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_archive_leaves_nothing(server: Server, tiny: object, case: str) -> None:
    server.files["https://example.org/tiny.zip"], message = DAMAGED[case]
    with pytest.raises(DataError, match=message):
        get_data("tiny")
    assert list(folder().iterdir()) == []


def test_unknown_names_say_what_is_near() -> None:
    with pytest.raises(DataError, match=r"Unknown data set 'ml-100'. Did you mean 'ml-100k'\?"):
        get_data("ml-100")


def test_another_edition_is_told(server: Server, tiny: Callable[..., DataSet]) -> None:
    tiny(rows=3)
    get_data("tiny")
    assert notes("tiny") == []
    tiny(rows=1000)
    assert notes("tiny") == ["its log has 3 rows, where 1,000 were published: it is another edition."]


def test_one_archive_is_fetched_for_the_log_and_its_names(server: Server, tiny: Callable[..., DataSet]) -> None:
    latin = "i1::A\xe9\ni2::B\n".encode("latin-1")
    server.files["https://example.org/tiny.zip"] = zipped({"t/log": LINES, "t/names": latin})
    assert get_names("tiny") is None
    source = SOURCE | {"member": "t/names", "header": "item_id::title", "encoding": "latin-1"}
    tiny(names={"file": "names.dat", "sources": [source]})
    get_data("tiny")
    names = get_names("tiny")
    assert names is not None
    assert names.read_text("utf-8") == "item_id::title\ni1::Aé\ni2::B\n"
    assert len(server.calls) == 1


def test_every_entry_says_what_is_known_of_it() -> None:
    assert len(data_sets()) >= 12
    for name, entry in data_sets().items():
        for table in filter(None, (entry.log, entry.names)):
            for source in table.sources:
                assert (source.url or "https://").startswith("https://"), name
                assert len(source.md5 or "0" * 32) == 32, name
                assert len(source.sha256 or "0" * 64) == 64, name
                assert source.wheel is None or (table.sha256 and "--hash=sha256:" in source.wheel), name
                assert (source.records is None) == (not source.columns), name
                assert "title" in source.columns or table is entry.log or source.records is None, name
        assert entry.page.startswith("https://")
        assert entry.licence.endswith(".")
        assert DataConfig.parse({"name": name}).name == name  # studies know it


@pytest.mark.network
def test_ml_100k_comes_whole() -> None:
    log = load_interactions(get_data("ml-100k"))
    assert (len(log), log.frame["user_id"].n_unique(), log.frame["item_id"].n_unique()) == (100_000, 943, 1682)


@pytest.mark.network
def test_ml_100k_comes_with_its_titles() -> None:
    path = get_names("ml-100k")
    assert path is not None
    assert len(item_texts(path).table) == 1682

