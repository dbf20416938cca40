"""What is said about items in words: the text columns of a table about them, or their ids."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import unquote

import numpy as np
import polars as pl

from mltfr.errors import DataError, did_you_mean
from mltfr.interactions import Vocabulary
from mltfr.interactions.columns import (
    ITEM_NAMES,
    ROWS,
    USER_NAMES,
    Columns,
    Values,
    further,
    require_once,
    usual_column,
)
from mltfr.interactions.item_names import NAME, NAME_NAMES, first_names, read_item_table
from mltfr.interactions.raw import ITEM, USER
from mltfr.names.config import IDS
from mltfr.storage.parse import parse_json

EXPECTED = "Expected item_id, or a usual synonym such as product_id, and columns of words such as a title"
_ITEM_NAMES = (*ITEM_NAMES, "id")
_FURTHER = further("")
_URL = ("http://", "https://", "www.", "data:image")
_JSON = r"^\s*[\[{]"
_ENTITY, _TAG = r"&#?\w+;", r"</?[a-zA-Z][^<>]*>"
_WORD_IN_ID = r"\p{L}{3}|[\p{Han}\p{Hiragana}\p{Katakana}]"
"""What an id has that is a word: three letters in a row, or one sign that stands for a word."""


@dataclass(frozen=True)
class TextColumns(Columns):
    """Columns of a table about items: its ids, which a reader takes for users and items both, and those of words.

    Attributes:
        texts: the columns of words that were asked for; all that there are, if none, but for ids of users: who had an
            item says nothing in words, and may be what is held out.
    """

    texts: tuple[str, ...] = ()

    def resolve(self, names: Sequence[str], source: str, values: Values) -> dict[str, str]:
        """Return the columns of ids and words.

        Raises:
            DataError: there are no such columns, or one is there twice.
        """
        item = self.item if self.item in names else usual_column(names, _ITEM_NAMES)
        name = usual_column(names, NAME_NAMES)
        if item is None and name is not None and len(names) == 2:
            item = next(other for other in names if other != name)
        listed = ", ".join(repr(each[:40]) for each in names[:8])
        if item is None:
            raise DataError(f"{source}: no column of item ids among {listed}. {EXPECTED}; rename the columns.")
        for text in self.texts:
            if text not in names:
                close = did_you_mean(text, names)
                raise DataError(f"{source}: no column '{text}'. The file has {listed}.{close} Correct --name-columns.")
        found = self.texts or tuple(
            each
            for each in names
            if each != item and usual_column([each], USER_NAMES) is None and holds_words(values(each))
        )
        if not found:
            raise DataError(f"{source}: no column of words beside '{item}' among {listed}. {EXPECTED}.")
        require_once((item, *found), names, source)
        return {USER: item, ITEM: item, **{further(each): each for each in found}}

    def are_usual(self, names: Sequence[str]) -> bool:
        """Say whether `names` looks like a header of such a table."""
        return any(name in names for name in (self.item, *self.texts)) or any(
            usual_column(names, usual) for usual in (_ITEM_NAMES, NAME_NAMES)
        )


def holds_words(values: Iterable[Any]) -> bool:
    """Return whether most of a column's first values that say anything are words: with a letter, and no address."""
    first = list(islice((text for value in values if any(map(str.isalnum, text := _joined(value)))), ROWS))
    words = [text for text in first if any(map(str.isalpha, text)) and not text.strip().lower().startswith(_URL)]
    return 2 * len(words) > len(first)


@dataclass(frozen=True, eq=False)
class ItemTexts:
    """What is said about items.

    Attributes:
        table: `item_id` and `name` (both String), every item once.
        columns: columns of the source that were read; none where the ids themselves were.
        source: where they came from, for people.
    """

    table: pl.DataFrame
    columns: tuple[str, ...]
    source: str

    def fingerprint(self) -> str:
        """Return a checksum of the texts."""
        return hashlib.sha256(self.table.write_csv().encode()).hexdigest()

    def beside(self, vocabulary: Vocabulary) -> pl.DataFrame:
        """Return the ids and texts of items that training has not seen, in the order of the source."""
        return self.table.join(vocabulary.ids.to_frame(), on=ITEM, how="anti", maintain_order="left")

    def of(self, vocabulary: Vocabulary) -> pl.Series:
        """Return the texts of the items that training knows in the order of their codes, null where one has none.

        Raises:
            DataError: none has a text.
        """
        found = vocabulary.ids.to_frame().join(self.table, on=ITEM, how="left", maintain_order="left")[NAME]
        if found.null_count() == len(found):
            known = f"the log has {', '.join(vocabulary.item_ids[:3])}, and they {', '.join(self.table[ITEM].head(3))}"
            raise DataError(
                f"{self.source}: none of the {len(self.table):,} ids of these names is an item of the log ({known}). "
                "Give the names of these items, with their ids as the log writes them."
            )
        return found


