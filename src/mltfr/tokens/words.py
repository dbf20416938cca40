"""Words behind tokens: the text of a token's string, and the tokens that spell a word."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from mltfr.tokens.table import PreparedTable


class Style(Enum):
    """How a tokenizer marks where a word begins."""

    BYTES = "Ġ"
    """Byte-level BPE (GPT-2, LLaMA 3, Qwen): every byte is a printable character, a space is `Ġ`."""
    PIECES = "▁"
    """SentencePiece (LLaMA 2, Gemma, T5): a space is `▁`."""
    CONTINUATIONS = "##"
    """WordPiece (BERT): tokens inside a word begin with `##`."""
    PLAIN = ""
    """No marks: every token is a word."""


class TokenKind(Enum):
    """Kind of a token: text, or one of those that stand for none."""

    WORD = "word"
    """Begins a word, or is one."""
    PIECE = "piece"
    """Continues a word."""
    CONTROL = "control"
    """`<s>`, `[CLS]`, `<|endoftext|>`: steers the model."""
    BYTE = "byte"
    """`<0x0A>`: one raw byte."""
    UNUSED = "unused"
    """`[unused7]`, `<extra_id_3>`, or a row without a token: never trained."""
    BLANK = "blank"
    """White space only."""
    UNDECODABLE = "undecodable"
    """Part of a character's bytes."""


@dataclass(frozen=True)
class Token:
    """A token's kind and its word.

    Attributes:
        kind: what it is.
        word: the text without marks; the token's own string where it is not text.
    """

    kind: TokenKind
    word: str

    @property
    def is_text(self) -> bool:
        """Whether it stands for text."""
        return self.kind in (TokenKind.WORD, TokenKind.PIECE)


_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_UNUSED = re.compile(r"[\[<]\|?(?:unused|extra_id|reserved|dummy|placeholder)[\w ]*\|?[\]>]", re.IGNORECASE)
_CONTROL = re.compile(r"<\|.*\|>|</?[A-Za-z_][\w.:-]*/?>|\[[A-Z][A-Z_0-9]*\]|<｜.*｜>")


def _byte_alphabet() -> dict[str, int]:
    """Return the byte behind every character of GPT-2's byte-level alphabet.

    Printable bytes stand for themselves, the other 68 for the characters from U+0100 on, in their order
    (Radford et al. 2019, byte-level BPE).
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


_BYTES = _byte_alphabet()


def style_of(vocabulary: Iterable[str]) -> Style:
    """Return how a vocabulary marks words: the mark that at least one token in a hundred begins with."""
    counts: Counter[Style] = Counter()
    total = 0
    for token in vocabulary:
        total += 1
        for style in (Style.BYTES, Style.PIECES, Style.CONTINUATIONS):
            if token.startswith(style.value) and len(token) > len(style.value):
                counts[style] += 1
    for style, count in counts.most_common(1):
        if count * 100 >= total:
            return style
    return Style.PLAIN


def read_token(token: str, style: Style, special: bool = False) -> Token:
    """Return a token's kind and its word.

    Args:
        token: the string in the vocabulary ("Ġchocolate", "▁chocolate", "##late").
        style: how the vocabulary marks words.
        special: whether the tokenizer itself calls it a control token.
    """
    if not token or _UNUSED.fullmatch(token):
        return Token(TokenKind.UNUSED, token)
    if _BYTE.fullmatch(token):
        return Token(TokenKind.BYTE, token)
    if special or _CONTROL.fullmatch(token):
        return Token(TokenKind.CONTROL, token)
    text, begins = token, True
    if style is Style.BYTES:
        decoded = _decode_bytes(token)
        if decoded is None:
            return Token(TokenKind.UNDECODABLE, token)
        text, begins = decoded, decoded.startswith(" ")
    elif style is Style.PIECES:
        text, begins = token.replace("▁", " "), token.startswith("▁")
    elif style is Style.CONTINUATIONS and token.startswith("##") and len(token) > 2:
        text, begins = token[2:], False
    word = text.strip()
    if not word:
        return Token(TokenKind.BLANK, token)
    if "\ufffd" in word:
        return Token(TokenKind.UNDECODABLE, token)
    return Token(TokenKind.WORD if begins else TokenKind.PIECE, word)


def read_vocabulary(vocabulary: Sequence[str], special: frozenset[int] = frozenset()) -> list[Token]:
    """Read all tokens of a vocabulary.

    Args:
        vocabulary: the string of every token.
        special: rows that the tokenizer calls control tokens.
    """
    style = style_of(vocabulary)
    return [read_token(token, style, row in special) for row, token in enumerate(vocabulary)]


def rows_by_word(tokens: Iterable[tuple[int, Token]], prefer: TokenKind = TokenKind.WORD) -> dict[str, int]:
    """Return the row of the token that stands for every word, whatever its case.

    Tokens that begin a word come before pieces inside words, lower case before capitals, early rows (frequent
    tokens) before late ones.

    Args:
        tokens: (row, token) pairs; tokens that are not text are skipped.
        prefer: `TokenKind.PIECE` puts pieces inside words first.
    """
    best: dict[str, tuple[bool, bool, int]] = {}
    for row, token in tokens:
        if not token.is_text:
            continue
        word = token.word.casefold()
        rank = (token.kind is not prefer, token.word != word, row)
        if word not in best or rank < best[word]:
            best[word] = rank
    return {word: rank[2] for word, rank in best.items()}


@dataclass(frozen=True)
class FoundWords:
    """Which of a list of words the vocabulary of a table spells, and how.

    Attributes:
        rows: int64 `[R]`; their token rows, sorted, each once.
        whole: words that are one token.
        pieces: words that are spelled with several tokens.
        missing: words that the vocabulary cannot spell.
    """

    rows: npt.NDArray[np.int64]
    whole: tuple[str, ...]
    pieces: tuple[str, ...]
    missing: tuple[str, ...]


def find_words(table: PreparedTable, phrases: Iterable[str]) -> FoundWords:
    """Return the rows of words in a prepared table, whatever their case.

    A word is looked up whole, then as its longest pieces, see `spell`.

    Args:
        table: the prepared table.
        phrases: words, or several with white space between them.
    """
    row_of = rows_by_word((row, Token(TokenKind.WORD, word)) for row, word in enumerate(table.words))
    longest = max(map(len, row_of), default=0)
    rows: set[int] = set()
    whole: list[str] = []
    pieces: list[str] = []
    missing: list[str] = []
    for word in dict.fromkeys(word.casefold() for phrase in phrases for word in phrase.split()):
        spelled = spell(word, row_of, longest)
        rows |= {row_of[piece] for piece in spelled}
        (whole if spelled == [word] else pieces if spelled else missing).append(word)
    return FoundWords(np.array(sorted(rows), np.int64), tuple(whole), tuple(pieces), tuple(missing))


def spell(word: str, row_of: Mapping[str, int], longest: int) -> list[str]:
    """Return the pieces that spell a word, the longest possible beginning first; empty if they cannot.

    Args:
        word: the word, in lower case.
        row_of: row of every piece.
        longest: letters of the longest piece; the time is linear in those of the word.
    """
    pieces: list[str] = []
    start = 0
    while start < len(word):
        ends = range(min(len(word), start + longest), start, -1)
        piece = next((word[start:end] for end in ends if word[start:end] in row_of), None)
        if piece is None:
            return []
        pieces.append(piece)
        start += len(piece)
    return pieces


def _decode_bytes(token: str) -> str | None:
    try:
        return bytes(_BYTES[character] for character in token).decode("utf-8")
    except (KeyError, UnicodeDecodeError):
        return None
