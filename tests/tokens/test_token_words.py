"""Reading tokens as a person would."""

from __future__ import annotations

import pytest

from mltfr.tokens.words import Style, TokenKind, read_token, read_vocabulary, rows_by_word, style_of


@pytest.mark.parametrize(
    ("vocabulary", "style"),
    [
        (["Ġthe", "ing", "Ġof"], Style.BYTES),
        (["▁the", "ing", "▁of"], Style.PIECES),
        (["the", "##ing", "of"], Style.CONTINUATIONS),
        (["the", "of", "##"], Style.PLAIN),
        ([], Style.PLAIN),
    ],
)
def test_the_style_is_found(vocabulary: list[str], style: Style) -> None:
    assert style_of(vocabulary) is style


def test_a_stray_mark_is_no_style() -> None:
    assert style_of(["▁the", *(f"word{n}" for n in range(200))]) is Style.PLAIN


@pytest.mark.parametrize(
    ("token", "style", "kind", "word"),
    [
        ("Ġchocolate", Style.BYTES, TokenKind.WORD, "chocolate"),
        ("ate", Style.BYTES, TokenKind.PIECE, "ate"),
        ("ĠcafÃ©", Style.BYTES, TokenKind.WORD, "café"),
        ("Ã", Style.BYTES, TokenKind.UNDECODABLE, "Ã"),
        ("ĠĠ", Style.BYTES, TokenKind.BLANK, "ĠĠ"),
        ("Ċ", Style.BYTES, TokenKind.BLANK, "Ċ"),
        ("<|endoftext|>", Style.BYTES, TokenKind.CONTROL, "<|endoftext|>"),
        ("▁chocolate", Style.PIECES, TokenKind.WORD, "chocolate"),
        ("olate", Style.PIECES, TokenKind.PIECE, "olate"),
        ("▁▁", Style.PIECES, TokenKind.BLANK, "▁▁"),
        ("<0x0A>", Style.PIECES, TokenKind.BYTE, "<0x0A>"),
        ("<unused12>", Style.PIECES, TokenKind.UNUSED, "<unused12>"),
        ("<start_of_turn>", Style.PIECES, TokenKind.CONTROL, "<start_of_turn>"),
        ("</s>", Style.PIECES, TokenKind.CONTROL, "</s>"),
        ("<extra_id_7>", Style.PIECES, TokenKind.UNUSED, "<extra_id_7>"),
        ("<|reserved_special_token_5|>", Style.BYTES, TokenKind.UNUSED, "<|reserved_special_token_5|>"),
        ("##late", Style.CONTINUATIONS, TokenKind.PIECE, "late"),
        ("late", Style.CONTINUATIONS, TokenKind.WORD, "late"),
        ("[CLS]", Style.CONTINUATIONS, TokenKind.CONTROL, "[CLS]"),
        ("[unused7]", Style.CONTINUATIONS, TokenKind.UNUSED, "[unused7]"),
        ("", Style.PLAIN, TokenKind.UNUSED, ""),
        ("<3", Style.PLAIN, TokenKind.WORD, "<3"),
        ("a\ufffd", Style.PLAIN, TokenKind.UNDECODABLE, "a\ufffd"),
    ],
)
def test_a_token_is_read(token: str, style: Style, kind: TokenKind, word: str) -> None:
    read = read_token(token, style)
    assert (read.kind, read.word) == (kind, word)


def test_every_byte_of_the_byte_alphabet_comes_back() -> None:
    text = "".join(chr(n) for n in range(0x21, 0x250))
    from mltfr.tokens.words import _BYTES

    character_of = {byte: character for character, byte in _BYTES.items()}
    token = "".join(character_of[byte] for byte in text.encode())
    assert len(character_of) == 256
    assert read_token(token, Style.BYTES).word == text.strip()


def test_the_tokenizer_says_what_is_control() -> None:
    first, second = read_vocabulary(["▁system", "▁user"], special=frozenset({0}))
    assert (first.kind, second.kind) == (TokenKind.CONTROL, TokenKind.WORD)


def test_one_row_stands_for_a_word() -> None:
    tokens = read_vocabulary(["late", "▁Late", "▁late", "▁late", "<s>", "ate"])
    assert rows_by_word(enumerate(tokens)) == {"late": 2, "ate": 5}
    assert rows_by_word(enumerate(tokens), prefer=TokenKind.PIECE)["late"] == 0


@pytest.mark.parametrize(("marked", "style"), [(3, Style.PIECES), (2, Style.PIECES), (1, Style.PLAIN)])
def test_one_marked_token_in_a_hundred_makes_a_style(marked: int, style: Style) -> None:
    assert style_of(["▁word"] * marked + ["plain"] * (200 - marked)) is style
