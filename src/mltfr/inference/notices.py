"""What a caller should know about histories and lists that were not understood in full."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from mltfr.inference.lists import ItemList


def notices(unknown: Mapping[str, int], without_known_item: Sequence[str], lists: Iterable[ItemList] = ()) -> list[str]:
    """Return one line for each thing that was skipped or answered otherwise than asked.

    Args:
        unknown: how often each unknown item id occurs in histories.
        without_known_item: users of whose history training knows nothing.
        lists: lists of items that may, or may not, be recommended.
    """
    found: list[str] = []
    if unknown:
        found.append(
            f"{len(unknown)} items are not in the training data and were skipped ({sum(unknown.values())} times; "
            f"{_first(unknown)})."
        )
    found += [
        f"{len(given.unknown)} items of {given.name} are not in the training data and were skipped "
        f"({_first(given.unknown)})."
        for given in lists
        if given.unknown
    ]
    if without_known_item:
        found.append(
            f"{len(without_known_item)} histories hold no item that training knows; they get the most popular items "
            f"(first: user {without_known_item[0]})."
        )
    return found


def _first(items: Iterable[str]) -> str:
    """Return the first three items as one text."""
    some = list(islice(items, 4))
    return ", ".join(some[:3]) + (", ..." if len(some) > 3 else "")
