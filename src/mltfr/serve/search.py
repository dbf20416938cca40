"""Search: the items whose ids or names hold some words, for people who build a history by hand."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt


class ItemSearch:
    """Finds items by their ids and names, without regard to case, accents and the width of white space.

    Args:
        item_ids: id of code `c` at `c - 1`.
        counts: int64 `[I + 1]`; training interactions of every code.
        names: what items are called, by id.
    """

    def __init__(self, item_ids: Sequence[str], counts: npt.NDArray[np.int64], names: Mapping[str, str]) -> None:
        self._order = np.argsort(-counts[1:], kind="stable") + 1  # the most popular first
        ids = [item_ids[code - 1] for code in self._order.tolist()]
        lines = [f"\n{folded(item)}\n{folded(names.get(item, ''))}\n" for item in ids]
        self._text = "".join(lines)  # one text, since a text is searched much faster than a list
        self._starts = np.cumsum([0, *map(len, lines)])

    def find(self, query: str, most: int) -> list[int]:
        """Return codes of items: those called so, then those that begin so, then those with a word that does, then
        those that hold every word; of each kind the most popular first. An empty query finds them all.

        Args:
            query: some words.
            most: how many items to return, at most.
        """  # fmt: skip
        text = folded(query)
        if not text:
            return self._order[:most].tolist()
        found: dict[int, None] = {}
        for needles in ([f"\n{text}\n"], [f"\n{text}"], [f" {text}"], sorted(text.split(), key=len, reverse=True)):
            found |= dict.fromkeys(islice(self._rows(*needles), most))
            if len(found) >= most:
                break
        return [int(self._order[row]) for row in list(found)[:most]]

    def _rows(self, first: str, *others: str) -> Iterator[int]:
        """Yield the rows of the items whose lines hold some texts."""
        place = self._text.find(first)
        while place >= 0:
            row = int(np.searchsorted(self._starts, place, "right")) - 1
            start, stop = int(self._starts[row]), int(self._starts[row + 1])
            if all(self._text.find(other, start, stop) >= 0 for other in others):
                yield row
            place = self._text.find(first, stop)


def folded(text: str) -> str:
    """Return a text as it is compared: without case, accents and white space beyond one blank."""
    if not text.isascii():
        letters = unicodedata.normalize("NFKD", text.casefold())  # an accent that stands alone leaves a blank there
        text = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(text.casefold().split())
