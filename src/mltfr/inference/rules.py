"""Rules: which items are candidates for a history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mltfr.errors import DataError
from mltfr.interactions import History, Vocabulary
from mltfr.interactions.collate import Codes, known_of


@dataclass(frozen=True)
class Rules:
    """Which items may be recommended; the others score minus infinity.

    Attributes:
        remove_seen: leave out the items of the history, all of it and not only what the model reads.
        allow: item codes that may be recommended; None for all.
        deny: item codes that may not.
    """

    remove_seen: bool = True
    allow: Sequence[int] | None = None
    deny: Sequence[int] = ()

    def seen(self, lengths: Codes, codes: History) -> tuple[Codes, Codes] | None:
        """Return which items are no candidates since they are in the history: rows and codes, as `known_items` does.

        None where all items of a history are candidates.

        Args:
            lengths: those of the histories, int64 `[B]`.
            codes: their items, one history after the other, `[T]`.
        """
        return known_of(lengths, codes) if self.remove_seen else None

    def blocked(self, items: int) -> Tensor | None:
        """Return which codes `allow` and `deny` forbid for all histories, bool `[I + 1]`; None if they forbid nothing.

        Raises:
            ValueError: one of them holds something that is not an item's code.
        """
        for name, codes in (("allow", self.allow or ()), ("deny", self.deny)):
            wrong = [code for code in codes if not 1 <= code <= items]
            if wrong:
                raise ValueError(f"{name} holds {wrong[0]}, but item codes are 1 to {items}.")
        if self.allow is None and not len(self.deny):
            return None
        blocked = torch.full((items + 1,), self.allow is not None)
        if self.allow is not None:
            blocked[torch.as_tensor(np.asarray(self.allow, np.int64))] = False
        blocked[torch.as_tensor(np.asarray(self.deny, np.int64))] = True
        return blocked


def rules_of_ids(
    vocabulary: Vocabulary, remove_seen: bool, allow: Iterable[str] | None, deny: Iterable[str] | None
) -> tuple[Rules, dict[str, list[str]]]:
    """Return the rules that item filters given as ids describe, and what of the filters training has not seen.

    Args:
        vocabulary: the items that training knows.
        remove_seen: leave out the items of the history.
        allow: ids of items that may be recommended; None for all. A shop's list may well hold items that training
            has not seen.
        deny: ids of items that may not.

    Returns:
        The rules, and by the filter's name ("allow", "deny") its unknown ids, each once.

    Raises:
        DataError: training has seen no item of `allow`.
    """
    codes: dict[str, list[int]] = {}
    unknown: dict[str, list[str]] = {}
    for name, given in (("allow", allow or ()), ("deny", deny or ())):
        ids = list(dict.fromkeys(given))
        codes[name] = [vocabulary.codes[item] for item in ids if item in vocabulary.codes]
        unknown[name] = [item for item in ids if item not in vocabulary.codes]
    if unknown["allow"] and not codes["allow"]:
        count = len(unknown["allow"])
        found = f"None of the {count} items of allow occurs" if count > 1 else "The item of allow does not occur"
        raise DataError(
            f"{found} in the training data (first: '{unknown['allow'][0]}'). Give ids as the log writes them."
        )
    return Rules(remove_seen, None if allow is None else codes["allow"], codes["deny"]), unknown
