"""Tables as people have them: without a header, with lines before it, in parts; and files that only look so."""

from __future__ import annotations

import gzip
import os
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
import zstandard

from mltfr.errors import DataError
from mltfr.interactions import load_interactions, prepare
from mltfr.interactions.readers import room, unpack

ROWS = [("u1", "i1"), ("u1", "i2"), ("u2", "i1")]
TABLE = "user_id,item_id\nu1,i1\nu1,i2\nu2,i1\n"

HEADERLESS = {
    "u.data": "196\t242\t3\t881250949\n186\t302\t3\t891717742\n196\t377\t1\t878887116\n",
    "u.data, unique users": "196\t242\t3\t881250949\n186\t302\t3\t891717742\n22\t377\t1\t878887116\n",
    "one line": "196 242 3 881250949\n",
    "two lines": "196 242 3 881250949\n186 302 3 891717742\n",
    "MovieLens 1M": "1::1193::5::978300760\n1::661::3::978302109\n",
    "numbers": "196,242,3\n186,302,3\n",
    "texts and times": "alice,book,2024-01-01\nbob,pen,2024-01-02\n",
    "Amazon": "A1KLRMWW2FWPL4,0005019281,5.0,1203984000\nA2L5G1YT3Q,0005019281,3.0,1388361600\n",
    "Amazon without times": "u,i,5.0\nv,i,4.0\n",
    "semicolons": "196;242;3\n186;302;3\n",
    "bars": "1|24|M|technician|85711\n2|53|F|other|94043\n",
    "dates and tabs": "u1\ti1\t2024-01-01\nu2\ti1\t2024-01-02\n",
    "times in words": "7\ta\t40.7\tTue Apr 03 18:00:09 +0000 2012\n9\tc d\t40.6\tWed Apr 04 18:00:10 +0000 2012\n",
    "fractions and spaces": "u1 i1 4.5\nu2 i1 3.0\n",
    "grades and spaces": "1 242 3\n2 302 3\n3 377 1\n",
    "likes": "u1\ti1\t1\nu2\ti2\t-1\n",
    "after a comment": "# exported\n196\t242\t3\t881250949\n",
    "delimiters between quotes": 'u1,"a, b",i1,5.0\nu2,c,i2,4.0\n',
    "ids with spaces": "user 1,i1\nuser 2,i2\nuser 1,i3\n",
    "users come again": "u1 i1 click\nu2 i1 buy\nu1 i2 click\n",
}
LONGER = {
    "line breaks between quotes": ('"u1"\t"two\nlines"\t"i1"\t"1600000000"\n"u2"\t"one"\t"i2"\t"1600000007"\n', 2),
    "quotes and bars": ('u 1|i1|"a|b"|1600000000\nu 2|i2|"two\n\nlines"|1600000007\n', 2),
    "quotes that are none": ('u1\ti1\t"Heat" (1995)\t1600000000\nu2\ti2\tHeat\t1600000007\n', 2),
    "an odd line": ("".join(f"u{n}\ti{n}\tx\t{1_600_000_000 + n}\n" for n in range(9)) + "u9\ti9\n", 9),
}
TIME_FIRST = {
    "spaces": "1600000000 u1 i2\n1600000007 u2 i3\n",
    "one line": "1600000000 u1 i2\n",
    "tabs": "1600000000\tu1\ti2\n1600000007\tu2\ti3\n",
    "milliseconds": "1600000000000\tu1\ti2\n1600000000700\tu2\ti3\n",
    "dates": "2024-01-01 u1 i2\n2024-01-02 u2 i3\n",
    "fractions": "1600000000.5 u1 i2\n1600000000.7 u2 i3\n",
    "bars": "1600000000|u1|i2\n1600000007|u2|i3\n",
    "quotes": '"1600000000";"u 1";"i2"\n"1600000007";"u;2";"i3"\n',
}
HEADER_WITHOUT_NAMES = {
    "tabs": "us\u00e9r_id\titem_id\ttimestamp\nu1\ti1\t1600000000\nu2\ti1\t1600000007\n",
    "spaces": "usr itm when\nu1 i1 1600000000\nu2 i1 1600000007\n",
    "an atomic file": 'user_id:toke""n\titem_id:token\trating:float\nu1\ti1\t2.5\nu2\ti1\t3.5\n',
    "ids with spaces": "usr,itm,when\nu 1,i 1,1600000000\nu 2,i 1,1600000007\n",
    "dates": "klient,artikel,wann\nu1,i5,01/03/2025 21:15\nu1,i6,31/03/2025 21:15\nu2,i5,31/03/2025 21:19\n",
    "two columns and a tab": "klient\tartikel\nu1\ti5\nu1\ti6\nu2\ti5\n",
    "two columns and a space": "klient artikel\n1 5\n1 6\n2 5\n",
    "a header with a field too few": "usr itm\n" + "".join(f"u{n} i{n} {1_600_000_000 + n}\n" for n in range(9)),
}


