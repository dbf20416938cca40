"""JSON Lines: what a line holds does not depend on other lines, nor on the way in which it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltfr.errors import DataError
from mltfr.interactions import InteractionLog, load_interactions
from mltfr.interactions.readers.json_lines import look_at


def read(folder: Path, *lines: str, **options: Any) -> InteractionLog:
    path = folder / "log"
    path.write_text("\n".join(lines), encoding="utf-8")
    log = load_interactions(path, **options)
    assert isinstance(log, InteractionLog)
    return log


ALIKE: dict[str, tuple[str, str, str]] = {  # an object, and the ids that it holds
    "texts": ('{"user": "u", "item": "1.0"}', "u", "1.0"),
    "whole numbers": ('{"user": 7, "item": -3}', "7", "-3"),
    "1.0": ('{"user": 1.0, "item": 2.000}', "1", "2"),
    "1e3": ('{"user": 1e3, "item": 1.5E1}', "1000", "15"),
    "long numbers": (
        '{"user": 123456789012345678901234, "item": 18446744073709551616}',
        "123456789012345678901234",
        "18446744073709551616",
    ),
    "longer with zeros": ('{"user": 123456789012345.00, "item": 1}', "123456789012345", "1"),
    "escapes": (r'{"user": "caf\u00e9 \"x\"\\", "item": "\ud83c\udfac"}', 'café "x"\\', "🎬"),
    "other values": ('{"user":"u","item":"i","a":NaN,"b":[1,"user"],"c":null,"d":true,"e":-Infinity}', "u", "i"),
    "the key in an object": ('{"meta": {"user": "x", "item": 5}, "user": "u", "item": "i"}', "u", "i"),
    "the key in an object behind": ('{"user": "u", "item": "i", "meta": {"user": "x", "item": 5}}', "u", "i"),
    "the key in a text": (r'{"t": "\"user\": 5, \"item\": 6", "user": "u", "item": "i"}', "u", "i"),
    "the key as a value": ('{"t": "user", "item": "i", "user": "u"}', "u", "i"),
    "spaces": ('  { "user" : "u" ,\t"item":"i" }  \r', "u", "i"),
    "an escaped key": (r'{"us\u0065r": "u", "item": "i"}', "u", "i"),
    "a byte order mark": ('\ufeff{"user": "u", "item": "i"}', "u", "i"),
    "braces in a text": ('{"user": "u", "item": "{\\"a\\": 1}"}', "u", '{"a": 1}'),
}


@pytest.mark.parametrize("case", ALIKE)
def test_a_line_reads_the_same_among_others(tmp_path: Path, case: str) -> None:
    line, user, item = ALIKE[case]
    others = {"plain": "", "nested": ', "x": {"y": [1]}'}
    numbers = [isinstance(json.loads(line.strip().strip("\ufeff"))[key], int | float) for key in ("user", "item")]
    same = '{{"user": {}, "item": {}{}}}'.format(*("8" if number else '"z"' for number in numbers), "{}")
    for other in others.values():
        log = read(tmp_path, *[same.replace("{}", other)] * 3, line)
        assert log.frame.rows()[-1] == (user, item)
        log = read(tmp_path, *[same.replace("{}", other)] * 3, line, '{"user":', skip_invalid=True)
        assert log.frame.rows()[-1] == (user, item)
        assert log.skipped == 1


REFUSED: dict[str, tuple[str, str]] = {
    "no object": ("5", r"line 3: found '5'. Every line must hold one JSON object"),
    "null": ("null", r"line 3: found 'null'"),
    "a list": ("[1]", r"line 3: found '\[1\]'"),
    "two objects": ('{"user": "u", "item": "i"} {"user": "v", "item": "i"}', "line 3: found"),
    "a comma behind": ('{"user": "u", "item": "i",}', "line 3: found"),
    "single quotes": ("{'user': 'u', 'item': 'i'}", "line 3: found"),
    "a raw tab in a text": ('{"user": "a\tb", "item": "i"}', "line 3: found"),
    "a leading zero": ('{"user": "u", "item": "i", "t": 01}', "line 3: found"),
    "too deep": ('{"user": "u", "item": "i", "t": ' + "[" * 100_000 + "]" * 100_000 + "}", "line 3: found"),
    "thousands of digits": ('{"user": "u", "item": "i", "t": ' + "1" * 5000 + "}", "line 3: found"),
    "half of a pair": (r'{"user": "u", "item": "\ud83c"}', "line 3: found"),
    "a key twice": ('{"user": "u", "item": "i", "user": "v"}', "line 3: the key 'user' stands there twice"),
    "a key twice beside an object": ('{"x": {}, "user": "u", "item": "i", "user": "v"}', "the key 'user' stands there"),
    "a key twice, once escaped": (r'{"user": "u", "item": "i", "us\u0065r": "v"}', "the key 'user' stands there twice"),
    "a list as an id": ('{"user": ["u"], "item": "i"}', r"line 3: user_id is a list"),
    "an object as an id": ('{"user": "u", "item": {"id": 5}}', r"line 3: item_id is a dict"),
    "true": ('{"user": true, "item": "i"}', r"line 3: user_id is a boolean"),
    "a number among texts": ('{"user": 1.0, "item": "i"}', r"line 3: user_id is a number"),
    "a missing key": ('{"user": "u"}', "line 3: item_id is empty"),
    "null as an id": ('{"user": null, "item": "i"}', "line 3: user_id is empty"),
    "NaN as an id": ('{"user": NaN, "item": "i"}', "line 3: user_id is empty"),
    "only in an object": ('{"user": "u", "meta": {"item": "i"}}', "line 3: item_id is empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_line_that_is_no_interaction_is_named(tmp_path: Path, case: str) -> None:
    line, message = REFUSED[case]
    good = '{"user": "a", "item": "b"}', "", line, '{"user": "c", "item": "d"}'
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, *good)
    assert "\n" not in str(caught.value)
    log = read(tmp_path, *good, skip_invalid=True)
    assert log.frame.rows() == [("a", "b"), ("c", "d")]
    assert log.skipped == 1


@pytest.mark.parametrize("number", ["1.5", "1e400", "1e22", "9" * 39, "-" + "9" * 41, "9" * 40 + ".0", "-Infinity"])
def test_numbers_that_are_not_whole_are_no_ids(tmp_path: Path, number: str) -> None:
    lines = ['{"user": 1, "item": 2}', '{"user": N, "item": 2}'.replace("N", number)]
    for more in ('{"user": 3, "item": 2}', '{"user": 3, "item": 2, "x": {}}'):
        with pytest.raises(DataError, match=r"line 2: user_id is a"):
            read(tmp_path, *lines, more)


def test_a_key_that_first_appears_late_counts(tmp_path: Path) -> None:
    early = [json.dumps({"user": f"u{n}", "item": "i"}) for n in range(5000)]
    late = [json.dumps({"user": f"v{n}", "item": "i", "timestamp": n}) for n in range(6000)]
    with pytest.raises(DataError, match=r"line 1: timestamp is empty.*\(5,000 found\)"):
        read(tmp_path, *early, *late)
    log = read(tmp_path, *early, *late, skip_invalid=True)
    assert log.frame.rows()[:2] == [("v0", "i", 0), ("v1", "i", 1)]
    assert (len(log), log.skipped) == (6000, 5000)
    early = [line.replace("item", "asin") for line in early]
    with pytest.raises(DataError, match=r"'item' \(i\) and 'asin' \(i\) may each be the column of the items"):
        read(tmp_path, *early, *late)
    with pytest.raises(DataError, match=r"line 1: item_id is empty.*\(5,000 found\)"):
        read(tmp_path, *early, *late, item_column="item")


def test_every_line_may_have_keys_of_its_own(tmp_path: Path) -> None:
    lines = [json.dumps({"user": "u", "item": f"i{n}", f"k{n}": 1}) for n in range(2000)]
    assert len(read(tmp_path, *lines)) == 2000


@pytest.mark.parametrize("letter", ["x", "日"])
@pytest.mark.parametrize(("keys", "size"), [(90, 1000), (2, 100_000), (400, 300), (6, 2), (1, 200_000)])
def test_keys_may_be_long(tmp_path: Path, letter: str, keys: int, size: int) -> None:
    more = {f"{n}" + letter * size: n for n in range(keys)}
    lines = [json.dumps({"user": "u", "item": f"i{n}"} | more, ensure_ascii=False) for n in range(3)]
    assert len(read(tmp_path, *lines)) == 3
    name = "0" + letter * size
    assert read(tmp_path, *lines, item_column=name, same_time="keep").frame["item_id"].to_list() == ["0"] * 3


def test_many_lines_of_some_keys_are_read_fast() -> None:
    lines = [json.dumps({f"k{key}": line for key in range(20)}) for line in range(1000)]
    assert len(look_at(pl.Series(lines)).exact) == 0


def test_objects_without_keys(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no user column among no columns"):
        read(tmp_path, "{}", "{}")


values = st.one_of(st.text(max_size=4), st.integers(-(10**20), 10**20), st.booleans(), st.none(), st.floats())
values = values | st.lists(values, max_size=2) | st.dictionaries(st.sampled_from(["user", "x"]), values, max_size=2)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.dictionaries(st.sampled_from(["z", "x", "y\n"]), values), min_size=1), plain=st.booleans())
def test_what_python_writes_is_read(tmp_path: Path, rows: list[dict[str, Any]], plain: bool) -> None:
    given = [{"x": row.get("x"), "user": f"ü{n}", "item": n, **row} for n, row in enumerate(rows)]
    lines = [json.dumps(row, ensure_ascii=plain) for row in given]
    log = read(tmp_path, *lines)
    assert log.frame.rows() == [(f"ü{n}", str(n)) for n in range(len(rows))]
