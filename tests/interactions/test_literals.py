"""Lines that hold a dict as Python writes it are read as Python would, and nothing in them is run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltfr.interactions.readers.literals import parse_literal

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_python_writes_comes_back(value: dict[str, Any]) -> None:
    assert parse_literal(repr(value)) == value
    assert parse_literal(ascii(value)) == value


def test_texts_of_python_2() -> None:
    assert parse_literal("""{u'a': u'it\\'s', u"b": u"say 'None'", 'c': u'\\ud83d\\ude00\\xe9'}""") == {
        "a": "it's",
        "b": "say 'None'",
        "c": "\U0001f600é",
    }


@pytest.mark.parametrize(
    "line",
    [
        "{'a': __import__('os').system('true')}",
        "{'a': (1, 2)}",
        "{'a': b'x'}",
        "{'a': '\\U00999999'}",
        "{'a': '\\N{BULLET}'}",
        "{'a': [True for x in 'y']}",
        "{'a': 'x'",
        "{'a': 1 + 1}",
        "['" * 100,
    ],
)
def test_whatever_else_is_no_value(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - what JSON says of it is of no interest
        parse_literal(line)
