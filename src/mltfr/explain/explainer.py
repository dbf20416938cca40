"""Explain: why items stand where they stand for some users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from mltfr.errors import ConfigError
from mltfr.explain.contributions import Contributions, contributions, summands, unit_of
from mltfr.explain.effects import FusionEffects, fusion_effects
from mltfr.explain.explanation import Contribution, Effect, Explanation, Removed
from mltfr.explain.orders import OWN, null_orders, own_order, prefixes
from mltfr.explain.removal import Mask, ReadHistory, score, window_of
from mltfr.explain.smallest_set import Set, candidate_sets, singles, smallest_set
from mltfr.explain.variants import asking_once
from mltfr.inference import FallbackScorer, Rules, Scorer, top_k
from mltfr.interactions import UNKNOWN, History
from mltfr.interactions.collate import Codes, has_known_item
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.models import BLEND, BlendModel

POPULAR = "training interactions"
FALLBACK = (
    "No item of the history is known from training, so the model says nothing: the list is that of the most popular "
    "items, the same for everybody, and the score is the number of training interactions."
)
WORDS = "words of names (name-knn)"
SINGLES = 200
"""Items whose removal alone is tried where contributions are exact parts, the largest first."""


@dataclass(frozen=True)
class Explainer:
    """Explains a fitted model's scores.

    Args:
        fitted: the model with its data.
        scorer: its scorer, with popularity for histories without a known item.
        names: what items are called, by their ids.

    Raises:
        ConfigError: the model's scores depend on chance and on what is scored beside them.
    """

    fitted: FittedModel
    scorer: Scorer
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.fitted.config.depends_on_batch:
            raise ConfigError(
                f"'{self.fitted.config.title}' is the published arithmetic, whose scores depend on chance and on the "
                "histories beside them, so leaving an item out says nothing. Explain a run of preset 'default'."
            )

    @cached_property
    def fallback(self) -> FallbackScorer:
        """The scorer with its fallback, whose filters equal queries ask once."""
        if not isinstance(self.scorer, FallbackScorer):
            raise TypeError(f"{type(self.scorer).__name__} has no fallback.")
        return FallbackScorer(asking_once(self.scorer.scorer), self.scorer.fallback)

    def explain(
        self, user_id: str, codes: History, rules: Rules, k: int, items: Codes | None = None
    ) -> list[Explanation]:
        """Return explanations of some items for one history, or of its k best.

        Args:
            user_id: whose history it is.
            codes: item codes, oldest first; may hold `UNKNOWN`.
            rules: which items are candidates.
            k: length of the list.
            items: codes of the items, int64; None for the k best.
        """
        forbidden = self.forbidden(codes, rules)
        if items is None:
            best = top_k(self.scorer, [codes], k, rules)
            items = best.codes[0, : best.counts[0]]
        if not len(items):
            return []
        if not has_known_item([codes])[0]:
            return self._popular(user_id, codes, k, items, forbidden)
        history = ReadHistory.of(codes, window_of(self.fallback.scorer))
        found = contributions(self.fallback, history, items, forbidden)
        effects = self._effects(history, items, found, forbidden)
        return [
            self._explanation(user_id, history, items, column, found, effects, removed, forbidden, k)
            for column, removed in enumerate(self._removals(history, items, found, forbidden, k))
        ]

    def forbidden(self, codes: History, rules: Rules) -> Mask:
        """Return which items are no candidates: what the rules forbid, and what the whole history holds."""
        blocked = rules.blocked(self.scorer.items)
        forbidden = np.zeros(self.scorer.items + 1, np.bool_) if blocked is None else blocked.numpy().copy()
        if rules.remove_seen:
            forbidden[codes[codes != UNKNOWN]] = True
        return forbidden

    def _removals(
        self, history: ReadHistory, items: Codes, found: Contributions, forbidden: Mask, k: int
    ) -> list[dict[Set, tuple[float, int]]]:
        """Return for every item the scores and ranks without the sets of history items that it asks for."""
        of_all = prefixes(null_orders(history.items, self.fitted.split.vocabulary.counts))
        asked: list[list[Set]] = []
        tried: list[dict[Set, tuple[float, int]]] = []
        for column in range(len(items)):
            order = own_order(history.items, found.values[:, column])
            sets = [each for orders in (prefixes({OWN: order}), of_all) for row in orders.values() for each in row]
            known: dict[Set, tuple[float, int]] = {}
            if found.without is None:
                sets += [(code,) for code in order[:SINGLES].tolist()]
            else:
                scores = found.scores[column] - found.values[:, column]
                known = singles(history.items, scores, found.without[:, column])
            if found.ranks[column] <= k and not any(rank > k for _, rank in known.values()):
                sets += candidate_sets(order)
            asked.append([each for each in sets if each not in known])
            tried.append(known)
        row = {each: number for number, each in enumerate(dict.fromkeys(_same(s) for sets in asked for s in sets))}
        if row:
            without = score(self.fallback, [history.without(each) for each in row], items, forbidden)
            for column, sets in enumerate(asked):
                cells = [(each, row[_same(each)]) for each in sets]
                tried[column] |= {
                    each: (float(without.scores[at, column]), int(without.ranks[at, column])) for each, at in cells
                }
        return tried

    def _explanation(
        self,
        user_id: str,
        history: ReadHistory,
        items: Codes,
        column: int,
        found: Contributions,
        effects: FusionEffects,
        tried: dict[Set, tuple[float, int]],
        forbidden: Mask,
        k: int,
    ) -> Explanation:
        code, rank = int(items[column]), int(found.ranks[column])
        order = own_order(history.items, found.values[:, column])
        value = dict(zip(history.items.tolist(), found.values[:, column].tolist(), strict=True))
        told = [self._contribution(history, each, value[each], read=True) for each in order.tolist()]
        told += [self._contribution(history, each, 0.0, read=False) for each in history.older.tolist()]
        orders = {OWN: order, **null_orders(history.items, self.fitted.split.vocabulary.counts)}
        sets = prefixes(orders)
        rows = {name: tuple(self._removed(each, tried[each]) for each in removed) for name, removed in sets.items()}
        dropping = smallest_set(tried, k) if rank <= k and not forbidden[code] else None
        notes = self._notes(history)
        if forbidden[code]:
            notes.append(f"Item {self._id(code)} is no candidate: it is in the history, or the request leaves it out.")
        total, sum_of_parts = float(found.totals[column]), float(found.sums[column])
        return Explanation(
            user_id=user_id,
            item_id=self._id(code),
            name=self.names.get(self._id(code)),
            rank=None if forbidden[code] else rank,
            score=float(found.scores[column]),
            k=k,
            unit=unit_of(self.fallback.scorer),
            method=found.method,
            contributions=tuple(told),
            reference=float(found.reference[column]),
            reference_is=found.reference_is,
            sum_of_parts=sum_of_parts,
            total_effect=total,
            interaction=total - sum_of_parts,
            smallest_set=None if dropping is None else self._removed(dropping, tried[dropping]),
            fidelity=rows,
            effects=effects.of(column),
            router=effects.router,
            tokens=effects.tokens_of(column),
            controls=effects.controls,
            notes=tuple(notes),
        )

    def _popular(self, user_id: str, codes: History, k: int, items: Codes, forbidden: Mask) -> list[Explanation]:
        """Return explanations of a popularity fallback, which no history item has a part in."""
        popular = FallbackScorer(self.fallback.fallback, self.fallback.fallback)
        found = score(popular, [codes], items, forbidden)
        rows = zip(items.tolist(), found.scores[0].tolist(), found.ranks[0].tolist(), strict=True)
        plain = Explanation(
            user_id, "", None, None, 0.0, k, POPULAR, "popularity", (), 0.0, "popularity", 0.0, 0.0, 0.0,
            notes=(FALLBACK, *self._notes(ReadHistory.of(codes, None))),
        )  # fmt: skip
        return [
            replace(
                plain, item_id=self._id(code), name=self.names.get(self._id(code)), score=value, reference=value,
                reference_is="popularity, which is the whole score", rank=None if forbidden[code] else rank,
            )
            for code, value, rank in rows
        ]  # fmt: skip

    def _effects(self, history: ReadHistory, items: Codes, found: Contributions, forbidden: Mask) -> FusionEffects:
        effects = fusion_effects(self.fitted, self.fallback, history, items, found.scores, forbidden)
        parts = summands(self.fallback.scorer, history.window, items)
        if not parts or not isinstance(self.fitted.model, BlendModel):
            return effects
        told = [each["run"] for each in self.fitted.facts.get(BLEND, {}).get("members", ())]
        called = told or [self.fitted.config.backbone.name, WORDS]  # a network with new items, and their words
        names = [name for name, weight in zip(called, self.fitted.model.weights.tolist(), strict=True) if weight]
        members = [
            [Effect(name, float(value), f"its summand of the blend, weight {weight:.3f}") for value in values]
            for name, (weight, values) in zip(names, parts, strict=True)
        ]
        return replace(effects, effects=(*effects.effects, *(tuple(each) for each in members)))

    def _contribution(self, history: ReadHistory, code: int, value: float, *, read: bool) -> Contribution:
        item = self._id(code)
        return Contribution(item, history.places(code), value, read, self.names.get(item))

    def _removed(self, codes: Set, found: tuple[float, int]) -> Removed:
        return Removed(tuple(map(self._id, codes)), *found)

    def _notes(self, history: ReadHistory) -> list[str]:
        """Return what of the history was skipped, or taken together."""
        known = int((history.codes != UNKNOWN).sum())
        notes = []
        if unknown := len(history.codes) - known:
            notes.append(f"Places with an item that training has not seen, which are skipped: {unknown:,}.")
        if known > len(history.window):
            notes.append(
                f"The model reads the newest {len(history.window):,} of {known:,} known places; what is older "
                "contributes nothing, and does not move up where an item is removed."
            )
        if len(history.items) < len(history.window):
            notes.append("An item that occurs several times is removed as a whole, with all of its occurrences.")
        return notes

    def _id(self, code: int) -> str:
        return self.fitted.split.vocabulary.item_ids[code - 1]


def _same(each: Set) -> Set:
    """Return a set of items in one order, so that no set is scored twice."""
    return tuple(sorted(each))