def item_texts(source: Any, columns: Sequence[str] = (), item_column: str | None = None) -> ItemTexts:
    """Read what a table says about items; what was left out of it is said by `MltfrWarning`s.

    Args:
        source: a CSV, TSV, Parquet, JSON Lines or RecBole file; a polars, pandas or Arrow table; texts by item id; or
            what this function returned.
        columns: columns that are read; all that hold words if not given. Lists of words are read too.
        item_column: the column of the ids, where it is there; a usual name otherwise.

    Raises:
        DataError: it is something else, lacks a column, or says nothing about any item.
    """
    if isinstance(source, ItemTexts):
        return source
    columns = tuple(dict.fromkeys(columns))
    table = read_item_table(source, TextColumns(item=item_column, texts=columns), EXPECTED)
    taken = [further(name) for name in columns] or [each for each in table.frame.columns if each.startswith(_FURTHER)]
    joined = pl.select(pl.concat_str([_texts(table.frame[name]) for name in taken], separator=" ", ignore_nulls=True))
    names = first_names(table, joined.to_series(), EXPECTED)
    return ItemTexts(_unescaped(names), tuple(name.removeprefix(_FURTHER) for name in taken), table.name)


def texts_of_ids(vocabulary: Vocabulary) -> ItemTexts:
    """Return the words that the ids themselves hold: `new-order_BlueMonday` is "new order Blue Monday".

    Raises:
        DataError: no id holds a word.
    """
    ids = vocabulary.ids
    escaped = ids.str.contains("%", literal=True).arg_true()
    plain = texts = ids.clone().scatter(escaped, [unquote(text) for text in ids.gather(escaped)])
    for hump in (r"([\p{Ll}\p{N}])(\p{Lu})", r"(\p{Lu})(\p{Lu}\p{Ll})"):
        texts = texts.str.replace_all(hump, "$1 $2")
    texts = texts.str.replace_all(r"[^\p{L}\p{M}]+", " ").str.strip_chars()
    table = pl.DataFrame({ITEM: ids, NAME: texts}).filter(plain.str.contains(_WORD_IN_ID))
    if table.is_empty():
        first = ", ".join(vocabulary.item_ids[:3])
        raise DataError(f"--item-names {IDS}: no item id holds a word ({first}). Give a file of names instead.")
    return ItemTexts(table, (), "the item ids")


def _texts(column: pl.Series) -> pl.Series:
    """Return a column as texts; the elements of lists, in JSON too, with spaces between them."""
    if column.dtype.is_nested():
        return pl.Series(map(_joined, column), dtype=pl.String)
    texts = column.cast(pl.String, strict=False)
    places = texts.str.contains(_JSON).fill_null(False).arg_true()
    return texts.scatter(places, [_joined(_of_json(text)) for text in texts.gather(places)])


def _joined(value: Any) -> str:
    """Return a value as a text; the elements of a list, and the values of a structure, with spaces between them."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple | np.ndarray | pl.Series):
        return " ".join(filter(None, map(_joined, value)))
    return "" if value is None else str(value)


def _of_json(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:  # a title in brackets
        return text


def _unescaped(names: pl.DataFrame) -> pl.DataFrame:
    """Return names without HTML: `&amp;` is `&`, and `<br>` a space, however it is written."""
    places = names[NAME].str.contains(_ENTITY).arg_true()
    plain = names[NAME].clone().scatter(places, [html.unescape(text) for text in names[NAME].gather(places)])
    return names.with_columns(plain.str.replace_all(_TAG, " "))
