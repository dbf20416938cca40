"""Files of other people's making are refused in one line, whatever the library that reads them does."""

from __future__ import annotations

import io
from contextlib import suppress

import polars as pl
import pytest

from mltfr.batch import read_histories
from mltfr.errors import DataError, MltfrError, RunError
from mltfr.interactions import Vocabulary, load_interactions
from mltfr.interactions.item_features import read_item_features
from mltfr.report.frames import read_results
from mltfr.storage.foreign import foreign_parquet


def flipped(content: bytes):
    """Yield content with one bit of its footer changed, at some of which polars panics."""
    for byte in (-270, -269, -232, *range(-260, -20, 12)):
        for bit in range(8):
            changed = bytearray(content)
            changed[byte] ^= 1 << bit
            yield bytes(changed)


def content_of(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def test_damaged_histories_are_refused(tmp_path):
    items = [[f"i{n % 20}", f"i{(n + 1) % 20}"] for n in range(20)]
    for content in flipped(content_of(pl.DataFrame({"user_id": [f"a{n}" for n in range(20)], "items": items}))):
        (tmp_path / "h.parquet").write_bytes(content)
        with suppress(MltfrError):
            users = read_histories(tmp_path / "h.parquet")
            users.read(0, len(users))


def test_a_panic_of_any_reader_is_one_line(tmp_path, monkeypatch):
    def panic(*_args, **_options):
        raise pl.exceptions.PanicException("not yet\nimplemented")

    for name in ("read_parquet", "read_parquet_schema", "scan_parquet"):
        monkeypatch.setattr(pl, name, panic)
    path = tmp_path / "x.parquet"
    content = content_of(pl.DataFrame({"item_id": ["a"]}))
    for name in ("x.parquet", "users.parquet", "results.parquet"):
        (tmp_path / name).write_bytes(content)
    vocabulary = Vocabulary(("a",), [0, 1])
    for read in (read_histories, load_interactions, lambda path: read_item_features(path, vocabulary)):
        with pytest.raises(DataError, match=r"x\.parquet: not a readable Parquet file \(not yet implemented\)"):
            read(path)
    with pytest.raises(RunError, match=r"results\.parquet: .*\(not yet implemented\)\. Run the study again"):
        read_results(tmp_path)


def test_an_interruption_is_no_damage(tmp_path):
    with pytest.raises(KeyboardInterrupt), foreign_parquet(tmp_path):
        raise KeyboardInterrupt
