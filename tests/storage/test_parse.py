from __future__ import annotations

import time

import pytest

from mltfr.config.toml import MAX_LENGTH
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


DOTS = ". ".join(f"w{number}" for number in range(99))
LONG = ".".join("k" * 99)
TEXT, LITERAL = '"' * 3, "'" * 3
"""What opens and closes texts of several lines."""


@pytest.mark.parametrize("text", [
    f"a = 1 # {DOTS}", f"# {DOTS}\na = 1", f"# it's\n# {DOTS}\na = 1", f"a = '{DOTS}'", f'a = "\\" {DOTS}"',
    f"a = {TEXT}\n{DOTS}\n{TEXT}", f"a = {LITERAL}\n{DOTS}\n{LITERAL}", f"a = {TEXT} \\{TEXT} \n{DOTS} {TEXT}\"\"",
    f"'{DOTS}' = 1", f"[a.'{DOTS}']", f"a = [1.5, '{DOTS}']", f"a = {{b = '{DOTS}', c = 1}}",
    f"a = '# not a comment' # {DOTS}",
])  # fmt: skip
def test_words_in_texts_and_comments_are_no_keys(text: str) -> None:
    assert parse_toml(text)


@pytest.mark.parametrize("before", [
    "# it's\n", "a = '\"'\n", "a = \"'\" # \"\n", f"a = {LITERAL}\n\"{LITERAL}\n", f"a = {TEXT}x\"{TEXT}\n",
    "a = [\n1, # '\n2]\n",
])  # fmt: skip
def test_a_long_key_is_found_behind_quotes(before: str) -> None:
    assert parse_toml(before + "z = 1")["z"] == 1
    for key in (LONG, f"[{LONG}]\nx", f"x = {{{LONG} = 1}}\ny"):
        with pytest.raises(ValueError, match="parts"):
            parse_toml(f"{before}{key} = 1")


@pytest.mark.parametrize("piece", [
    f"a = {TEXT}", f"\\{TEXT}", LITERAL, '"', "'", "a.", '"a".', "\\", f"{TEXT}\\", "a" * 60 + ".", "[", "{a=", ". ",
])  # fmt: skip
def test_any_settings_file_is_read_in_seconds(piece: str) -> None:
    text = (piece * MAX_LENGTH)[:MAX_LENGTH]
    began = time.monotonic()
    with pytest.raises(ValueError, match=r".+"):
        parse_toml(text)
    assert time.monotonic() - began < 10
