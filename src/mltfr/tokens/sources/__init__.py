"""Where token tables are read from: one file a source, registered by its name."""

from mltfr.tokens.sources.base import TOKEN_SOURCES, OpenTable, TokenSource, TokenSourceConfig, source_for

__all__ = ["TOKEN_SOURCES", "OpenTable", "TokenSource", "TokenSourceConfig", "source_for"]
