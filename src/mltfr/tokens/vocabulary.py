"""Vocabularies: the string of every token, read from a tokenizer's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mltfr.errors import TokenTableError, shown
from mltfr.storage.foreign import one_line
from mltfr.storage.parse import parse_json

MAX_BYTES = 100_000_000
"""Bytes of a vocabulary or a header above which it is refused; those of the largest models have a third of it."""
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
        if path.exists() and not path.is_file():
            raise TokenTableError(f"{path}: not a vocabulary: it is no file.")
        if path.stat().st_size > MAX_BYTES:
            raise TokenTableError(f"{path}: not a vocabulary: it has more than {MAX_BYTES:,} bytes.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TokenTableError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise TokenTableError(
            f"{path}: not a vocabulary: it is no text file. Known: tokenizer.json, vocab.json, vocab.txt."
        ) from error
    if path.suffix != ".json":
        tokens = tuple(text.removesuffix("\n").split("\n"))
        _check_once(path, tokens)
        return TokenStrings(tokens)
    try:
        document = parse_json(text)
    except ValueError as error:
        raise TokenTableError(f"{path}: damaged: not JSON ({error}). Fetch it again.") from error
    try:
        strings = _from_json(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TokenTableError(
            f"{path}: holds no vocabulary ({one_line(error)}). Known: tokenizer.json, an object {{token: row}}, "
            "a list of tokens."
        ) from error
    _check_once(path, strings.tokens)
    return strings


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
    special = frozenset(_row(token["id"]) for token in added if token.get("special"))
    vocabulary = document["model"]["vocab"]
    if isinstance(vocabulary, list):  # unigram models: [token, log probability] in the order of the rows
        rows = {_string(token): row for row, (token, _) in enumerate(vocabulary)}
        if len(rows) != len(vocabulary):
            raise ValueError("a token has two rows")
    else:
        rows = dict(vocabulary)
    return TokenStrings(_from_rows(rows, {_string(token["content"]): token["id"] for token in added}).tokens, special)


def _from_rows(rows: Mapping[str, int], added: Mapping[str, int] | None = None) -> TokenStrings:
    """Return the tokens in the order of their rows; an added token takes the place of another one."""
    own = {token: row for token, row in rows.items() if token not in (added or {})}
    everything = {**own, **(added or {})}
    limit = 2 * len(everything) + 1024
    for token, row in everything.items():
        if not 0 <= _row(row) < limit:
            raise ValueError(f"token {shown(token)} is given row {row}")
    if not everything:
        raise ValueError("no tokens")
    tokens = [""] * (max(everything.values()) + 1)
    for part in (own, added or {}):
        taken: dict[int, str] = {}
        for token, row in part.items():
            if row in taken:
                raise ValueError(f"tokens {shown(taken[row])} and {shown(token)} are both given row {row}")
            taken[row] = tokens[row] = token
    return TokenStrings(tuple(tokens))


def _row(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"not a row: {shown(value)}")
    return value


def _check_once(path: Path, tokens: Sequence[str]) -> None:
    """Check that no token has two rows."""
    if len(set(tokens)) + max(0, tokens.count("") - 1) == len(tokens):
        return
    seen: dict[str, int] = {}
    for row, token in enumerate(tokens):
        if token and token in seen:
            raise TokenTableError(
                f"{path}: holds no vocabulary: token {shown(token)} has two rows, {seen[token]} and {row}."
            )
        seen[token] = row


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a token: {shown(value)}")
    return value