@pytest.mark.parametrize("case", LONGER)
def test_rows_of_several_lines_and_odd_ones_make_a_table_too(tmp_path: Path, case: str) -> None:
    path, (text, rows) = tmp_path / "log", LONGER[case]
    path.write_text(text)
    for skip in (False, True):
        with pytest.raises(DataError, match=r"looks like a table without a header: .* --columns \S*user_id\S*\."):
            load_interactions(path, skip_invalid=skip)
    assert len(load_interactions(path, columns="user_id,item_id,x,timestamp", skip_invalid=True)) == rows


@pytest.mark.parametrize("case", TIME_FIRST)
def test_a_table_that_begins_with_times_is_refused_with_its_flag(tmp_path: Path, case: str) -> None:
    path = tmp_path / "log"
    path.write_text(TIME_FIRST[case])
    with pytest.raises(DataError, match=r"without a header: .* --columns timestamp,user_id,item_id\.") as caught:
        load_interactions(path, skip_invalid=True)
    assert ("--format sequence" in str(caught.value)) == (" " in TIME_FIRST[case] or "\t" in TIME_FIRST[case])
    assert len(load_interactions(path, columns="timestamp,user_id,item_id")) == TIME_FIRST[case].count("\n")


@pytest.mark.parametrize("case", HEADER_WITHOUT_NAMES)
def test_a_header_without_the_usual_names_makes_a_table(tmp_path: Path, case: str) -> None:
    path = tmp_path / "log"
    path.write_text(HEADER_WITHOUT_NAMES[case])
    with pytest.raises(DataError, match=r"no (user|item) column among '.* --columns user_id,item_id") as caught:
        load_interactions(path, skip_invalid=True)
    width = 2 if "too few" in case or "two" in case else 3
    assert str(caught.value).split()[-1] == ("user_id,item_id.", "user_id,item_id,timestamp.")[width - 2]


def test_the_example_of_columns_has_as_many_as_the_file(tmp_path: Path) -> None:
    path, likely = tmp_path / "log", "user_id,item_id,rating,timestamp,column5,column6,column7,column8"
    for width, named in ((2, likely[:15]), (3, "user_id,item_id,timestamp"), (4, likely[:32]), (6, likely[:48])):
        path.write_text(",".join("abcdefg"[:width]) + "\n")
        with pytest.raises(DataError, match=rf"--columns {named}\.$"):
            load_interactions(path, format="csv")
    path.write_text(",".join("abcdefghij") + "\n")
    with pytest.raises(DataError, match=rf"--columns {likely},\.\.\.\.$"):
        load_interactions(path, format="csv")


@pytest.mark.parametrize("case", HEADERLESS)
@pytest.mark.filterwarnings("ignore:.*comment lines? w")
def test_a_table_without_a_header_is_refused_with_its_flag(tmp_path: Path, case: str) -> None:
    path = tmp_path / "log"
    path.write_text(HEADERLESS[case])
    with pytest.raises(DataError, match=r"looks like a table without a header: .* --columns user_id,item_id") as caught:
        load_interactions(path)
    named = str(caught.value).split("--columns ")[1].split(".")[0]
    log = load_interactions(path, columns=named)
    assert len(log) == sum(not line.startswith("#") for line in HEADERLESS[case].splitlines())


