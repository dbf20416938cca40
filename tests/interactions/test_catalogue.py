from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from mltfr.errors import ChecksumError, DataError, FetchError
from mltfr.interactions import catalogue, load_interactions
from mltfr.interactions.catalogue import CATALOGUE, DataSet, Source, ZipMember, get_data, get_names
from mltfr.names.texts import item_texts

CONTENT = b"u a b\n"


class Fake(Source):
    def __init__(self, content: bytes | None) -> None:
        self.content = content
        self.calls = 0

    def fetch(self, folder: Path, progress: object) -> Path:
        self.calls += 1
        if self.content is None:
            raise FetchError("first address: cannot be reached.")
        (folder / "data").write_bytes(self.content)
        return folder / "data"


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DataSet:
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path))
    data = DataSet("log.txt", sha256(CONTENT).hexdigest(), "free", (Fake(None), Fake(CONTENT)))
    monkeypatch.setattr(catalogue, "CATALOGUE", {"tiny": data})
    return data


def test_the_next_source_is_tried_and_the_result_kept(entry: DataSet, tmp_path: Path) -> None:
    path = get_data("tiny")
    assert path == tmp_path / "data" / "tiny" / "log.txt"
    assert path.read_bytes() == CONTENT
    assert get_data("tiny") == path
    assert [source.calls for source in entry.sources if isinstance(source, Fake)] == [1, 1]
    assert list(path.parent.iterdir()) == [path]


def test_a_damaged_copy_is_fetched_again(entry: DataSet) -> None:
    get_data("tiny").write_bytes(b"damaged")
    assert get_data("tiny").read_bytes() == CONTENT


def test_a_wrong_checksum_is_not_kept(entry: DataSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(catalogue, "CATALOGUE", {"tiny": replace(entry, sources=(Fake(None), Fake(b"other")))})
    with pytest.raises(DataError, match=r"'tiny' could not be fetched. first address.*SHA-256 is .*, expected"):
        get_data("tiny")
    assert list((tmp_path / "data" / "tiny").iterdir()) == []


def test_what_cannot_be_reached_is_a_fetch_error(entry: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "CATALOGUE", {"tiny": replace(entry, sources=(Fake(None),))})
    with pytest.raises(FetchError, match=r"'tiny' could not be fetched. first address: cannot be reached"):
        get_data("tiny")


def test_an_archive_is_checked_before_it_is_opened(
    entry: DataSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def answer(url: str, path: Path, progress: object, limit: int, checksum: str) -> None:
        assert (limit, checksum) == (7, "0" * 64)
        raise ChecksumError("the archive is another one.")

    monkeypatch.setattr(catalogue, "download_url", answer)
    monkeypatch.setattr(catalogue, "copy_member", pytest.fail)
    archive = ZipMember("https://example.org/x.zip", 7, "0" * 64, "x")
    monkeypatch.setattr(catalogue, "CATALOGUE", {"tiny": replace(entry, sources=(archive,))})
    with pytest.raises(DataError, match=r"could not be fetched\. the archive is another one"):
        get_data("tiny")


def test_unknown_names_say_what_is_near() -> None:
    with pytest.raises(DataError, match=r"Unknown data set 'ml-100'. Did you mean 'ml-100k'\?"):
        get_data("ml-100")


def test_names_lie_beside_the_log(entry: DataSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert get_names("tiny") is None
    names = replace(entry, file="names.txt")
    monkeypatch.setattr(catalogue, "CATALOGUE", {"tiny": replace(entry, names=names)})
    assert get_names("tiny") == tmp_path / "data" / "tiny" / "names.txt"
    assert get_data("tiny").parent == (tmp_path / "data" / "tiny")


def test_every_entry_says_its_licence_and_checksum() -> None:
    names = [data.names for data in CATALOGUE.values() if data.names is not None]
    for data in (*CATALOGUE.values(), *names):
        assert data.licence
        assert len(data.sha256) == 64
        assert data.sources
        for source in data.sources:
            checksum = source.sha256 if isinstance(source, ZipMember) else source.requirement.split("sha256:")[1]
            assert len(checksum) == 64


@pytest.mark.network
def test_ml_100k_comes_whole() -> None:
    log = load_interactions(get_data("ml-100k"))
    assert (len(log), log.frame["user_id"].n_unique(), log.frame["item_id"].n_unique()) == (100_000, 943, 1682)


@pytest.mark.network
def test_ml_100k_comes_with_its_titles() -> None:
    path = get_names("ml-100k")
    assert path is not None
    assert len(item_texts(path).table) == 1682
