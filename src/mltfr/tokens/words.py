"""From a token's string, as the tokenizer writes it, to the word that a person reads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum


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


class Kind(Enum):
    """What a token is."""

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
    """A token, read.

    Attributes:
        kind: what it is.
        word: the text without marks; the token's own string where it is no text.
    """

    kind: Kind
    word: str

    @property
    def is_text(self) -> bool:
        """Whether it stands for text that an item could have to do with."""
        return self.kind in (Kind.WORD, Kind.PIECE)


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
    """Return what a token is and the word a person reads in it.

    Args:
        token: the string in the vocabulary ("Ġchocolate", "▁chocolate", "##late").
        style: how the vocabulary marks words.
        special: whether the tokenizer itself calls it a control token.
    """
    if not token or _UNUSED.fullmatch(token):
        return Token(Kind.UNUSED, token)
    if _BYTE.fullmatch(token):
        return Token(Kind.BYTE, token)
    if special or _CONTROL.fullmatch(token):
        return Token(Kind.CONTROL, token)
    text, begins = token, True
    if style is Style.BYTES:
        decoded = _decode_bytes(token)
        if decoded is None:
            return Token(Kind.UNDECODABLE, token)
        text, begins = decoded, decoded.startswith(" ")
    elif style is Style.PIECES:
        text, begins = token.replace("▁", " "), token.startswith("▁")
    elif style is Style.CONTINUATIONS and token.startswith("##") and len(token) > 2:
        text, begins = token[2:], False
    word = text.strip()
    if not word:
        return Token(Kind.BLANK, token)
    if "\ufffd" in word:
        return Token(Kind.UNDECODABLE, token)
    return Token(Kind.WORD if begins else Kind.PIECE, word)


def read_vocabulary(vocabulary: Sequence[str], special: frozenset[int] = frozenset()) -> list[Token]:
    """Read all tokens of a vocabulary.

    Args:
        vocabulary: the string of every token.
        special: rows that the tokenizer calls control tokens.
    """
    style = style_of(vocabulary)
    return [read_token(token, style, row in special) for row, token in enumerate(vocabulary)]


def representatives(tokens: Iterable[tuple[int, Token]], prefer: Kind = Kind.WORD) -> dict[str, int]:
    """Return one row for every word, whatever its case.

    A token that begins a word comes before one inside words, lower case before capitals, an early row
    (a frequent token) before a late one.

    Args:
        tokens: (row, token) pairs; those that are no text are skipped.
        prefer: `Kind.PIECE` puts tokens inside words first.
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


def _decode_bytes(token: str) -> str | None:
    try:
        return bytes(_BYTES[character] for character in token).decode("utf-8")
    except (KeyError, UnicodeDecodeError):
        return None
