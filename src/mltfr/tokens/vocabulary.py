"""Vocabularies: the string of every token, read from a tokenizer's files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mltfr.errors import TokenTableError
from mltfr.storage.parse import parse_json

VOCABULARY_FILES = ("tokenizer.json", "vocab.json", "vocab.txt", "vocabulary.json", "vocabulary.txt")
"""Names of vocabulary files beside a table, in the order in which they are looked for."""


@dataclass(frozen=True)
class TokenStrings:
    """The strings of a table's tokens.

    Attributes:
        tokens: string of every row; empty where no token has that row.
        special: rows of the tokenizer's control tokens.
    """

    tokens: tuple[str, ...]
    special: frozenset[int] = field(default_factory=frozenset)


def read_vocabulary_file(path: Path) -> TokenStrings:
    """Read `tokenizer.json`, a JSON object `{token: row}`, a JSON list, or a text file with a token a line.

    Raises:
        TokenTableError: the file is missing, damaged or none of these.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise TokenTableError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise TokenTableError(
            f"{path}: not a vocabulary: it is no text file. Known: tokenizer.json, vocab.json, vocab.txt."
        ) from error
    if path.suffix != ".json":
        return TokenStrings(tuple(text.removesuffix("\n").split("\n")))
    try:
        document = parse_json(text)
    except ValueError as error:
        raise TokenTableError(f"{path}: damaged: not JSON ({error}). Fetch it again.") from error
    try:
        return _from_json(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TokenTableError(
            f"{path}: holds no vocabulary. Known: tokenizer.json, an object {{token: row}}, a list of tokens."
        ) from error


def find_vocabulary(folder: Path, stem: str | None = None) -> Path | None:
    """Return the vocabulary file in a folder, or None.

    Args:
        folder: where to look.
        stem: a table file's name without its ending; `STEM.json` and `STEM.txt` come first.
    """
    own = (f"{stem}.json", f"{stem}.txt") if stem else ()
    return next((folder / name for name in (*own, *VOCABULARY_FILES) if (folder / name).is_file()), None)


def numbered(rows: int) -> TokenStrings:
    """Return a vocabulary for a table that has none: "#0", "#1", ..."""
    return TokenStrings(tuple(f"#{row}" for row in range(rows)))


def _from_json(document: Any) -> TokenStrings:
    if isinstance(document, list):
        return TokenStrings(tuple(_string(token) for token in document))
    if "model" not in document:
        return _from_rows(document)
    added = document.get("added_tokens") or []
    special = frozenset(int(token["id"]) for token in added if token.get("special"))
    vocabulary = document["model"]["vocab"]
    if isinstance(vocabulary, list):  # unigram models: [token, log probability] in the order of the rows
        rows = {_string(token): row for row, (token, _) in enumerate(vocabulary)}
    else:
        rows = dict(vocabulary)
    rows.update({_string(token["content"]): token["id"] for token in added})
    return TokenStrings(_from_rows(rows).tokens, special)


def _from_rows(rows: Mapping[str, int]) -> TokenStrings:
    if not rows or min(rows.values()) < 0 or max(rows.values()) >= 2 * len(rows) + 1024:
        raise ValueError("rows out of range")
    tokens = [""] * (max(rows.values()) + 1)
    for token, row in rows.items():
        tokens[row] = token
    return TokenStrings(tuple(tokens))


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a token: {value!r}")
    return value
