"""A JSON array where objects, one a line, are expected: how it is told, and how it is converted."""

from __future__ import annotations

import re
from pathlib import Path

from mltfr.errors import word
from mltfr.interactions.readers.unpack import compression

_UNPACK = {"gzip": "gzip -dc", "zstd": "zstd -dc"}
_BEGIN = re.compile(r"\s*\[\s*(\{|$)")


def is_json_array(line: str) -> bool:
    """Return whether a line begins an array of objects: with the first of them, or with nothing behind the bracket."""
    return _BEGIN.match(line) is not None


def to_json_lines(path: Path) -> str:
    """Return how such a file is converted, as the end of a sentence; the file that this writes is another one.

    Raises:
        DataError: the file cannot be read.
    """
    unpack = _UNPACK.get(compression(path))
    into = word(path.with_name(f"{path.name.partition('.')[0]}-lines.jsonl"))
    command = f"{unpack} {word(path)} | jq -c '.[]'" if unpack else f"jq -c '.[]' {word(path)}"
    return f"convert it with: {command} > {into}"
