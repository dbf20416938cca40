"""Tables of text: every row is kept, or counted as skipped, or named."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import polars as pl
import pytest
import zstandard

from mltfr.errors import DataError
from mltfr.interactions import load_interactions, prepare
from mltfr.interactions.columns import Columns
from mltfr.interactions.readers.delimited import parse
from mltfr.interactions.readers.layout import Layout, find_layout

HEADER = "user_id,item_id,timestamp,title\n"
SIX = [f"u{n // 3},i{n % 3},{n + 1}," for n in range(6)]


def six(**titles: str) -> str:
    """Return a table of six rows, some of which have a title of their own (`b` is the second)."""
    return HEADER + "".join(row + titles.get("abcdef"[n], "lamp") + "\n" for n, row in enumerate(SIX))


LONG = "x" * 140_000
WHOLE = {
    "two inch marks": six(b='12" disc', d='12" disc'),
    "an inch mark in every row": six(**dict.fromkeys("abcdef", '12" disc')),
    "an inch mark at the end": six(b='12"', d='12"'),
    "three inch marks": six(a='12"', b='a "big" one', c='6"'),
    "quoted and inch marks": six(a='"a, b"', b='12" disc', c='"say ""hi"""'),
    "doubled quotes": six(a='"say ""hi"""', b='""', c='""""', d='"a ""b"", c"'),
    "escaped quotes": six(a=r'"say \"hi\", you"', b=r'"a\\"', c=r'"12\""'),
    "escaped delimiters": six(a=r"say\, hi"),
    "single quotes": six(a="'say, hi'", b="'it''s'"),
    "apostrophes": six(a="'tis", b="rock 'n' roll", c="dogs'"),
    "spaces behind commas": six(a=' "say, hi"'),
    "line breaks": six(a='"one\ntwo\n\nthree"', c='"one\r\ntwo"'),
    "a review like a list": six(a='"good, bad, 5, ugly\nnice, small, 7, round\nI bought 3, 4, 5, 6 of them"'),
    "long": six(b=LONG),
    "long and quoted": six(b=f'"{LONG}"'),
    "long with line breaks": six(b='"' + "some words, and more\n" * 10_000 + '"'),
    "long and odd": six(b=LONG, c='"a"', d='12" disc'),
    "blank lines": six().replace("\nu1", "\n\n\nu1") + "\n\n",
    "blank lines and quotes": six(a='"a\n\nb"').replace("\nu1", "\n\n\r\nu1"),
    "line feeds": six(),
    "carriage returns and line feeds": six(a='"a, b"').replace("\n", "\r\n"),
    "no line feed at the end": six()[:-1],
    "a quote at the end of the file": six(f='"a, b"')[:-1],
    "other line ends in one file": six().replace("lamp\nu1,i1", "lamp\r\nu1,i1"),
    "a byte order mark": "\ufeff" + six(),
    "byte order marks inside": six(b="\ufefflamp").replace("u1,", "\ufeffu1,"),
    "other line ends in Unicode": six(b="a\u2028b\x0bc\x0cd\x85e\x1c"),
    "a quoted header": six().replace(HEADER, '"user_id","item_id","timestamp","a ""title"",\nof its own"\n'),
    "a wide header": HEADER[:-1] + ",c" * 40_000 + "\n" + "".join(row + "lamp" + "," * 40_000 + "\n" for row in SIX),
}
OTHERS = ("escaped quotes", "escaped delimiters", "single quotes", "spaces behind commas")
FORMS = {
    "comma": lambda text: text.encode(),
    "tab": lambda text: text.replace(",", "\t").encode(),
    "semicolon": lambda text: text.replace(",", ";").encode(),
    "bar": lambda text: text.replace(",", "|").encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "zstd": lambda text: zstandard.compress(text.encode()),
}


@pytest.mark.filterwarnings("ignore::mltfr.errors.MltfrWarning")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", WHOLE)
def test_every_row_is_there(tmp_path: Path, case: str, form: str) -> None:
    (tmp_path / "log").write_bytes(FORMS[form](WHOLE[case]))
    log = load_interactions(tmp_path / "log")
    users = [f"\ufeffu{n // 3}" if n > 2 and "marks inside" in case else f"u{n // 3}" for n in range(6)]
    assert log.frame.rows() == [(user, f"i{n % 3}", n + 1) for n, user in enumerate(users)]
    assert log.skipped == 0
    assert any("only so is every row one" in note for note in log.notes) == (case in OTHERS)


