from __future__ import annotations

import time

import pytest

from mltfr.storage.parse import MAX_LEVELS, parse_json, parse_toml

DEEP = 100_000


@pytest.mark.parametrize(("text", "message"), [
    ("[" * DEEP, "deeper"), ('{"a":' * DEEP, "deeper"), ("[" * DEEP + "]" * DEEP, "deeper"),
    ("[" * (MAX_LEVELS + 1) + "]" * (MAX_LEVELS + 1), "deeper"), ("1" * 5000, "digits"),
    ('{"a": -' + "1" * 5000 + "}", "digits"),
    ('"\\ud800"', "surrogate"), ('{"\\uDFFF": 1}', "surrogate"),
    (b"\xff", "utf-8"), ("", "Expecting"), ("{]", "Expecting"),
])  # fmt: skip
def test_json_that_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_json(text)


def test_json_that_is_read() -> None:
    deepest = "[" * MAX_LEVELS + "]" * MAX_LEVELS
    assert str(parse_json(deepest)) == deepest
    assert parse_json('"\\ud83d\\ude00"') == "\U0001f600"
    assert parse_json(b'{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}
    assert len(parse_json("[" + "[], " * 1000 + "[]]")) == 1001


@pytest.mark.parametrize(("text", "message"), [
    ("a = " + "[" * DEEP, "deeper"), ("a = " + "{a = " * DEEP, "deeper"), ("a = " + "[" * 90 + "]" * 90, "deeper"),
    (".".join("a" * DEEP) + " = 1", "parts"), (f"[{'.'.join('a' * DEEP)}]", "parts"),
    (f"a = {{{'a . ' * DEEP}a = 1}}", "parts"),
    (""" "a b".'c' . """ * 40 + "a = 1", "parts"), ("a = " + "1" * 5000, "digits"), ("a = 0x" + "f" * 5000, "64 bits"),
    ("a = [1, {b = 9223372036854775808}]", "64 bits"), ("a = ", "Invalid value"),
])  # fmt: skip
def test_toml_that_is_refused_at_once(text: str, message: str) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match=message):
        parse_toml(text)
    assert time.monotonic() - began < 1


def test_toml_that_is_read() -> None:
    assert parse_toml("a.b = [1, 2]\n[c]\nd = 9223372036854775807") == {"a": {"b": [1, 2]}, "c": {"d": 2**63 - 1}}
    words = "and so on. " * 500 + "1.5.2.4" * 9
    assert parse_toml(f"words = ['{words}']") == {"words": [words]}
