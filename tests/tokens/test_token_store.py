"""The store: whole or not at all, described, checked, safe for two processes at once."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mltfr.errors import OutputError, TokenTableError
from mltfr.storage import files as files_module
from mltfr.storage.lock import locked
from mltfr.storage.progress import Progress
from mltfr.tokens import TokensConfig, TokenStore, TokenTable, load_tables, table_files
from mltfr.tokens.sources.base import OpenTable
from mltfr.tokens.sources.synthetic import SyntheticConfig, synthetic_table
from mltfr.tokens.vocabulary import TokenStrings
from support.token_files import cut, small_values


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path / "tokens")


@pytest.fixture
def table() -> TokenTable:
    return synthetic_table(SyntheticConfig(tokens=300, width=16, clusters=10), "small")


def files_of(store: TokenStore) -> list[str]:
    return sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.is_file())


def test_what_goes_in_comes_out(store: TokenStore, table: TokenTable) -> None:
    special = TokenTable("small", table.embeddings, table.vocabulary, {"model": "M"}, frozenset({3}))
    kept = store.put(special, licence="MIT")
    np.testing.assert_array_equal(kept.embeddings, table.embeddings)
    assert (kept.vocabulary, kept.special, kept.name) == (table.vocabulary, {3}, "small")
    assert kept.provenance["model"] == "M"
    assert kept.provenance["licence"] == "MIT"
    assert store.names() == ["small"]
    assert "small" in store
    assert "other" not in store


def test_values_are_read_by_memory_map(store: TokenStore, table: TokenTable) -> None:
    assert isinstance(store.put(table).embeddings, np.memmap)


def test_the_folder_is_named_by_its_content(store: TokenStore, table: TokenTable) -> None:
    store.put(table)
    before = files_of(store)
    store.put(table)
    assert files_of(store) == before
    store.put(TokenTable("other-name", table.embeddings, table.vocabulary, table.provenance))
    assert len(files_of(store)) == len(before) + 1          # one more name, one folder


def test_the_default_store_is_in_mltfr_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path))
    assert TokenStore().root == tmp_path / "tokens"


@pytest.mark.parametrize("name", ["", "../evil", "Big", ".hidden", "a b", "a/b", "/a", "a\\b", "a\0", "..", "a" * 101])
def test_names_are_checked(store: TokenStore, table: TokenTable, name: str) -> None:
    with pytest.raises(TokenTableError, match="cannot be a token table's name"):
        store.put(TokenTable(name, table.embeddings, table.vocabulary))


def test_a_missing_table_names_the_command(store: TokenStore) -> None:
    with pytest.raises(TokenTableError, match=r"'minilm-l6' is not in the store\. Run: mltfr tokens get minilm-l6$"):
        store.open("minilm-l6")
    with pytest.raises(TokenTableError, match=r"Unknown token table 'gone'\. Known: .*mltfr tokens import NAME SOURCE"):
        store.open("gone")
    with pytest.raises(TokenTableError, match=r"Unknown token table 'wordlama'\. Did you mean 'wordllama'\?"):
        store.provenance("wordlama")


@pytest.mark.parametrize("file", ["table.npy", "vocabulary.json", "provenance.json"])
@pytest.mark.parametrize("way", ["cut", "gone"])
def test_a_damaged_folder_is_noticed_when_opened(
    store: TokenStore, table: TokenTable, file: str, way: str
) -> None:
    store.put(table)
    path = next(store.root.rglob(file))
    cut(path) if way == "cut" else path.unlink()
    with pytest.raises(TokenTableError, match=r"'small': damaged.*Import it again: mltfr tokens import small SOURCE"):
        store.open("small")


def test_a_changed_byte_is_noticed_when_opened(store: TokenStore, table: TokenTable) -> None:
    store.put(table)
    store.verify("small")
    path = next(store.root.rglob("table.npy"))
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    for look in (store.open, store.verify):
        with pytest.raises(TokenTableError, match="'small': damaged: wrong checksum"):
            look("small")


def test_a_changed_vocabulary_is_noticed_by_the_full_check(store: TokenStore, table: TokenTable) -> None:
    store.put(table)
    path = next(store.root.rglob("vocabulary.json"))
    path.write_text(path.read_text().replace(table.vocabulary[0][1:], "x"))
    with pytest.raises(TokenTableError, match="damaged vocabulary"):
        store.verify("small")


def test_fetching_again_repairs_a_damaged_folder(store: TokenStore, table: TokenTable) -> None:
    store.put(table)
    cut(next(store.root.rglob("table.npy")))
    store.put(table)
    store.verify("small")


def opened(values: np.ndarray) -> OpenTable:
    chunks = np.array_split(values, 4)
    vocabulary = TokenStrings(tuple(f"▁w{n}" for n in range(len(values))))
    return OpenTable(values.shape, values.dtype, lambda: iter(chunks), vocabulary, {"source": "test", "file": "f"})


def test_a_wrong_checksum_leaves_nothing(store: TokenStore) -> None:
    with pytest.raises(TokenTableError, match=r"wrong checksum.*Nothing was kept"):
        store.add("small", opened(small_values()), sha256="0" * 64)
    assert files_of(store) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_no_number_leaves_nothing(store: TokenStore, bad: float) -> None:
    values = small_values()
    values[700, 3] = bad
    with pytest.raises(TokenTableError, match="row 700 holds a value"):
        store.add("small", opened(values))
    assert files_of(store) == []


def test_a_failed_replacement_leaves_the_old_table(store: TokenStore, table: TokenTable) -> None:
    store.put(table)
    before = files_of(store)
    with pytest.raises(TokenTableError):
        store.add("small", opened(small_values()), sha256="0" * 64)
    assert files_of(store) == before
    np.testing.assert_array_equal(store.open("small").embeddings, table.embeddings)


@pytest.mark.parametrize("step", ["write_array_header_1_0", "fsync", "rename", "provenance"])
def test_a_full_disk_leaves_nothing(store: TokenStore, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if step == "provenance":
        monkeypatch.setattr("mltfr.tokens.store.write_provenance", full)
    elif step == "rename":
        monkeypatch.setattr(Path, "rename", full)
    elif step == "fsync":
        monkeypatch.setattr(files_module.os, "fsync", full)
    else:
        monkeypatch.setattr(table_files.np.lib.format, step, full)
    with pytest.raises(OutputError, match=r"No space left on device.*Nothing was kept.*MLTFR_HOME"):
        store.add("small", opened(small_values()))
    assert files_of(store) == []
    assert not list(store.root.glob("*/.*"))


def test_what_a_killed_process_left_is_swept(store: TokenStore, table: TokenTable) -> None:
    left, held = (store.root / "tables" / f".folder.{name}.partial" for name in ("1-0123abcd", "2-0123abcd"))
    left.mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool, locked(held):
        pool.submit(store.put, table).result()
        assert not left.exists()
        assert held.exists()


def test_what_a_killed_process_of_the_same_number_left_is_swept_too(store: TokenStore, table: TokenTable) -> None:
    left = store.root / "tables" / f".folder.{os.getpid()}-0123abcd.partial"  # in a container all may be number 1
    left.mkdir(parents=True)
    (store.root / "names").mkdir()
    name = store.root / "names" / ".small.json.7-0123abcd.partial"
    name.touch()
    store.put(table)
    assert not left.exists()
    assert not name.exists()


class _Told(Progress):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


def _prepare(root: str, start: object, results: object) -> None:
    start.wait(60)                                          # type: ignore[attr-defined]
    told = _Told()
    store = TokenStore(Path(root))
    store.put(synthetic_table(SyntheticConfig(tokens=3000, width=64), "a"))
    store.put(synthetic_table(SyntheticConfig(tokens=2000, width=48, view=1), "b"))
    tables = load_tables(TokensConfig(tables=("a", "b"), width=32), store, told)
    results.put(([table.fingerprint for table in tables], told.messages))    # type: ignore[attr-defined]


def test_of_processes_that_need_the_same_tables_at_once_one_prepares_each(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_prepare, args=(str(tmp_path), start, results)) for _ in range(3)]
    for process in processes:
        process.start()
    fingerprints, told = zip(*(results.get(timeout=120) for _ in processes), strict=True)
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert fingerprints[0] == fingerprints[1] == fingerprints[2]
    prepared = sorted(message for messages in told for message in messages)
    made = ("a: reduced to width 32", "b: aligned with a", "b: reduced to width 32")
    assert prepared == [f"preparing token table {text}" for text in made]
    store = TokenStore(tmp_path)
    store.verify("a")
    store.verify("b")
    assert len(list((tmp_path / "tables").iterdir())) == 2
    assert len(list((tmp_path / "prepared").iterdir())) == 3     # both bases, and the aligned one
    assert not list(tmp_path.rglob("*.partial"))


def test_the_name_file_is_json(store: TokenStore, table: TokenTable) -> None:
    store.put(table)
    path = store.root / "names" / "small.json"
    folder = json.loads(path.read_text())["folder"]
    assert (store.root / "tables" / folder / "table.npy").is_file()
    path.write_text("{")
    with pytest.raises(TokenTableError, match=r"small\.json: damaged"):
        store.open("small")


def test_what_a_killed_process_left_among_the_names_is_removed(store: TokenStore, table: TokenTable) -> None:
    store.put(table)
    partial = store.root / "names" / ".other.json.1-00000000.partial"
    partial.write_text("{")
    store.put(table)
    assert not partial.exists()
