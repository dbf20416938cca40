"""A fast proof that a block of delimited text holds whole rows, which every parser reads alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mltfr.interactions.readers.layout import Layout

STAND_IN = b"\x1f"
"""Takes the place of a delimiter of several characters."""
_LINE, _RETURN = ord("\n"), ord("\r")
_Bytes = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.int64]
_Found = tuple[int, int, _Places]  # rows, where the last ends, places of blank lines


@dataclass(frozen=True)
class Regular:
    """What is proven of the beginning of a block.

    Attributes:
        text: its rows without blank lines.
        rows: how many they are.
        size: bytes of the block that they and the blank lines take.
        quoted: whether quotes mean anything; where no field begins with one, they are characters like others.
    """

    text: bytes
    rows: int
    size: int
    quoted: bool


def prove(block: bytes, layout: Layout, swallows: Callable[[str], bool]) -> Regular | None:
    """Prove that the rows of a block are regular, up to the last that ends in it.

    Every row has as many fields as the header, and every quote stands at an end of its field or is doubled inside, as
    RFC 4180 has it; or else no field begins with a quote. Python's `csv` finds the same rows then, as does polars.

    Args:
        block: whole lines of text, from the beginning of a row.
        layout: how rows are laid out.
        swallows: whether the text of a row with line breaks holds several rows, between two stray quotes.

    Returns:
        What was found; None where there is nothing, or something that only an exact reader can tell.
    """
    text = block if block.endswith(b"\n") else block + b"\n"
    delimiter, quote = layout.delimiter.encode(), (layout.quote or "").encode()
    if len(delimiter) > 1:
        if STAND_IN in text:
            return None
        text, delimiter = text.replace(delimiter, STAND_IN), STAND_IN
    if b"\0" in text or (layout.escape is not None and layout.escape.encode() in text):
        return None
    if layout.skip_space and (text.startswith(b" ") or b"\n " in text or delimiter + b" " in text):
        return None
    array = np.frombuffer(text, np.uint8)
    if b"\r" in text and (array[np.flatnonzero(array == _RETURN) + 1] != _LINE).any():
        return None
    quoted = quote != b"" and quote in text  # one byte is found faster than two
    quoted = quoted and (text.startswith(quote) or b"\n" + quote in text or delimiter + quote in text)
    width = len(layout.names)
    found = _quoted(array, delimiter[0], quote[0], width, swallows) if quoted else _plain(array, delimiter[0], width)
    if found is None:
        return None
    rows, end, blank = found
    if len(blank):
        blank = np.concatenate([blank, blank[(blank > 0) & (array[blank - 1] == _RETURN)] - 1])
        text = np.delete(array[:end], blank).tobytes()
    return Regular(text[:end], rows, len(block) if end == len(array) else end, quoted)


def _plain(array: _Bytes, delimiter: int, width: int) -> _Found | None:
    """Look at a block in which quotes are no marks."""
    marks = array == _LINE
    marks |= array == delimiter
    kinds, blank = np.compress(marks, array), np.empty(0, np.int64)
    if not _even(kinds, delimiter, width):
        places = np.flatnonzero(marks)
        empty = _blank(array, places, kinds)
        kinds, blank = kinds[~empty], places[empty]
        if not _even(kinds, delimiter, width):
            return None
    return len(kinds) // width, len(array), blank


def _quoted(array: _Bytes, delimiter: int, quote: int, width: int, swallows: Callable[[str], bool]) -> _Found | None:
    """Look at a block in which fields are quoted."""
    marks = array == _LINE
    marks |= array == delimiter
    marks |= array == quote
    places = np.flatnonzero(marks)
    kinds = array[places]
    is_quote = kinds == quote
    inside = (np.cumsum(is_quote, dtype=np.uint8) & 1).astype(bool)  # of an opening quote too, not of a closing one
    last = np.flatnonzero((kinds == _LINE) & ~inside)[-1:]
    if not len(last):
        return None
    cut = int(last[0]) + 1
    places, kinds, is_quote, inside = places[:cut], kinds[:cut], is_quote[:cut], inside[:cut]
    opening, closing = places[is_quote & inside], places[is_quote & ~inside]
    before = array[opening - 1]
    before[opening == 0] = _LINE
    after = array[closing + 1]
    if not ((before == _LINE) | (before == delimiter) | (before == quote)).all():
        return None
    if not ((after == _LINE) | (after == _RETURN) | (after == delimiter) | (after == quote)).all():
        return None
    real = ~is_quote & ~inside
    empty = _blank(array, places[real], kinds[real])
    rows, blank = kinds[real][~empty], places[real][empty]
    if not _even(rows, delimiter, width) or _swallowed(array, places, kinds, inside, delimiter, width, swallows):
        return None
    return len(rows) // width, int(places[-1]) + 1, blank


def _swallowed(
    array: _Bytes, places: _Places, kinds: _Bytes, inside: npt.NDArray[np.bool_], delimiter: int, width: int,
    swallows: Callable[[str], bool],
) -> bool:  # fmt: skip
    """Say whether any row with line breaks holds several rows: only those are asked of whose lines are as wide."""
    line = np.flatnonzero(kinds == _LINE)
    broken = inside[line]
    if not broken.any():
        return False
    fields = np.diff(np.cumsum(kinds == delimiter)[line], prepend=0) + 1
    whole = np.flatnonzero((fields >= width) & np.concatenate([[False], broken[:-1]]))  # lines that go on a row
    ends = np.flatnonzero(~broken)
    starts = places[line]
    for row in np.unique(np.searchsorted(ends, whole)).tolist():
        first = int(starts[ends[row - 1]]) + 1 if row else 0
        if swallows(array[first : int(starts[ends[row]]) + 1].tobytes().decode(errors="replace")):
            return True
    return False


def _even(kinds: _Bytes, delimiter: int, width: int) -> bool:
    """Say whether delimiters and line ends make rows of one width."""
    row = np.full(width, delimiter, np.uint8)
    row[-1] = _LINE
    return len(kinds) % width == 0 and bool((kinds.reshape(-1, width) == row).all())


def _blank(array: _Bytes, places: _Places, kinds: _Bytes) -> npt.NDArray[np.bool_]:
    """Say which of these delimiters and line ends are blank lines."""
    ends = kinds == _LINE
    gap = np.diff(places, prepend=-1)
    return ends & np.concatenate([[True], ends[:-1]]) & ((gap == 1) | ((gap == 2) & (array[places - 1] == _RETURN)))
