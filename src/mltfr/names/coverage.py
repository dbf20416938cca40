"""How far names reach: items that have one, words that the tables know, and examples of what they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from mltfr.names.words import ItemWords
from mltfr.tokens.spelling import Spelling

EXAMPLES = 5
"""Examples that are shown of each kind."""
DOUBTFUL = 0.2
"""Share of words that are tokens of the best table below which a name is hardly one in words that it knows."""


@dataclass(frozen=True)
class TableCoverage:
    """The words of all names in one table; a word counts once for every item that has it.

    Attributes:
        table: name of the table.
        whole: words that are one token.
        pieces: words that are spelled with several.
        missing: words that it cannot spell.
        in_pieces: the words of most items that are spelled with several tokens.
        not_spelled: the words of most items that it cannot spell.
    """

    table: str
    whole: int
    pieces: int
    missing: int
    in_pieces: tuple[str, ...]
    not_spelled: tuple[str, ...]

    @classmethod
    def of(cls, table: str, spelling: Spelling, words: ItemWords) -> Self:
        """Count the words of names that a table's vocabulary spells."""
        tokens = np.array([len(spelling.rows(word)) for word in words.words], np.int64)     # [U]
        items = words.items                                                                 # [U]

        def most(chosen: Any) -> tuple[str, ...]:
            places = np.flatnonzero(chosen)
            first = places[np.argsort(-items[places], kind="stable")][:EXAMPLES]
            return tuple(words.words[place] for place in first)

        whole, pieces, missing = (int(items[chosen].sum()) for chosen in (tokens == 1, tokens > 1, tokens == 0))
        return cls(table, whole, pieces, missing, most(tokens > 1), most(tokens == 0))

    @property
    def total(self) -> int:
        """Number of words, 1 if there is none."""
        return max(1, self.whole + self.pieces + self.missing)

    @property
    def share_whole(self) -> float:
        """Share of the words that are one token."""
        return self.whole / self.total

    def __str__(self) -> str:
        parts = [f"{self.table}: {self.share_whole:.0%} of the words are one token"]
        for count, what, examples in (
            (self.pieces, "in pieces", self.in_pieces), (self.missing, "not known", self.not_spelled),
        ):  # fmt: skip
            if count:
                parts.append(f"{_percent(count / self.total)} {what} ({', '.join(examples)})")
        return ", ".join(parts)


@dataclass(frozen=True)
class NameCoverage:
    """How far names reach.

    Attributes:
        source: where the names came from.
        columns: columns that were read.
        items: items that training knows.
        named: items of these that have a name with a word.
        nameless: the first ids of those that have none.
        words: words of all names, one for every item that has it.
        different: different words.
        shared: different words that two items or more have.
        tables: how far the vocabulary of every table reaches; none where names are read as words.
    """

    source: str
    columns: tuple[str, ...]
    items: int
    named: int
    nameless: tuple[str, ...]
    words: int
    different: int
    shared: int
    tables: tuple[TableCoverage, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the coverage as the manifest and `metrics.json` have it."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Sequence[str]:
        """Return the coverage in words: one line on the names, and one on each table."""
        of = f" ({', '.join(self.columns)})" if self.columns else ""
        without = self.items - self.named
        more = ", ..." if without > len(self.nameless) else ""
        lack = f"; without one: {', '.join(self.nameless)}{more}" if without else ""
        counts = f"{self.words:,} words, {self.different:,} different, {self.shared:,} of them in several names"
        first = f"names of {self.source}{of}: {self.named:,} of {self.items:,} items have one{lack}; {counts}"
        return [first, *map(str, self.tables)]

    @property
    def doubt(self) -> str | None:
        """What is to be said where the names are hardly made of words that a table knows; None where they are."""
        best = max((table.share_whole for table in self.tables), default=1.0)
        if best >= DOUBTFUL:
            return None
        pieces = next((table.in_pieces or table.not_spelled for table in self.tables), ())
        return (
            f"{self.source}: only {best:.0%} of the words in these names are words of a token table (others: "
            f"{', '.join(pieces)}). If they are codes and no words, the names say nothing; if they are of another "
            "language, choose tables that know it (--tokens)."
        )


def _percent(share: float) -> str:
    return "less than 1%" if share < 0.01 else f"{share:.0%}"
