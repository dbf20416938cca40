"""A text file is the same text in every compression, encoding and kind of line end, or one line says why not."""

from __future__ import annotations

import gzip
import struct
from io import TextIOWrapper
from pathlib import Path

import polars as pl
import pytest
import zstandard

from mltfr.errors import DataError
from mltfr.interactions import load_interactions, prepare
from mltfr.interactions.columns import Columns
from mltfr.interactions.readers import blocks, delimited, room, text
from mltfr.interactions.readers.layout import find_layout
from mltfr.interactions.readers.text import head, head_line, open_bytes, read_lines

TEXT = "user_id,item_id\nu1,é\nu2,中\nu3,🎬\n"
CONTENT = TEXT.encode()
zstd = zstandard.ZstdCompressor().compress
SKIPPED = struct.pack("<II", 0x184D2A5A, 7) + b"skipped"

SAME: dict[str, bytes] = {
    "plain": CONTENT,
    "BOM": b"\xef\xbb\xbf" + CONTENT,
    "UTF-16 LE": b"\xff\xfe" + TEXT.encode("utf-16-le"),
    "UTF-16 BE": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "CR": CONTENT.replace(b"\n", b"\r"),
    "CR in UTF-16": TEXT.replace("\n", "\r").encode("utf-16"),
    "gzip": gzip.compress(CONTENT),
    "gzip of UTF-16": gzip.compress(TEXT.encode("utf-16")),
    "gzip of a BOM": gzip.compress(b"\xef\xbb\xbf" + CONTENT),
    "two gzip members": gzip.compress(CONTENT[:20]) + gzip.compress(CONTENT[20:]),
    "gzip padded with zeros": gzip.compress(CONTENT) + bytes(512),
    "zstd": zstd(CONTENT),
    "zstd of CR": zstd(CONTENT.replace(b"\n", b"\r")),
    "two zstd frames": zstd(CONTENT[:20]) + zstd(CONTENT[20:]),
    "skippable frame first": SKIPPED + zstd(CONTENT),
    "skippable frames everywhere": SKIPPED * 2 + zstd(CONTENT[:7]) + SKIPPED + zstd(CONTENT[7:]) + SKIPPED,
}


