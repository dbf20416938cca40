"""What the newest positions of histories look at: the router's shares, the tokens that they keep, and their words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mltfr.errors import MltfrError
from mltfr.explain.variants import Token, mltfr_members
from mltfr.fusion import FUSIONS
from mltfr.interactions import History
from mltfr.interactions.collate import pad_right_aligned
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.models import BLEND, Model
from mltfr.tokens import TokensConfig, TokenStore, load_tables

BATCH = 32
"""Histories that are looked at together."""


@dataclass(frozen=True)
class NewestPositions:
    """What the newest positions of H histories look at.

    Attributes:
        shares: by table, the router's share `[H]`; of a blend, the mean by its members' weights.
        tokens: of every history, the tokens that are kept with their weights; of a blend, the largest of its members'.
    """

    shares: Mapping[str, npt.NDArray[np.float64]]
    tokens: Sequence[Mapping[Token, float]]


def kept_of(model: Model, histories: Sequence[History]) -> NewestPositions:
    """Return what the newest positions of some histories look at; nothing of a model without a router.

    Args:
        model: a fitted model in evaluation mode.
        histories: item codes, oldest first; every network reads the newest ones that it has places for.
    """
    members = mltfr_members(model)
    whole = sum(weight for *_, weight in members)
    shares: dict[str, npt.NDArray[np.float64]] = {}
    tokens: list[dict[Token, float]] = [{} for _ in histories]
    for network, fusion, weight in members:
        device = network.item_embedding.weight.device
        for start in range(0, len(histories), BATCH):
            batch = pad_right_aligned(histories[start : start + BATCH], network.backbone.max_length)     # [B, L]
            with torch.inference_mode():
                inputs = network.fusion_inputs(torch.from_numpy(batch).to(device))
                routed = fusion.router(inputs[0][:, -1]).double().cpu().numpy()                          # [B, N]
                kept = fusion.kept_tokens(*inputs)
            for name, share in zip(fusion.widths, routed.T, strict=True):
                total = shares.setdefault(name, np.zeros(len(histories)))
                total[start : start + len(batch)] += weight / whole * share
            for name, (ids, weights) in kept.items():
                for row, pairs in enumerate(zip(ids[:, -1].tolist(), weights[:, -1].tolist(), strict=True), start):
                    for token, value in zip(*pairs, strict=True):
                        tokens[row][name, token] = max(value, tokens[row].get((name, token), 0.0))
    return NewestPositions(shares, tokens)


def words_of(config: RunConfig, facts: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Return the words of every table that lies in the store as the run read it; none where a fusion is a control.

    Args:
        config: the run's settings.
        facts: what its manifest says.
    """
    if is_control(config):
        return {}
    manifests = facts[BLEND]["members"] if BLEND in facts else [facts]
    words: dict[str, Sequence[str]] = {}
    for each, manifest in zip(config.singles, manifests, strict=True):
        read = {table["name"]: table["fingerprint"] for table in manifest.get("tables", ())}
        stored = _words(str(TokenStore().root), each.tokens)
        words |= {name: found for name, (fingerprint, found) in stored.items() if read.get(name) == fingerprint}
    return words


def is_control(config: RunConfig) -> bool:
    """Return whether rows of a table mean nothing in the fusion of a run, or of one of a blend's members."""
    return any(FUSIONS.get(each.fusion.name).cls.control != "none" for each in config.singles)


@lru_cache(maxsize=4)
def _words(store: str, config: TokensConfig) -> dict[str, tuple[str, Sequence[str]]]:
    """Return the fingerprint and the words of every table; of none where one is missing or cannot be read."""
    if not all(name in TokenStore(Path(store)) for name in config.tables):
        return {}
    try:
        tables = load_tables(config, TokenStore(Path(store)))
    except MltfrError:
        return {}
    return {table.name: (table.fingerprint, table.words) for table in tables}
