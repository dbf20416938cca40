"""What became of the rows of a new log, in numbers and in words."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mltfr.errors import MltfrWarning, shown

STRANGERS = "Training has seen none of their items: are ids written as in the run's log?"


def written_otherwise(found: Iterable[str], known: Iterable[str]) -> tuple[str, str] | None:
    """Return an id and the known one that it seems to be, written otherwise, as `4.0`, `04` or `U4` for 4 and u4.

    None where fewer than half of the ids seem to be known ones: among many, some are alike by chance.

    Args:
        found: ids that are not known.
        known: those that are.
    """
    plain = {_plain(text): text for text in known}
    strangers = {text: plain.get(_plain(text)) for text in found}
    twins = [(text, twin) for text, twin in strangers.items() if twin is not None]
    return twins[0] if twins and 2 * len(twins) >= len(strangers) else None


def _plain(text: str) -> str:
    """Return an id without what programs change when they write it: case, leading zeros, a fraction of zero."""
    return re.sub(r"^0+(?=\d+$)", "", re.sub(r"(?<=\d)\.0+$", "", text.casefold()))


@dataclass(frozen=True)
class NewRows:
    """What became of the rows of a new log.

    Attributes:
        source: the log.
        rows: its rows.
        not_later: rows that were left out because they do not lie behind the run's last time.
        filtered: rows that the run's filters left out.
        interactions: rows that were taken.
        users: their users.
        new_users: users among them that the run did not know.
        new_items: items among them that training has not seen so far and sees now.
        unknown_items: items among them that training has not seen.
        of_unknown_items: rows of these items: misses as targets, and skipped in histories.
        without_history: rows that are no examples, since nothing of their user lies before them.
        timed: whether their times could be held against the run's last time.
        not_applied: filters of the run that new rows need not meet.
        otherwise: of `items`, where none is known, and of `users`: an id and the known one that it seems to be. It
            stays out of documents, which hold no ids.
    """

    source: str
    rows: int
    not_later: int
    filtered: int
    interactions: int
    users: int
    new_users: int
    new_items: int
    unknown_items: int
    of_unknown_items: int
    without_history: int
    timed: bool
    not_applied: tuple[str, ...] = ()
    otherwise: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as documents keep them."""
        return {key: value for key, value in asdict(self).items() if key != "otherwise"}

    def warn(self) -> None:
        """Warn of rows that were left out, or mean nothing to the run."""
        if self.not_later or self.filtered or self.otherwise or self.interactions == self.of_unknown_items:
            warnings.warn(str(self), MltfrWarning, stacklevel=3)

    def __str__(self) -> str:
        left_out = [
            f"{count:,} {reason}"
            for count, reason in (
                (self.not_later, "not later than the run's last row"),
                (self.filtered, "by the run's filters"),
            )
            if count
        ]
        taken = f"{self.interactions:,} of {self.rows:,} rows taken"
        parts = [
            f"{taken} (left out: {', '.join(left_out)})" if left_out else taken,
            f"users: {self.users:,}, of them new: {self.new_users:,}",
        ]
        if self.new_items:
            parts.append(f"new items: {self.new_items:,}")
        if self.of_unknown_items:
            parts.append(
                f"rows of items that training has not seen: {self.of_unknown_items:,} (items: {self.unknown_items:,})"
            )
        if self.without_history:
            parts.append(f"rows with nothing of their user before them: {self.without_history:,}")
        if not self.timed:
            parts.append("without times to compare, all are taken to be later than the run's")
        if self.not_applied:
            parts.append(f"{', '.join(self.not_applied)}: not asked of new rows (they chose what was trained on)")
        said = [f"{self.source}: {'; '.join(parts)}."]
        if 0 < self.interactions == self.of_unknown_items and "items" not in self.otherwise:
            said.append(STRANGERS)
        said += [
            f"Ids of {kind} seem to be written otherwise: {shown(here)} here, {shown(there)} in the run's log. Write "
            "them alike."
            for kind, (here, there) in self.otherwise.items()
        ]
        return " ".join(said)