@pytest.mark.parametrize("case", SAME)
def test_the_same_text(tmp_path: Path, case: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(SAME[case])
    with open_bytes(path) as file:
        assert file.read() == CONTENT
    with TextIOWrapper(open_bytes(path), "utf-8", newline="") as file:
        assert list(file) == TEXT.splitlines(keepends=True)
    assert head(path) == CONTENT
    assert head_line(path) == "user_id,item_id"
    assert read_lines(path).to_list() == [*TEXT.splitlines()]
    assert load_interactions(path).frame.rows() == [("u1", "é"), ("u2", "中"), ("u3", "🎬")]


def test_blocks_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mltfr.interactions.readers.unpack.BLOCK", 1)
    for content in SAME.values():
        (tmp_path / "log").write_bytes(content)
        with open_bytes(tmp_path / "log") as file:
            assert file.read() == CONTENT
        assert read_lines(tmp_path / "log").to_list() == TEXT.splitlines()


def test_lines_end_with_lf_crlf_or_cr_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes("a\x0bb\x0c\x1c\x1d\x1e\x85\u2028\x1fc\r\n\n \nd\re\n\nf".encode())
    lines = read_lines(tmp_path / "log").to_list()
    assert lines == ["a\x0bb\x0c\x1c\x1d\x1e\x85\u2028\x1fc", None, None, "d", "e", None, "f"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_first_line_wider_than_the_head_is_whole(tmp_path: Path, end: str) -> None:
    header = ",".join(f"column {n}" for n in range(20_000)) + ",user_id,item_id"
    (tmp_path / "log").write_bytes((header + end + "x" + end).encode())
    assert head_line(tmp_path / "log") == header


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the file is empty"),
    "truncated gzip": (gzip.compress(CONTENT)[:-9], "truncated or damaged"),
    "gzip without its checksum": (gzip.compress(CONTENT)[:-4], "truncated or damaged"),
    "rubbish behind gzip": (gzip.compress(CONTENT) + b"rubbish", "truncated or damaged"),
    "gzip header only": (b"\x1f\x8b\x08", "truncated or damaged"),
    "truncated zstd": (zstd(CONTENT)[:-3], "truncated or damaged"),
    "truncated second frame": (zstd(CONTENT) + zstd(CONTENT)[:-1], "truncated or damaged"),
    "truncated skippable frame": (zstd(CONTENT) + SKIPPED[:10], "truncated or damaged"),
    "rubbish behind zstd": (zstd(CONTENT) + b"rubbish, more of it", "truncated or damaged"),
    "skippable frame of another format": (SKIPPED + b"\x04\x22\x4d\x18" + bytes(20), "truncated or damaged"),
    "UTF-32": (TEXT.encode("utf-32"), "the text is UTF-32. Expected UTF-8"),
    "half a character of UTF-16": (TEXT.encode("utf-16")[:-1], "line 4: not UTF-16, as which the file begins"),
    "half a surrogate": (("u,i\n" * 3).encode("utf-16") + b"\x3c\xd8\n\0", "line 4: not UTF-16"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_one_line(tmp_path: Path, case: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(BROKEN[case][0])
    for reading in (read_lines, load_interactions):
        with pytest.raises(DataError, match=BROKEN[case][1]) as caught:
            reading(path)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
def test_what_is_not_utf_8_is_named(tmp_path: Path, pack) -> None:
    path = tmp_path / "log"
    path.write_bytes(pack(b"u,i\n" * 400_000 + b"u,caf\xe9\n"))
    with pytest.raises(DataError, match="line 400001: byte 0xe9 is not UTF-8"):
        read_lines(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
def test_a_line_without_end_is_refused(tmp_path: Path, pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "LONGEST_LINE", 1 << 20)
    path = tmp_path / "log"
    path.write_bytes(pack(b"u a b\n" + b"x" * (1 << 22)))
    with pytest.raises(DataError, match=r"line 2: the line is longer than 1 MiB"):
        read_lines(path)
    path.write_bytes(pack(b"x" * (1 << 22)))
    with pytest.raises(DataError, match=r"line 1: the line is longer than 1 MiB"):
        head_line(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
def test_what_does_not_fit_into_memory_is_refused(tmp_path: Path, pack, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.write_bytes(pack(b"user item item item\n" * 300_000))
    monkeypatch.setattr(room, "STEP", 1 << 20)
    monkeypatch.setattr(room, "used_memory", lambda: 0)  # a system that does not say
    monkeypatch.setattr(room, "available_memory", lambda: 5_000_000)
    with pytest.raises(DataError, match=r"too large for the memory: .* 5 MB are available\. `mltfr data prepare"):
        read_lines(path)
    monkeypatch.setattr(room, "available_memory", lambda: None)
    assert len(read_lines(path)) == 300_000


def test_a_line_that_is_too_long_is_refused_whether_it_ends_or_not(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "LONGEST_LINE", 1 << 12)
    for end in (b"", b"\n", b"\nu,i\n"):
        (tmp_path / "log").write_bytes(b"user_id,item_id\nu,i\n" + b"u" * 5000 + b",i" + end)
        with pytest.raises(DataError, match="line 3: the line is longer"):
            delimited.parse(tmp_path / "log", find_layout(tmp_path / "log", Columns()), Columns(), True, size=64)


@pytest.mark.parametrize("error", [MemoryError(), pl.exceptions.PanicException("Cannot allocate memory to hold it")])
def test_a_lack_of_memory_is_one_line(tmp_path, error):
    with pytest.raises(DataError, match="log: the memory does not suffice"), room.enough_memory(tmp_path / "log"):
        raise error
    with pytest.raises(pl.exceptions.PanicException), room.enough_memory(tmp_path / "log"):
        raise pl.exceptions.PanicException("another")


@pytest.mark.parametrize("way", ["read", "prepared", "parts"])
def test_too_little_memory_is_no_damage(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    frame = pl.DataFrame({"user_id": ["u"] * 9, "item_id": [f"i{n}" for n in range(9)]})
    frame.write_parquet(tmp_path / "part-0.parquet")
    monkeypatch.setattr("mltfr.interactions.readers.frame._texts", fail)
    monkeypatch.setattr("polars.read_parquet", fail)
    path = tmp_path if way == "parts" else tmp_path / "part-0.parquet"
    with pytest.raises(DataError, match=r": the memory does not suffice to read it. `mltfr data prepare"):
        load_interactions(path) if way == "read" else prepare(path, tmp_path / "set")
    (tmp_path / "log.csv").write_text('user_id,item_id\nu,i\nv,"i j\n')
    monkeypatch.setattr("mltfr.interactions.readers.delimited._fast", fail)
    with pytest.raises(DataError, match=r"log.csv: the memory does not suffice"):
        load_interactions(tmp_path / "log.csv") if way == "read" else prepare(tmp_path / "log.csv", tmp_path / "set")