SEQUENCES = {
    "lengths differ": "1 1 2 3 4 5\n2 6 7 8 9 10 4 11\n3 4 12 13\n",
    "one line": "1 1 2 3 4 5\n",
    "few items": "1 2 3\n2 3 4\n3 4 5\n4 5 4\n",
    "one width": "alice book pen\nbob pen ink\n",
    "long numbers": "1 1234567890 1234567891\n2 1234567890 1234567892\n",
    "tabs": "u1\ta\tb\tc\nu2\tb\tc\ta\n",
    "large numbers of users": "123456789 12 55 76\n987654321 55 12 40\n",
    "commas in ids": "u1 a,b c\nu2 d,e f\n",
}


@pytest.mark.parametrize("case", SEQUENCES)
def test_histories_are_histories(tmp_path: Path, case: str) -> None:
    (tmp_path / "log").write_text(SEQUENCES[case])
    assert load_interactions(tmp_path / "log").format == "sequence"


BEFORE = {
    "comment": "# exported 2024\n" + TABLE,
    "comments of another kind": "%% a\n% b, c\n" + TABLE,
    "blank lines": "\n \n" + TABLE,
    "sep=": "sep=;\n" + TABLE.replace(",", ";"),
    "quoted sep=": '"sep=,"\r\n' + TABLE.replace("\n", "\r\n"),
    "comments and CR": "# one\r# two\r\r" + TABLE.replace("\n", "\r"),
    "colons": TABLE.replace(",", "::"),
}


