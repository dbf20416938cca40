"""Lines that hold a dict as Python writes it ({u'id': u'10', 'ok': True}): told apart from code, and never run."""

from __future__ import annotations

import json
import re
from typing import Any

from mltfr.storage.parse import parse_json

_TOKEN = re.compile(r"""[uU]?'([^'\\]*(?:\\.[^'\\]*)*)'|[uU]?"([^"\\]*(?:\\.[^"\\]*)*)"|\b(None|True|False)\b""")
"""What is written otherwise than in JSON: texts, and the names of three values."""
_SPECIAL = re.compile(r'\\(?:x([0-9a-fA-F]{2})|U([0-9a-fA-F]{8})|(.))|"')
"""What is written otherwise within a text: its escapes, and a quote that is not the text's own."""
_WORDS = {"None": "null", "True": "true", "False": "false"}


def parse_literal(line: str) -> Any:
    """Return the value that a line holds: dicts, lists, texts, numbers, None, True and False.

    It is rewritten as JSON, so whatever else a line holds, a call among it, is no value.

    Raises:
        ValueError: it holds something else.
    """
    return parse_json(_TOKEN.sub(_as_json, line))


def _as_json(found: re.Match[str]) -> str:
    if found[3]:
        return _WORDS[found[3]]
    text = found[1] if found[1] is not None else found[2]
    return f'"{_SPECIAL.sub(_escape, text)}"' if "\\" in text or '"' in text else f'"{text}"'


def _escape(found: re.Match[str]) -> str:
    if found[1]:
        return f"\\u00{found[1]}"
    if found[2]:
        code = int(found[2], 16)
        return json.dumps(chr(code))[1:-1] if code < 0x110000 else found[0]  # which is no JSON
    if found[3] == "'":
        return "'"
    return '\\"' if found[0] == '"' else found[0]
