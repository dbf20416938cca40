"""Token tables of LLMs: fetched from their sources, kept in a local store, prepared for a fusion."""

from mltfr.tokens.config import TokensConfig
from mltfr.tokens.load import describe, load_tables
from mltfr.tokens.store import TokenStore
from mltfr.tokens.table import PreparedTable, TokenTable

__all__ = ["PreparedTable", "TokenStore", "TokenTable", "TokensConfig", "describe", "load_tables"]
