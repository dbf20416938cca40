"""Effects of a model's parts: the score minus that without the fusion, a table, a token, or names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from mltfr.explain.contributions import Values
from mltfr.explain.explanation import Effect, KeptToken
from mltfr.explain.kept import NewestPositions, kept_of, words_of
from mltfr.explain.removal import Mask, ReadHistory, score
from mltfr.explain.variants import Variant, mltfr_members, with_variants, without_names
from mltfr.fusion import FUSIONS
from mltfr.inference import FallbackScorer, Scorer
from mltfr.inference.top_k import BLOCK_SCORES
from mltfr.interactions import History
from mltfr.interactions.collate import Codes
from mltfr.pipeline.fitted import FittedModel

ZERO_BRANCH = "its correction is zero (zero branch)"
RENORMALISED = "its router weight is zero, the others renormalised"
NO_NAMES = "names add nothing to item vectors"
UNJUDGED = "Nothing has judged the fusion of this run on validation, by its zero branch and its constant branch."
RANDOM_TABLES = (
    "Do not read meaning into the tokens' words before random tables do worse: no run with random tables stands beside "
    "this one. Fit one (--fusion random), and compare the two (mltfr compare)."
)
IS_A_CONTROL = "The tables of this run are a control: their rows mean nothing, and have no words."
TOKENS_OF_ITEMS = "With fusion.site = 'items' every item keeps tokens of its own; effects of single ones are not told."


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
    """Return what the fusion, its tables and tokens, and names do to the scores of some items; nothing without them.

    Args:
        fitted: the model with its data.
        scorer: its scorer.
        history: what is read.
        codes: codes of C items, int64 `[C]`.
        scores: their scores with the fusion, `[C]`.
        forbidden: items that are no candidates, bool `[I + 1]`.
    """
    model, effects = fitted.model, list[tuple[Effect, ...]]()
    nameless = without_names(model)
    others = (
        ("fusion", ZERO_BRANCH, model.zero_branch() if fitted.config.fusions != "none" else None),
        ("names", NO_NAMES, None if nameless is None else nameless.scorer()),
    )
    for part, how, without in others:
        if without is not None:
            found = score(FallbackScorer(without, scorer.fallback), [history.window], codes, forbidden)
            rows = zip((scores - found.scores[0]).tolist(), found.ranks[0].tolist(), strict=True)
            effects.append(tuple(Effect(part, value, how, rank) for value, rank in rows))
    if fitted.config.fusions == "none":
        return FusionEffects(tuple(effects))
    members = mltfr_members(model)
    of_items = any(network.corrects_items for network, *_ in members)
    tables = sorted({name for _, fusion, _ in members for name in fusion.widths})
    seen = NewestPositions({}, [{}]) if of_items else kept_of(model, [history.window])
    (kept,) = seen.tokens
    variants = [*(Variant(table=name) for name in tables), *(Variant(token=token) for token in kept)]
    values = variant_effects(scorer.scorer, history.window, codes, variants, alone=of_items)     # [V, C]
    for name, row in zip(tables, values, strict=False):
        effects.append(tuple(Effect(f"table {name}", value, RENORMALISED) for value in row.tolist()))
    words = words_of(fitted.config, fitted.facts) if kept else {}
    told = [
        KeptToken(table, row, words[table][row] if table in words else None, weight, 0.0)
        for (table, row), weight in kept.items()
    ]
    tokens = tuple(zip(told, values[len(tables) :], strict=True))
    shares = {name: float(share[0]) for name, share in sorted(seen.shares.items())}
    return FusionEffects(tuple(effects), shares, tokens, _controls(fitted, bool(members), of_items))


def variant_effects(
    scorer: Scorer, window: History, codes: Codes, variants: Sequence[Variant], alone: bool = False
) -> Values:
    """Return the scores of C items minus those of variants of a model, float32 `[V, C]`.

    The model as it is is scored in the same batch, so that rounding cancels.

    Args:
        scorer: of the fitted model.
        window: what is read of the history.
        codes: item codes, int64 `[C]`.
        variants: what is left out.
        alone: whether every variant needs item vectors of its own.
    """
    effects = np.empty((len(variants), len(codes)), np.float32)
    at_once = 1 if alone else max(1, BLOCK_SCORES // scorer.items - 1)
    for start in range(0, len(variants), at_once):
        some = list(variants[start : start + at_once])
        if alone:
            each = [_scores(with_variants(scorer, [one]), window, codes, 1) for one in (Variant(), *some)]
            scores = np.concatenate(each)
        else:
            scores = _scores(with_variants(scorer, [Variant(), *some]), window, codes, 1 + len(some))     # [v, C]
        effects[start : start + len(some)] = scores[0] - scores[1:]
    return effects


def _scores(scorer: Scorer, window: History, codes: Codes, rows: int) -> Values:
    """Return the scores of C items for a batch of one history as often as there are rows, `[R, C]`."""
    with torch.inference_mode():
        queries = scorer.queries([window] * rows)
        return np.concatenate([scorer.scores(queries, code, code + 1).cpu().numpy() for code in codes.tolist()], axis=1)


def _controls(fitted: FittedModel, of_tables: bool, of_items: bool) -> tuple[str, ...]:
    """Return what the run's own controls say of its fusion, and what is not known of its words."""
    verdict = fitted.verdict
    judged = verdict.branches if verdict is not None else None
    told = [UNJUDGED if verdict is None or judged is None else judged.in_words(verdict.fusion, verdict.metric)]
    if of_tables:
        names = [each.fusion.name for each in fitted.config.singles if each.fusion.name != "none"]
        controls = {FUSIONS.get(name).cls.control for name in names}
        told.append(RANDOM_TABLES if "none" in controls else IS_A_CONTROL)
        told += [TOKENS_OF_ITEMS] if of_items else []
    return tuple(told)
