"""Whatever happens to a file of the store is found out when it is used, or changes nothing."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mltfr.errors import ConfigError, TokenTableError
from mltfr.storage.progress import ConsoleProgress
from mltfr.tokens import PreparedTable, TokensConfig, TokenStore, describe, load_tables, verified
from mltfr.tokens.load import ensure_table
from mltfr.tokens.sources.synthetic import SyntheticConfig, synthetic_table
from mltfr.tokens.table_files import digest_json
from mltfr.tokens.verified import RECORD

CONFIG = TokensConfig(tables=("one", "two"), width=8)


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    store = TokenStore(tmp_path / "tokens")
    store.put(synthetic_table(SyntheticConfig(tokens=300, width=16, clusters=10), "one"))
    store.put(synthetic_table(SyntheticConfig(tokens=200, width=12, clusters=10, view=1), "two"))
    load_tables(CONFIG, store)
    return store


def content(tables: list[PreparedTable]) -> list[Any]:
    return [describe(tables), *((table.vectors.tobytes(), table.words) for table in tables)]


def damage(path: Path, numbers: random.Random) -> None:
    """Flip one bit or cut the file, within the tick of the clock in which it was looked at."""
    data = bytearray(path.read_bytes())
    if data and numbers.random() < 0.8:
        data[numbers.randrange(len(data))] ^= 1 << numbers.randrange(8)
    else:
        del data[numbers.randrange(len(data) + 1) :]
    path.write_bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("settled", [verified.SETTLED, -1.0])
def test_random_damage_is_found_out_or_harmless(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch, settled: float
) -> None:
    """Every file in turn; with records of what was verified and without."""
    monkeypatch.setattr(verified, "SETTLED", settled)
    shipped = {name: store.open(name) for name in CONFIG.tables}
    expected = content(load_tables(CONFIG, store))
    raw = content(load_tables(CONFIG.model_copy(update={"prepare": "raw"}), store))
    intact = store.root.with_name("intact")
    shutil.copytree(store.root, intact)
    files = sorted(path.relative_to(store.root) for path in store.root.rglob("*") if path.is_file())
    assert any(file.name == RECORD for file in files) == (settled < 0)
    numbers = random.Random(0)
    refused = 0
    for turn in range(int(os.environ.get("MLTFR_TEST_DAMAGES", "200"))):
        file = files[turn % len(files)]
        damage(store.root / file, numbers)
        try:
            assert content(load_tables(CONFIG, store)) == expected, file
            assert content(load_tables(CONFIG.model_copy(update={"prepare": "raw"}), store)) == raw, file
            for name, table in shipped.items():
                found = store.open(name)
                np.testing.assert_array_equal(found.embeddings, table.embeddings)
                assert (found.vocabulary, found.special) == (table.vocabulary, table.special)
        except TokenTableError as error:
            refused += 1
            message = str(error)
            assert "mltfr tokens import" in message or "Unknown token table" in message, message
        shutil.rmtree(store.root)
        shutil.copytree(intact, store.root)
    assert refused > 30


@pytest.mark.parametrize("file", ["table.npy", "vocabulary.json", "provenance.json"])
@pytest.mark.parametrize("way", ["changed", "cut", "gone", "a folder"])
def test_a_damaged_prepared_table_is_made_again(
    store: TokenStore, file: str, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = content(load_tables(CONFIG, store))
    for path in list((store.root / "prepared").rglob(file)):
        data = bytearray(path.read_bytes())
        path.unlink()
        if way == "changed":
            data[-7] ^= 1
            path.write_bytes(data)
        elif way == "cut":
            path.write_bytes(data[: len(data) // 2])
        elif way == "a folder":
            path.mkdir()
    assert content(load_tables(CONFIG, store, ConsoleProgress())) == expected
    told = capsys.readouterr().err
    assert "prepared token table: damaged" in told
    assert "It is made again." in told
    assert content(load_tables(CONFIG, store)) == expected
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("lost", ["fingerprint", "table", "sha256", "shape"])
def test_a_prepared_table_whose_report_lacks_a_fact_is_made_again(store: TokenStore, lost: str) -> None:
    expected = content(load_tables(CONFIG, store))
    for path in (store.root / "prepared").rglob("provenance.json"):
        report = json.loads(path.read_text())
        del report["report_sha256"], report[lost]
        path.write_text(json.dumps({**report, "report_sha256": digest_json(report)}))
        with pytest.raises(TokenTableError, match=r"prepared token table: damaged.* It is made again"):
            store.prepared(path.parent.name)
    assert content(load_tables(CONFIG, store)) == expected


def test_two_prepared_tables_that_were_swapped_are_found_out(store: TokenStore) -> None:
    expected = content(load_tables(CONFIG, store))
    first, second, *_ = sorted((store.root / "prepared").iterdir())
    first.rename(first.with_name("aside"))
    second.rename(first)
    first.with_name("aside").rename(second)
    assert content(load_tables(CONFIG, store)) == expected


def test_getting_a_table_again_repairs_what_was_prepared(store: TokenStore) -> None:
    ensure_table("synthetic", store)
    load_tables(TokensConfig(tables=("synthetic",), width=8), store)
    for path in (store.root / "prepared").rglob("table.npy"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    number = len(list((store.root / "prepared").iterdir()))
    assert store.remove_damaged() == number
    assert store.remove_damaged() == 0
    assert list((store.root / "prepared").iterdir()) == []


def test_a_verified_table_is_not_read_again(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified, "SETTLED", -1.0)
    store.open("one")
    monkeypatch.setattr("mltfr.tokens.table_files.digest_values", pytest.fail)
    store.open("one")


def test_a_record_that_was_half_written_is_none_and_leaves_nothing(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified, "SETTLED", -1.0)
    store.open("one")
    before = {path: path.read_bytes() for path in store.root.rglob(RECORD)}
    assert before
    names = sorted(store.root.rglob("*"))
    for path, content in before.items():
        path.write_bytes(content[: len(content) // 2])
    store.open("one")
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(store.root.rglob("*")) == names

    def kill(*_: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", kill)
    for path in before:
        path.write_bytes(b"")
    with pytest.raises(KeyboardInterrupt):
        store.open("one")
    assert sorted(store.root.rglob("*")) == names


def test_a_table_that_changed_just_now_is_not_remembered(store: TokenStore) -> None:
    store.open("one")
    assert not list(store.root.rglob(RECORD))


def test_times_that_were_set_back_deceive_nobody(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified, "SETTLED", -1.0)
    store.open("one")
    path = store.root / "tables" / store._folder("one").name / "table.npy"
    before = path.stat()
    with path.open("r+b") as file:                          # the same file, the same size
        file.seek(-3, os.SEEK_END)
        file.write(b"???")
    time.sleep(0.02)                                        # a tick of the file system's clock
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(TokenTableError, match="'one': damaged: wrong checksum"):
        store.open("one")


@pytest.mark.parametrize("folder", ["../../outside", "/etc", "", "0" * 63, 5, None])
def test_a_name_leads_into_the_store_alone(store: TokenStore, folder: object) -> None:
    import json

    (store.root / "names" / "one.json").write_text(json.dumps({"folder": folder}))
    with pytest.raises(TokenTableError, match="it names no folder of the store"):
        store.open("one")


NAMES = ["..", "../one", "/etc/passwd", "a/b", "a\\b", "a\0b", ".one", "", "one\n", "One", "a" * 500]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_paths_are_refused_everywhere(store: TokenStore, name: str) -> None:
    (store.root / "names" / ".one.json").write_text("{}")
    assert name not in store
    for look in (store.open, store.provenance, store.verify, lambda name: ensure_table(name, store)):
        with pytest.raises(TokenTableError, match="cannot be a token table's name") as caught:
            look(name)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be a token table's name"):
        TokensConfig.parse({"tables": [name]})
    assert store.names() == ["one", "two"]


