"""Preparation of the tables of one recommender: reduced, aligned, and kept in the store.

as shipped [V, W] -> reduced [V', width] -> aligned with the reference table -> replaced by a control, if there is one

Each result is kept under a key of all that it depends on, so that it is computed once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from mltfr.errors import TokenTableError
from mltfr.storage.progress import SILENT, Progress
from mltfr.tokens.align import align_table
from mltfr.tokens.config import TokensConfig
from mltfr.tokens.controls import Control, control_vectors
from mltfr.tokens.matrix import unit_rows
from mltfr.tokens.reduce import reduce_table, text_rows
from mltfr.tokens.store import TokenStore
from mltfr.tokens.table import PreparedTable, TokenTable
from mltfr.tokens.table_files import digest_json
from mltfr.tokens.words import Token, TokenKind, read_vocabulary, rows_by_word

ARITHMETIC = 1
"""Version of the arithmetic; raise it when prepared tables come out differently, so that they are made again."""


def prepare_tables(
    config: TokensConfig, store: TokenStore, progress: Progress = SILENT, control: Control = "none"
) -> list[PreparedTable]:
    """Return the prepared tables that the settings name, sorted by name.

    Args:
        config: which tables, and how.
        store: holds the tables, and keeps the prepared ones.
        progress: receives the name of every table that is prepared.
        control: what replaces the vectors, after preparation.

    Raises:
        TokenTableError: a table is missing or damaged.
        OutputError: the disk is full or cannot be written.
    """
    return _Preparation(config, store, progress, control).tables()


def reference_table(provenances: dict[str, dict[str, Any]]) -> str:
    """Return the name of the table that the others are aligned with: the one with most tokens.

    It shares the most words with the others. Ties are broken by content, so neither order nor names matter.
    """
    return max(provenances, key=lambda name: (provenances[name]["shape"], _content(provenances[name])))


def _content(provenance: dict[str, Any]) -> tuple[str, str]:
    return provenance["sha256"], provenance["vocabulary_sha256"]


class _Preparation:
    """The preparation of one set of tables; what several of them need is read once."""

    def __init__(self, config: TokensConfig, store: TokenStore, progress: Progress, control: Control) -> None:
        self.config, self.store, self.progress, self.control = config, store, progress, control
        self.provenances = {name: store.provenance(name) for name in sorted(config.tables)}
        self.shipped: Callable[[str], TokenTable] = cache(store.open)
        self.tokens: Callable[[str], list[Token]] = cache(self._tokens)
        self.reduced: Callable[[str], PreparedTable] = cache(self._reduced)

    def tables(self) -> list[PreparedTable]:
        tables = [self.prepared(name) for name in self.provenances]
        return tables if self.control == "none" else [self.controlled(table, self.control) for table in tables]

    def prepared(self, name: str) -> PreparedTable:
        if self.config.prepare == "raw":
            return self.raw(name)
        if self.config.align == "none":
            return self.reduced(name)
        return self.aligned(name, reference_table(self.provenances))

    def raw(self, name: str) -> PreparedTable:
        table = self.shipped(name)
        words = tuple(token.word for token in self.tokens(name))
        report = {"settings": {"prepare": "raw"}, "tokens_kept": len(words)}
        fingerprint = digest_json(["raw", _content(self.provenances[name])])
        return PreparedTable(name, table.embeddings, words, report, fingerprint)

    def aligned(self, name: str, reference: str) -> PreparedTable:
        if name == reference:
            table = self.reduced(name)
            return replace(table, report={**table.report, "alignment": {"reference": name}})
        settings = {
            "prepare": "default",
            "width": self.config.width,
            "reference": [reference, *_content(self.provenances[reference])],
        }

        def make() -> PreparedTable:
            tables = self.reduced(name), self.reduced(reference)
            return align_table(*tables, self.whole_words(name), self.whole_words(reference))

        return self.kept(name, f"aligned with {reference}", settings, make)

    def controlled(self, table: PreparedTable, control: Control) -> PreparedTable:
        seed = self.config.control_seed
        settings = {"control": control, "seed": seed, "of": table.fingerprint, "name": table.name}

        def make() -> PreparedTable:
            vectors = control_vectors(table.vectors, control, seed, table.name)
            if self.config.prepare == "default":
                vectors = unit_rows(vectors.astype(np.float32)).astype(np.float16)
            return replace(table, vectors=vectors)

        made = self.kept(table.name, f"control {control}", settings, make)
        return replace(made, report={**table.report, "control": control, "control_seed": seed})

    def kept(self, name: str, what: str, settings: dict[str, Any], make: Callable[[], PreparedTable]) -> PreparedTable:
        """Return the table that the store keeps for these settings; make it, and say `what`, if there is none."""
        made_from = {"arithmetic": ARITHMETIC, "content": _content(self.provenances[name]), **settings}
        key = digest_json(made_from)
        found = self._found(key)
        if found is None:
            with self.store.preparing():
                found = self._found(key, name)  # again: another process may have made it
                if found is None:
                    self.progress.message(f"preparing token table {name}: {what}")
                    made = make()
                    found = self.store.add_prepared(key, replace(made, report={**made.report, "settings": settings}))
        return replace(found, name=name)

    def _found(self, key: str, told: str = "") -> PreparedTable | None:
        """Return the table that the store keeps under a key; None where there is none, or a damaged one (told)."""
        try:
            return self.store.prepared(key)
        except TokenTableError as error:
            if told:
                self.progress.message(f"{told}: {error}")
            return None

    def whole_words(self, name: str) -> dict[str, int]:
        """Return the row in the reduced table of every token that is a whole word.

        Pieces of words are left out: they mean different things in different tokenizers, and with them the
        rotation carries over to fewer held-out words (SmolLM2 to Gemma, width 256: 61 % against 74 %).
        """
        tokens = self.tokens(name)
        text = enumerate(tokens[row] for row in text_rows(tokens))
        return rows_by_word((row, token) for row, token in text if token.kind is TokenKind.WORD)

    def _reduced(self, name: str) -> PreparedTable:
        width = self.config.width
        settings = {"prepare": "default", "width": width}

        def make() -> PreparedTable:
            return reduce_table(self.shipped(name), width, self.tokens(name))

        return self.kept(name, f"reduced to width {width}", settings, make)

    def _tokens(self, name: str) -> list[Token]:
        table = self.shipped(name)
        return read_vocabulary(table.vocabulary, table.special)
