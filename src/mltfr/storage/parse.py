"""JSON and TOML from text that anybody may have written: a value, or a ValueError, in bounded time."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from typing import Any

MAX_LEVELS = 64
"""Levels to which lists, objects and tables may be nested; what people write has a dozen at most."""
_STRING = r"""(?:"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"?|'[^'\n]*+'?)"""  # to the end of the line where it is not closed
_KEY = rf"(?:[\w-]++|{_STRING})[ \t]*+"
_LONG_KEY = re.compile(rf"""
    "{{3}} (?: [^"\\]++ | \\[\s\S] | "(?!"") )* (?: "{{3,5}} | \\?\Z )  # a text of several lines
    | '{{3}} (?: [^']++ | '(?!'') )* (?: '{{3,5}} | \Z )
    | [#].*                                                          # a comment
    | (?P<long> {_KEY}(?:\.[ \t]*+{_KEY}){{{MAX_LEVELS}}} )
    | {_KEY}(?:\.[ \t]*+{_KEY})*
""", re.VERBOSE)  # fmt: skip
"""What a TOML text consists of, so that a long key is found outside of texts and comments alone. No possessive group
has a choice in it: Python up to 3.11.4 matches those wrongly (its issue 106052)."""


def parse_json(
    text: str | bytes,
    parse_float: Callable[[str], Any] | None = None,
    object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """Return the value that a JSON text holds.

    Args:
        text: the text.
        parse_float: what makes a value of a number with a point or an exponent; `float` if not given.
        object_pairs_hook: what makes a value of the keys and values of an object; `dict` if not given.

    Raises:
        ValueError: it is not JSON, is nested deeper than `MAX_LEVELS`, holds a number of thousands of digits, or a
            half of a surrogate pair, which is no text and cannot be written.
    """
    content = text if isinstance(text, str) else text.decode("utf-8")
    try:
        value = json.loads(content, parse_float=parse_float, object_pairs_hook=object_pairs_hook)
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise ValueError(_DEEP) from None
    except ValueError:
        raise ValueError("a number has too many digits") from None
    if content.count("[") + content.count("{") > MAX_LEVELS:  # fewer cannot be too deep
        _check_levels(value)
    if "\\u" in content and re.search(r"\\u[dD][89a-fA-F]", content):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("a text holds half of a surrogate pair") from None
    return value


def parse_toml(text: str) -> dict[str, Any]:
    """Return the table that a TOML text holds.

    Raises:
        ValueError: it is not TOML, is nested deeper than `MAX_LEVELS`, or holds a whole number beyond 64 bits.
    """
    if any(found["long"] for found in _LONG_KEY.finditer(text)):  # parsing takes the square of its levels
        raise ValueError(f"a key has more than {MAX_LEVELS} parts")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise ValueError(_DEEP) from None
    except ValueError:
        raise ValueError("a number has too many digits") from None
    _check_levels(document, whole_numbers=True)
    return document


_DEEP = f"it is nested deeper than {MAX_LEVELS} levels"


def _check_levels(value: Any, whole_numbers: bool = False) -> None:
    """Check the depth of a value, level by level, and that whole numbers have 64 bits."""
    level = [value]
    for _ in range(MAX_LEVELS + 1):
        if whole_numbers and any(isinstance(each, int) and each.bit_length() > 63 for each in level):
            raise ValueError("a whole number is beyond 64 bits")
        holders = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        if not holders:
            return
        level = [each for holder in holders for each in holder]
    raise ValueError(_DEEP)
