"""Token tables: where they come from, how they are prepared, where they are kept."""

from mltfr.tokens.table import PreparedTable, TokenTable

__all__ = ["PreparedTable", "TokenTable"]
