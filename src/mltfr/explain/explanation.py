"""An explanation: why one item stands where it stands for one user, in numbers that can be checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mltfr.storage.adapter import adapter_of

Method = Literal["leave one out", "exact parts", "popularity"]
"""How contributions were found: by scoring the history without the item, as summands, or there are none."""


@dataclass(frozen=True)
class Contribution:
    """What one item of the history does to the score.

    Attributes:
        item_id: the item; all of its occurrences together.
        places: where it stands in the history, 1 the oldest.
        value: its contribution, in the explanation's unit.
        read: whether the model reads it: what is older than the model's window contributes nothing.
        name: what it is called; None where no names are given.
    """

    item_id: str
    places: tuple[int, ...]
    value: float
    read: bool = True
    name: str | None = None


@dataclass(frozen=True)
class Removed:
    """Where the item stands once some items of the history are removed, the exclusions being what they were.

    Attributes:
        items: the items that are removed.
        score: the score without them.
        rank: the rank without them.
    """

    items: tuple[str, ...]
    score: float
    rank: int


@dataclass(frozen=True)
class Effect:
    """What a part of the model does to the score: the score minus that of the model without the part.

    Attributes:
        part: "fusion", "table NAME", "names", or the name of a blend's member, whose effect is its summand.
        value: the effect, in the explanation's unit.
        without: what is done to leave it out, in words.
        rank: the rank without it; None where that is not asked.
    """

    part: str
    value: float
    without: str
    rank: int | None = None


@dataclass(frozen=True)
class KeptToken:
    """A token that the newest position keeps, what it was looked at with, and what it changes.

    Attributes:
        table: its token table.
        token: its row in the prepared table.
        text: its text; None where the table is not at hand.
        looked_at: its weight among the kept tokens of its table: what the filter looked at.
        effect: the score minus that with the token's attention entry masked at every position that keeps it.
    """

    table: str
    token: int
    text: str | None
    looked_at: float
    effect: float


@dataclass(frozen=True)
class Explanation:
    """Why an item stands where it stands for a user.

    Attributes:
        user_id: the user, or the place of a raw history.
        item_id: the item.
        name: what it is called; None where no names are given.
        rank: its rank among all candidates; None where it is none.
        score: its score.
        k: length of the list that it is explained for.
        unit: what the score and all contributions count: "logit", "probability", or the baseline's own.
        method: how contributions were found.
        contributions: of the history's items, the largest first; behind them those that the model does not read.
        reference: the score of the same model for an empty history, from which effects are counted; of exact parts,
            what is left without any.
        reference_is: that in words.
        sum_of_parts: the sum of the contributions.
        total_effect: score minus reference.
        interaction: total effect minus sum of parts: what no single item does alone; 0 but for rounding where parts
            are exact.
        smallest_set: the smallest set of at most three history items whose removal drops the item from the first k;
            None where none was found, or the item is not among them.
        fidelity: the score and rank once the first 1, 2, ... items of an order are removed, by the name of the order:
            the explanation's own, and others that know nothing of it.
        effects: of the fusion, of its tables, of names, and of a blend's members.
        router: by table, the router's share at the newest position: what the model looked at, not what it changed.
        tokens: the tokens that the newest position keeps, the largest effect first.
        controls: what the run's own controls say of its fusion and so of its words.
        notes: what was skipped, fixed or taken together, in sentences.
    """

    user_id: str
    item_id: str
    name: str | None
    rank: int | None
    score: float
    k: int
    unit: str
    method: Method
    contributions: tuple[Contribution, ...]
    reference: float
    reference_is: str
    sum_of_parts: float
    total_effect: float
    interaction: float
    smallest_set: Removed | None = None
    fidelity: Mapping[str, tuple[Removed, ...]] = field(default_factory=dict)
    effects: tuple[Effect, ...] = ()
    router: Mapping[str, float] = field(default_factory=dict)
    tokens: tuple[KeptToken, ...] = ()
    controls: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as plain lists, texts and finite numbers."""
        document: dict[str, Any] = adapter_of(type(self)).dump_python(self, mode="json")
        return document
