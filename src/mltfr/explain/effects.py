"""Effects of a model's parts: the score minus that without the fusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mltfr.explain.contributions import Values
from mltfr.explain.explanation import Effect, KeptToken
from mltfr.explain.removal import Mask, ReadHistory, score
from mltfr.inference import FallbackScorer
from mltfr.interactions.collate import Codes
from mltfr.pipeline.fitted import FittedModel

ZERO_BRANCH = "its correction is zero (zero branch)"


@dataclass(frozen=True)
class FusionEffects:
    """What the parts of a model do to the scores of C items.

    Attributes:
        effects: of every part, one effect for each item.
        router: by table, the router's share at the newest position.
        tokens: what is kept, with the effects on all items `[C]`; the effect in the token itself is 0.
        controls: what the run's controls say of the fusion.
    """

    effects: tuple[tuple[Effect, ...], ...] = ()
    router: Mapping[str, float] = field(default_factory=dict)
    tokens: tuple[tuple[KeptToken, Values], ...] = ()
    controls: tuple[str, ...] = ()

    def of(self, column: int) -> tuple[Effect, ...]:
        """Return the effects on one item."""
        return tuple(each[column] for each in self.effects)

    def tokens_of(self, column: int) -> tuple[KeptToken, ...]:
        """Return the kept tokens with their effects on one item, the largest first."""
        told = [replace(token, effect=float(values[column])) for token, values in self.tokens]
        return tuple(sorted(told, key=lambda token: -token.effect))


def fusion_effects(
    fitted: FittedModel, scorer: FallbackScorer, history: ReadHistory, codes: Codes, scores: Values, forbidden: Mask
) -> FusionEffects:
    """Return what the fusion does to the scores of some items; nothing where there is none.

    Args:
        fitted: the model with its data.
        scorer: its scorer.
        history: what is read.
        codes: codes of C items, int64 `[C]`.
        scores: their scores with the fusion, `[C]`.
        forbidden: items that are no candidates, bool `[I + 1]`.
    """
    without = fitted.model.zero_branch() if fitted.config.fusions != "none" else None
    if without is None:
        return FusionEffects()
    found = score(FallbackScorer(without, scorer.fallback), [history.window], codes, forbidden)
    rows = zip((scores - found.scores[0]).tolist(), found.ranks[0].tolist(), strict=True)
    return FusionEffects((tuple(Effect("fusion", value, ZERO_BRANCH, rank) for value, rank in rows),))
