"""Token tables of the real sizes: those of the store, or random ones where it lacks them."""

from __future__ import annotations

import numpy as np

from harness.settings import Settings
from mltfr.tokens import PreparedTable, TokensConfig, load_tables
from mltfr.tokens.catalogue import CATALOGUE
from mltfr.tokens.store import TokenStore

NAMES = ("smollm2-135m", "wordllama", "minilm-l6", "gemma3-270m")
"""Tables by number: the first three need no consent, the fourth has 262,144 rows."""


def get_tables(settings: Settings, number: int, raw: bool = False) -> tuple[list[PreparedTable], str]:
    """Return the first `number` tables, and a remark on where they come from.

    Args:
        settings: for the seed of random tables.
        number: 1 to 4.
        raw: as shipped, for the published arithmetic, instead of prepared.
    """
    store = TokenStore()
    names = NAMES[:number]
    real = [name for name in names if name in store]
    config = TokensConfig(tables=tuple(real), prepare="raw" if raw else "default")
    found = {table.name: table for table in (load_tables(config, store) if real else [])}
    tables = [found.get(name) or _random(name, settings.seed, config.width, raw) for name in names]
    made_up = [name for name in names if name not in found]
    return tables, f"random values for {', '.join(made_up)}" if made_up else "real tables"


def stored(number: int) -> bool:
    """Return whether the store has the first `number` tables."""
    store = TokenStore()
    return all(name in store for name in NAMES[:number])


def random_table(name: str, rows: int, width: int, seed: int) -> PreparedTable:
    """Return a table of random vectors of unit norm."""
    random = np.random.default_rng([seed, rows])
    vectors = random.standard_normal((rows, width), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return PreparedTable(name, vectors.astype(np.float16), ("",) * rows)


def _random(name: str, seed: int, width: int, raw: bool) -> PreparedTable:
    rows, own = CATALOGUE[name].shape
    return random_table(name, rows, own if raw else width, seed)
