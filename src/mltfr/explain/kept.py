"""What the newest position of a history looked at: the router's shares, and the tokens that it keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mltfr.errors import MltfrError
from mltfr.explain.variants import Token, mltfr_members
from mltfr.fusion import FUSIONS
from mltfr.interactions import History
from mltfr.interactions.collate import pad_right_aligned
from mltfr.pipeline.config import BlendConfig, RunConfig
from mltfr.pipeline.models import BLEND, Model
from mltfr.tokens import TokensConfig, TokenStore, load_tables


def router_shares(model: Model, window: History) -> dict[str, float]:
    """Return the router's share of every table at the newest position; of a blend, the mean by its weights."""
    total: dict[str, float] = {}
    members = mltfr_members(model)
    for network, fusion, weight in members:
        with torch.inference_mode():
            x, *_ = network.fusion_inputs(_batch(window, network.item_embedding.weight.device))
            shares = fusion.router(x[0, -1:])[0].tolist()                # [N]
        for name, share in zip(fusion.widths, shares, strict=True):
            total[name] = total.get(name, 0.0) + weight * share
    whole = sum(weight for *_, weight in members)
    return {name: share / whole for name, share in sorted(total.items())}


def kept_tokens(model: Model, window: History) -> dict[Token, float]:
    """Return the tokens that the newest position keeps, with their weights; of a blend, the largest of its members'."""
    found: dict[Token, float] = {}
    for network, fusion, _ in mltfr_members(model):
        with torch.inference_mode():
            kept = fusion.kept_tokens(*network.fusion_inputs(_batch(window, network.item_embedding.weight.device)))
        for name, (ids, weights) in kept.items():
            for token, weight in zip(ids[0, -1].tolist(), weights[0, -1].tolist(), strict=True):
                found[name, token] = max(weight, found.get((name, token), 0.0))
    return found


def texts_of(config: RunConfig, facts: Mapping[str, Any], tokens: Sequence[Token]) -> dict[Token, str]:
    """Return the texts of tokens, of tables that lie in the store as the run read them; nothing of a control's.

    Args:
        config: the run's settings.
        facts: what its manifest says.
        tokens: rows of its tables.
    """
    blended = isinstance(config.backbone, BlendConfig)
    configs = config.backbone.members if isinstance(config.backbone, BlendConfig) else (config,)
    manifests = facts[BLEND]["members"] if blended else [facts]
    words: dict[str, Sequence[str]] = {}
    for each, manifest in zip(configs, manifests, strict=True):
        if FUSIONS.get(each.fusion.name).cls.control != "none":
            continue
        words |= table_words(each.tokens, manifest["tables"])
    return {(name, row): words[name][row] for name, row in tokens if name in words}


def table_words(config: TokensConfig, tables: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[str]]:
    """Return the words of every table that lies in the store as a run read it.

    Args:
        config: the run's settings of tokens.
        tables: what its manifest says of its tables.
    """
    read = {table["name"]: table["fingerprint"] for table in tables}
    stored = _words(str(TokenStore().root), config)
    return {name: words for name, (fingerprint, words) in stored.items() if read.get(name) == fingerprint}


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


def _batch(window: History, device: torch.device) -> Tensor:
    return torch.from_numpy(pad_right_aligned([window], max(1, len(window)))).to(device)  # [1, L]
