"""Lists of items that may, or may not, be recommended: item ids in, codes out, with what was not understood."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mltfr.errors import DataError
from mltfr.inference.rules import Rules
from mltfr.interactions import Vocabulary


@dataclass(frozen=True)
class ItemList:
    """Items that may, or may not, be recommended.

    Attributes:
        name: what the list is called, for messages.
        codes: those that training knows.
        unknown: ids of the others, each once.
    """

    name: str
    codes: Sequence[int]
    unknown: Sequence[str]


@dataclass(frozen=True)
class ItemLists:
    """What a caller says of items.

    Attributes:
        allow: those that may be recommended; None for all.
        deny: those that may not.
    """

    allow: ItemList | None
    deny: ItemList

    @property
    def given(self) -> tuple[ItemList, ...]:
        """The lists that there are."""
        return (self.deny,) if self.allow is None else (self.allow, self.deny)

    def rules(self, remove_seen: bool) -> Rules:
        """Return which items are candidates, with those of the history or without."""
        return Rules(remove_seen, None if self.allow is None else self.allow.codes, self.deny.codes)


def read_lists(vocabulary: Vocabulary, allow: Iterable[str] | None, deny: Iterable[str]) -> ItemLists:
    """Return the codes of two lists of item ids; a shop's list may well hold items that training has not seen.

    Args:
        vocabulary: the items that training knows.
        allow: ids of items that may be recommended; None for all.
        deny: ids of items that may not.

    Raises:
        DataError: a list is a single string, or training knows no item of `allow`.
    """
    allowed = None if allow is None else _codes(vocabulary, allow, "allow")
    denied = _codes(vocabulary, deny, "deny")
    if allowed is not None and allowed.unknown and not allowed.codes:
        raise DataError(
            f"None of the {len(allowed.unknown)} items of allow occurs in the training data "
            f"(first: '{allowed.unknown[0]}'). Give ids as the log writes them."
        )
    return ItemLists(allowed, denied)


def _codes(vocabulary: Vocabulary, items: Iterable[str], name: str) -> ItemList:
    if isinstance(items, str):
        raise DataError(f"{name} is the text {items!r}; expected a list of item ids.")
    ids = list(dict.fromkeys(str(item) for item in items))
    codes = vocabulary.codes
    return ItemList(name, [codes[i] for i in ids if i in codes], [i for i in ids if i not in codes])