NAMED = {
    "an unclosed quote": (six(c='"Weird Al'), r"line 4: a quote opens a field here and never closes", 5),
    "an unclosed quote and an apostrophe": (six(c='"Weird Al', e="rock 'n' roll"), r"line 4: a quote opens", 5),
    "an unclosed quote behind another field": (six(b='"a\nb"').replace("i2,3,", 'i2,3,"'), r"line 5: a quote opens", 5),
    "text behind a quote": (six(c='"Weird" Al'), r"line 4: a field .* text stands behind its end\. A quote", 5),
    "text behind a quote far below": (six(b='"Weird Al', e='" lamp'), r"line 3: .* its end \(in line 6\)", 4),
    "two quotes that swallow rows": (six(b='"lamp', e='disc"'), r"line 3: a quote opens here and .* up to line 6", 5),
    "two quotes in two rows": (six(b='"lamp', c='disc"'), r"line 3: a quote opens here .* up to line 4", 5),
    "a quote closed in another column": (six(b='"lamp').replace("i0,4", 'i0",4'), r"line 3: the row has 6 fields", 5),
    "a comma in a title": (six(b="Toys, Games"), r"line 3: the row has 5 fields\. The header has 4", 5),
    "a comma between inch marks": (six(a='"a, b"', b='12",5"'), r"line 3: the row has 5 fields", 5),
    "a comma less": (six().replace("i1,2,", "i1,2"), r"line 3: the row has 3 fields\. The header has 4", 5),
    "a row below line breaks": (six(a='"a\nb"', b='"c\nd"', c="e,f"), r"line 6: the row has 5 fields", 5),
    "a row of several lines": (six(b='"a\nb",c'), r"line 3: the row has 5 fields and runs to line 4\.", 5),
    "a carriage return": (six(b="a\rb"), r"line 4: the row has 1 field\.", 6),
    "a NUL byte": (six(d="a\0b"), r"line 5: the row holds a NUL byte", 5),
    "a NUL byte in an id": (six().replace("u1,i1", "u1,\0i1"), r"line 6: the row holds a NUL byte", 5),
    "spaces": (six().replace("\nu1", "\n  \nu1", 1), r"line 5: the row has 1 field", 6),
    "a wide row": (six(b="," * 100_000), r"line 3: the row has 100004 fields", 5),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize("case", NAMED)
def test_a_row_that_is_none_is_named_or_counted(tmp_path: Path, case: str, pack) -> None:
    text, message, left = NAMED[case]
    path = tmp_path / "log"
    path.write_bytes(pack(text.encode()))
    with pytest.raises(DataError, match=message) as caught:
        load_interactions(path, format="csv")
    assert str(caught.value).startswith(f"{path}, line ")
    assert "\n" not in str(caught.value)
    log = load_interactions(path, format="csv", skip_invalid=True)
    assert (len(log), log.skipped) == (left, max(1, 6 - left))


@pytest.mark.parametrize("case", NAMED)
def test_preparing_a_set_says_the_same(tmp_path: Path, case: str, monkeypatch) -> None:
    monkeypatch.setattr("mltfr.interactions.readers.pieces.LEAST_BLOCK", 16)
    text, message, left = NAMED[case]
    path = tmp_path / "log"
    path.write_text(text, newline="")
    with pytest.raises(DataError, match=message):
        prepare(path, tmp_path / "set", format="csv", memory=128)
    prepared = prepare(path, tmp_path / "set", format="csv", memory=128, skip_invalid=True)
    assert prepared.skipped == max(1, 6 - left)


def test_rows_without_times_are_not_swallowed_either(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text('user_id,item_id,title\nu1,i1,"lamp\nu1,i2,lamp\nu2,i1,disc"\nu2,i2,lamp\n')
    with pytest.raises(DataError, match=r"line 2: a quote opens here and takes in what look like rows up to line 4"):
        load_interactions(path)
    path.write_text('user_id,item_id,title\nu1,i1,"red, blue\nof glass, round, big\na, b, c"\nu2,i2,lamp\n')
    assert len(load_interactions(path)) == 2


@pytest.mark.parametrize("first", ['"Weird, Al', ' "Weird, Al'])
def test_rows_too_wide_are_not_swallowed_either(tmp_path: Path, first: str) -> None:
    rows = [f"u{n},{{}},i1,{1_700_000_000 + n}" for n in range(5)]
    path = tmp_path / "log"
    text = "\n".join(["user_id,title,item_id,timestamp", *rows]).format("a", first, "lamp", 'disc"', "b")
    path.write_text(text)
    with pytest.raises(DataError, match="line 3: "):
        load_interactions(path)
    log = load_interactions(path, skip_invalid=True)
    assert (log.frame["item_id"].to_list(), log.skipped) == (["i1"] * 4, 1)
    review = f'user_id,title,item_id,timestamp\nu1,{first}, 10/10\nin 2019, 3,4, 10, 20"",i1,1700000000\n'
    path.write_text(review.replace('""', '"').replace(' "', '"'))  # a review is no swallowed row
    assert load_interactions(path).frame.rows() == [("u1", "i1", 1_700_000_000)]


@pytest.mark.parametrize(
    "time", ["1.5e9", "2024-01-0{}", "2024-01-0{}T10:00:00Z", "{} Jul 2020", "2019-11-0{} 00:00 UTC"]
)
def test_rows_with_times_of_any_kind_are_not_swallowed(tmp_path: Path, time: str) -> None:
    path = tmp_path / "log"
    titles = ['"lamp', "lamp", 'disc"', "lamp"]
    rows = [f"u{n},i{n},{time.format(n + 1)},{title}\n" for n, title in enumerate(titles)]
    path.write_text(HEADER + "".join(rows))
    with pytest.raises(DataError, match=r"line 2: a quote opens here and takes in what look like rows up to line 4"):
        load_interactions(path)


def test_columns_that_are_there_twice_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("user_id,item_id,item_id\nu,a,b\n")
    with pytest.raises(DataError, match=r"2 columns are called 'item_id'\. Rename all but one"):
        load_interactions(path)
    path.write_text("user_id,item_id,x,x\nu,a,b,c\n")
    assert load_interactions(path).frame.rows() == [("u", "a")]


@pytest.mark.parametrize("text", [six(), six(e='disc"'), six().replace("lamp", "a lamp")])
def test_an_unclosed_quote_in_the_header_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "log"
    path.write_text(text.replace("title", '"the title'))
    with pytest.raises(DataError, match=r"line 1: a quote opens in the header and never closes"):
        load_interactions(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b""), r"no user column|blank lines|no usable rows"),
        (gzip.compress(b"\n\n"), r"no user column|blank lines|no usable rows"),
        (b'sep=,\na,"b\nu,i\n', r"line 2: a quote opens in the header and never closes"),
        (b'"\n', r"no user column"),
    ],
    ids=["empty", "blank", "sep", "quote"],
)
def test_a_file_without_a_header_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(content)
    for form in ("csv", "recbole"):
        with pytest.raises(DataError, match=message if form == "csv" else "log"):
            load_interactions(path, format=form)


