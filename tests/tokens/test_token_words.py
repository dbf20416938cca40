"""Reading tokens as a person would."""

from __future__ import annotations

import pytest

from mltfr.tokens.words import Kind, Style, read_token, read_vocabulary, representatives, style_of


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
        ("Ġchocolate", Style.BYTES, Kind.WORD, "chocolate"),
        ("ate", Style.BYTES, Kind.PIECE, "ate"),
        ("ĠcafÃ©", Style.BYTES, Kind.WORD, "café"),
        ("Ã", Style.BYTES, Kind.UNDECODABLE, "Ã"),
        ("ĠĠ", Style.BYTES, Kind.BLANK, "ĠĠ"),
        ("Ċ", Style.BYTES, Kind.BLANK, "Ċ"),
        ("<|endoftext|>", Style.BYTES, Kind.CONTROL, "<|endoftext|>"),
        ("▁chocolate", Style.PIECES, Kind.WORD, "chocolate"),
        ("olate", Style.PIECES, Kind.PIECE, "olate"),
        ("▁▁", Style.PIECES, Kind.BLANK, "▁▁"),
        ("<0x0A>", Style.PIECES, Kind.BYTE, "<0x0A>"),
        ("<unused12>", Style.PIECES, Kind.UNUSED, "<unused12>"),
        ("<start_of_turn>", Style.PIECES, Kind.CONTROL, "<start_of_turn>"),
        ("</s>", Style.PIECES, Kind.CONTROL, "</s>"),
        ("<extra_id_7>", Style.PIECES, Kind.UNUSED, "<extra_id_7>"),
        ("<|reserved_special_token_5|>", Style.BYTES, Kind.UNUSED, "<|reserved_special_token_5|>"),
        ("##late", Style.CONTINUATIONS, Kind.PIECE, "late"),
        ("late", Style.CONTINUATIONS, Kind.WORD, "late"),
        ("[CLS]", Style.CONTINUATIONS, Kind.CONTROL, "[CLS]"),
        ("[unused7]", Style.CONTINUATIONS, Kind.UNUSED, "[unused7]"),
        ("", Style.PLAIN, Kind.UNUSED, ""),
        ("<3", Style.PLAIN, Kind.WORD, "<3"),
        ("a\ufffd", Style.PLAIN, Kind.UNDECODABLE, "a\ufffd"),
    ],
)
def test_a_token_is_read(token: str, style: Style, kind: Kind, word: str) -> None:
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
    assert (first.kind, second.kind) == (Kind.CONTROL, Kind.WORD)


def test_one_row_stands_for_a_word() -> None:
    tokens = read_vocabulary(["late", "▁Late", "▁late", "▁late", "<s>", "ate"])
    assert representatives(enumerate(tokens)) == {"late": 2, "ate": 5}
    assert representatives(enumerate(tokens), prefer=Kind.PIECE)["late"] == 0