@pytest.mark.parametrize("case", BEFORE)
@pytest.mark.filterwarnings("ignore:.*comment lines? w")
def test_lines_before_the_header(tmp_path: Path, case: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(BEFORE[case].encode())
    log = load_interactions(path)
    assert log.frame.rows() == ROWS
    assert bool(log.notes) == ("comment" in case)
    path.write_bytes(path.read_bytes().rstrip() + b"\n,i\n".replace(b"\n", b"\r" if "CR" in case else b"\n"))
    if case != "colons" and "sep=;" not in BEFORE[case]:
        line = len(path.read_bytes().decode().splitlines())
        with pytest.raises(DataError, match=f"line {line}: user_id is empty"):
            load_interactions(path)


def test_a_header_may_begin_with_a_hash(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("#,user_id,item_id\n1,u,i\n")
    assert load_interactions(tmp_path / "log").frame.rows() == [("u", "i")]


def test_columns_must_fit(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("1,2,3\n")
    with pytest.raises(DataError, match=r"line 1: --columns names 2 columns, and the line has 3"):
        load_interactions(tmp_path / "log", columns=["user_id", "item_id"])
    with pytest.raises(DataError, match=r"--columns is for delimited text without a header"):
        load_interactions(tmp_path / "log", columns="user_id,item_id,x", format="sequence")


def test_a_folder_of_parquet_parts(tmp_path: Path) -> None:
    rows = [(user, item) for user in "uvw" for item in "abcd"]
    for day, some in (("2024-01-01", rows[:5]), ("2024-01-02", rows[5:])):
        folder = tmp_path / "log" / f"date={day}"
        folder.mkdir(parents=True)
        pl.DataFrame(some, schema=["user_id", "item_id"], orient="row").write_parquet(folder / "part-0.parquet")
    (tmp_path / "log" / "_SUCCESS").touch()
    (tmp_path / "log" / ".part-0.parquet.crc").write_bytes(b"crc")
    log = load_interactions(tmp_path / "log")
    assert log.frame.select("user_id", "item_id").rows() == rows
    assert log.frame["timestamp"].to_list() == [1704067200] * 5 + [1704153600] * 7
    assert prepare(tmp_path / "log", tmp_path / "set").fingerprint() == log.fingerprint()
    pl.DataFrame({"user_id": [1], "item_id": ["x"]}).write_parquet(folder / "part-1.parquet")
    with pytest.raises(DataError, match=r"part-1\.parquet: column 'user_id' is Int64, and String in part-0\.parquet"):
        load_interactions(tmp_path / "log")


def test_a_headerless_table_is_prepared(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"{user}::{item}::5::{item}\n" for user in "uvw" for item in range(1, 5)))
    names = ["user_id", "item_id", "rating", "timestamp"]
    prepared = prepare(path, tmp_path / "set", columns=names)
    assert prepared.fingerprint() == load_interactions(path, columns=names).fingerprint()


def test_damaged_parquet_is_one_line(tmp_path: Path) -> None:
    pl.DataFrame({"user_id": ["u"] * 50, "item_id": [str(n) for n in range(50)]}).write_parquet(tmp_path / "good")
    content, path = (tmp_path / "good").read_bytes(), tmp_path / "bad"
    for place in range(0, len(content), 5):
        flipped = bytearray(content)
        flipped[place] ^= 0xFF
        for damaged in (content[:place], bytes(flipped)):
            path.write_bytes(damaged)
            with suppress(DataError):
                load_interactions(path, format="parquet")


def test_a_comment_before_histories(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("# user items\n\nu a b\nv c\nw\n")
    with pytest.raises(DataError, match="line 5: the user has no items"):
        load_interactions(path)
    with pytest.warns(match="1 comment line was passed over"):
        log = load_interactions(path, skip_invalid=True)
    assert log.frame.rows() == [("u", "a"), ("u", "b"), ("v", "c")]
    path.write_text("# nothing\n\n% else\n")
    with pytest.raises(DataError, match="comment lines only"):
        load_interactions(path)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_packed_text_is_prepared_in_pieces(tmp_path: Path, pack, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    rows = "".join(f"user{n % 400},item{n % 77},{n}\n" for n in range(40_000))
    path.write_bytes(pack(("user_id,item_id,timestamp\n" + rows).encode()))
    monkeypatch.setattr(room, "available_memory", lambda: 1)
    monkeypatch.setattr(room, "STEP", 1 << 10)
    monkeypatch.setattr(unpack, "BLOCK", 1 << 14)
    with pytest.raises(DataError, match="too large for the memory"):
        load_interactions(path)
    prepared = prepare(path, tmp_path / "set", memory=1 << 20)
    monkeypatch.undo()
    assert prepared.fingerprint() == load_interactions(path).fingerprint()


def test_a_parquet_file_in_gzip_may_be_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pl.DataFrame({"user_id": range(5000), "item_id": range(5000)}).write_parquet(tmp_path / "log")
    (tmp_path / "packed").write_bytes(gzip.compress((tmp_path / "log").read_bytes()))
    assert len(load_interactions(tmp_path / "packed")) == 5000
    monkeypatch.setattr(room, "available_memory", lambda: 1)
    monkeypatch.setattr(room, "STEP", 1 << 10)
    with pytest.raises(DataError, match="too large for the memory"):
        load_interactions(tmp_path / "packed", format="parquet")


def test_a_lack_of_memory_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(block: int) -> None:
        raise MemoryError

    (tmp_path / "log").write_text("u a b\nv c\n")
    monkeypatch.setattr(room.Room, "take", lambda self, size: fail(size))
    with pytest.raises(DataError, match=r"the memory does not suffice to read it. `mltfr data prepare"):
        load_interactions(tmp_path / "log")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    for read in (load_interactions, lambda path: prepare(path, tmp_path / "set")):
        with pytest.raises(DataError, match="is no regular file"):
            read(tmp_path / "log")


@pytest.mark.parametrize("form", ["u : a b\nv : c\n", "u: a b\nv: c\n", "u\t:\ta\tb\nv\t:\tc\n"])
def test_a_colon_behind_the_user(tmp_path: Path, form: str) -> None:
    (tmp_path / "log").write_text(form)
    log = load_interactions(tmp_path / "log")
    assert log.format == "sequence-colon"
    assert log.frame.rows() == [("u", "a"), ("u", "b"), ("v", "c")]


def test_a_comment_before_json_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('# exported\n\n{"user": 1, "item": 2}\n{"user": 1}\n')
    with pytest.raises(DataError, match="line 4: item_id is empty"):
        load_interactions(tmp_path / "log")
    with pytest.warns(match="1 comment line was passed over"):
        assert len(load_interactions(tmp_path / "log", skip_invalid=True)) == 1