def test_recbole_files_quote_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.inter"
    header = "user_id:token\titem_id:token\ttimestamp:float\ttitle:token_seq\n"
    rows = ['u\ta\t1\t"lamp', 'u\tb\t2\t12" disc', 'v\t"a\t3\tlamp"', "v\tb\t4\t'x"]
    path.write_text(header + "\n".join(rows) + "\n")
    assert load_interactions(path).frame["item_id"].to_list() == ["a", "b", '"a', "b"]
    path.write_text(header + "\n".join([*rows, "v\tc\t5", "v\td\t6\tx\ty"]) + "\n")
    with pytest.raises(DataError, match=r"line 6: the row has 3 fields\. The header has 4"):
        load_interactions(path)
    assert load_interactions(path, skip_invalid=True).skipped == 2


def test_two_colons_separate_columns(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text('user_id::item_id::timestamp::title\n1::10::5::Heat (1995): "a\n1::11::6::x\n\n2::10::7::y\n')
    assert load_interactions(path).frame.rows() == [("1", "10", 5), ("1", "11", 6), ("2", "10", 7)]
    path.write_text('user_id::title::item_id\n1::"a::10\n1::b::11\n2::c"::12\n3::d::13\n')  # quotes mean nothing
    assert load_interactions(path).frame["item_id"].to_list() == ["10", "11", "12", "13"]
    path.write_text("user_id::item_id::timestamp\n1::10::5\n1::11::6::x\n")
    with pytest.raises(DataError, match=r"line 3: the row has 4 fields"):
        load_interactions(path)


TWO_COLONS = {
    "quoted ids and an inch mark": [f'u{n}::"i{n}"' for n in range(20)] + ['u20::"12 inch'],
    "titles in quotes": [f'u{n // 9}::i{n}::"Title {n}"::{n + 1}' for n in range(200)] + ['u9::i1::"12 inch::300'],
    "a delimiter between quotes": ['u1::"a::b"::x::5', 'u2::"a::c"::x::6'],
    "quotes beside a unit separator": ['a::"x"::t::1', 'a::"y"::\x1f::2'],
    "an odd number of colons": ['u1::"i1:"::t::1', "u2::i2:::t::2", "u3:::i3::t::3"],
    "line ends": ['u1::"i1"::t::1\r', 'u2::"i2::t::2\r', "\r", 'u3::i3"::t::3\r'],
}


@pytest.mark.filterwarnings("ignore::mltfr.errors.MltfrWarning")
@pytest.mark.parametrize("size", [1, 48, 1 << 20])
@pytest.mark.parametrize("case", TWO_COLONS)
def test_two_colons_and_quotes(tmp_path: Path, case: str, size: int) -> None:
    """Nothing is quoted beside a delimiter of several characters."""
    path, rows = tmp_path / "log", TWO_COLONS[case]
    header = "user_id::item_id" if case.startswith("quoted ids") else "user_id::item_id::title::timestamp"
    path.write_bytes("\n".join([header, *rows, ""]).encode())
    expected = [row.strip("\r").split("::")[:2] for row in rows if row.strip()]
    if case == "titles in quotes":
        assert [len(row.split("::")) for row in rows] == [4] * 201
    if case == "a delimiter between quotes":
        with pytest.raises(DataError, match=r"line 2: the row has 5 fields\. The header has 4"):
            load_interactions(path)
        assert parse(path, find_layout(path, Columns()), Columns(), True, size=size).skipped == 2
        return
    parsed = parse(path, find_layout(path, Columns()), Columns(), False, size=size)
    found = pl.concat(parsed.tables).collect()
    assert found.select("user_id", "item_id").rows() == [tuple(row) for row in expected]
    assert parsed.place(len(expected) - 1) == f"line {1 + len(rows)}"


def test_rows_that_the_fast_parser_loses_are_read_exactly(tmp_path: Path, monkeypatch) -> None:
    path, read_csv = tmp_path / "log", pl.read_csv
    path.write_text(six())
    monkeypatch.setattr(pl, "read_csv", lambda *given, **more: read_csv(*given, **more)[:-1])
    assert load_interactions(path, format="csv").frame["item_id"].to_list() == ["i0", "i1", "i2"] * 2


def test_every_row_has_its_line_whatever_the_size_of_blocks(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(six(b='"two\nlines"').replace("\nu1,i1", "\n\nu1,i1"))
    for size in (1, 20, 45, 1000):
        parsed = parse(path, find_layout(path, Columns()), Columns(), False, size=size)
        rows = pl.concat(parsed.tables).collect().rows()
        assert rows == [(f"u{n // 3}", f"i{n % 3}", str(n + 1)) for n in range(6)]
        assert [parsed.place(row) for row in range(6)] == [f"line {line}" for line in (2, 3, 5, 6, 8, 9)]


def test_other_users_of_csv_keep_their_limit(tmp_path: Path) -> None:
    limit, path = csv.field_size_limit(), tmp_path / "log"
    path.write_text(six(b=LONG, c='12" disc', d='"a" b'))
    with pytest.raises(DataError, match="line 5: a field between quotes"):
        load_interactions(path)
    assert load_interactions(path, skip_invalid=True).skipped == 1
    assert csv.field_size_limit() == limit
    records = Layout(",", []).records(["a,b\n", f"{LONG},c\n", '"d'])
    next(records)
    assert csv.field_size_limit() == limit  # while a table is being read
    assert next(records) == [LONG, "c"]
    with pytest.raises(csv.Error):
        next(records)
    assert csv.field_size_limit() == limit
