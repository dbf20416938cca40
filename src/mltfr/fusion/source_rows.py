"""The rows of a table that a list of words names."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mltfr.errors import ConfigError
from mltfr.fusion.mltfr.shortlist import scaled_vectors
from mltfr.tokens.neighbours import with_neighbours
from mltfr.tokens.table import PreparedTable
from mltfr.tokens.words import find_words


class SourceRows(nn.Module):
    """R rows of one table: the tokens of words, and their nearest neighbours. They are constant, and in the state.

    How many there are depends on the table, so of a placeholder there are none, until a state is loaded.

    Args:
        table: the prepared table, `[V, W]`.
        words: words or phrases.
        neighbours: neighbours of each token.

    Raises:
        ConfigError: the table has none of the words.
    """

    ids: Tensor
    vectors: Tensor

    def __init__(self, table: PreparedTable, words: tuple[str, ...], neighbours: int) -> None:
        super().__init__()
        found = find_words(table, () if table.is_placeholder else words)
        if not table.is_placeholder and not len(found.rows):
            raise ConfigError(
                f"None of the {len(found.missing)} words (first: '{found.missing[0]}') is found in token table "
                f"'{table.name}'. Give words that its vocabulary can spell, or leave the table out of tokens.tables."
            )
        rows = with_neighbours(table, found.rows, neighbours)
        self.register_buffer("ids", torch.from_numpy(rows))                     # [R]
        self.register_buffer("vectors", scaled_vectors(table, rows))               # [R, W]
        self.report: dict[str, Any] = {
            "whole_words": len(found.whole),
            "words_in_pieces": len(found.pieces),
            "missing_words": list(found.missing),
            "source_rows": len(rows),
        }

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *arguments: Any) -> None:
        for name in ("ids", "vectors"):
            saved, own = state.get(prefix + name), getattr(self, name)
            if saved is not None and not len(own):
                setattr(self, name, own.new_zeros(saved.shape))
        super()._load_from_state_dict(state, prefix, *arguments)
