"""One call from settings to token tables that a fusion can read: fetched, prepared, aligned, kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mltfr.errors import TokenTableError
from mltfr.storage.files import output_errors
from mltfr.storage.progress import SILENT, Progress
from mltfr.tokens.alignment import align, shared_words
from mltfr.tokens.catalogue import CATALOGUE, fetch_table
from mltfr.tokens.config import TokensConfig
from mltfr.tokens.controls import control_vectors
from mltfr.tokens.layout import digest_json
from mltfr.tokens.moments import unit_rows
from mltfr.tokens.prepare import reduce_table, text_rows
from mltfr.tokens.sources.base import source_for
from mltfr.tokens.store import STORE_REMEDY, TokenStore, check_name
from mltfr.tokens.table import PreparedTable, TokenTable
from mltfr.tokens.words import Kind, Token, read_vocabulary, representatives

ARITHMETIC = 1
"""Raise it when prepared tables come out differently, so that kept ones are made again."""


def load_tables(
    config: TokensConfig, store: TokenStore | None = None, progress: Progress = SILENT
) -> list[PreparedTable]:
    """Return the prepared tables that the settings name, sorted by name.

    A table that is missing is fetched if the catalogue knows it; what was prepared once is read from the
    store by memory map.

    Args:
        config: which tables, and how.
        store: where they are kept; the default store if not given.
        progress: receives every step that takes time.

    Raises:
        TokenTableError: a table is unknown, damaged, or missing while MLTFR_OFFLINE=1.
        FetchError: a table cannot be fetched.
        OutputError: the disk is full or cannot be written.
    """
    store = store or TokenStore()
    for name in config.tables:
        ensure_table(name, store, progress)
    return _Preparation(config, store, progress).tables()


def ensure_table(
    name: str, store: TokenStore, progress: Progress = SILENT, verify: bool = False
) -> None:
    """Fetch a table if the store lacks it.

    Args:
        name: name of the table.
        store: where it is kept.
        progress: receives the download.
        verify: compare a table that is there with its checksums, and fetch it again if it is damaged.

    Raises:
        TokenTableError: it is unknown, damaged beyond fetching, or missing while MLTFR_OFFLINE=1.
        FetchError: it cannot be fetched.
    """
    if name in store:
        if not verify:
            return
        try:
            store.verify(name)
        except TokenTableError as error:
            if name not in CATALOGUE:
                raise
            progress.message(str(error))
        else:
            return
    if name in CATALOGUE and CATALOGUE[name].download and os.environ.get("MLTFR_OFFLINE") == "1":
        raise TokenTableError(
            f"token table '{name}' is not in the store ({store.root}) and MLTFR_OFFLINE=1 forbids fetching it. "
            f"With a connection run: MLTFR_OFFLINE=0 mltfr tokens get {name}"
        )
    if name in CATALOGUE and CATALOGUE[name].download:
        progress.message(f"fetching token table {name} (about {CATALOGUE[name].download} MB)")
        progress.start(f"fetching token table {name}")
    fetch_table(name, store)


def import_table(
    name: str,
    location: str,
    store: TokenStore,
    tensor: str | None = None,
    vocabulary: Path | None = None,
    licence: str = "",
) -> TokenTable:
    """Read the token table of any LLM into the store.

    Args:
        name: its name from now on.
        location: a file, a folder or a hub repository.
        store: where it is kept.
        tensor: its name in the file, if it is not a known one.
        vocabulary: a vocabulary file, if none lies beside it.
        licence: recorded with it.

    Raises:
        TokenTableError: nothing known can read it, it is damaged, or the name is not allowed.
        FetchError: the repository cannot be fetched.
        OutputError: the disk is full or cannot be written.
    """
    check_name(name)
    if name in CATALOGUE:
        raise TokenTableError(f"'{name}' is a name of the catalogue. Import it under another name.")
    source = source_for(location, tensor, vocabulary)
    if source.fetches and os.environ.get("MLTFR_OFFLINE") == "1":
        raise TokenTableError(f"{location}: MLTFR_OFFLINE=1 forbids fetching it. Import a local file.")
    with output_errors(store.root, STORE_REMEDY), source.open() as table:
        return store.add(name, table, licence)


def reference_table(provenances: dict[str, dict[str, Any]]) -> str:
    """Return the table that the others are aligned to: the one with most tokens, whatever their order.

    It shares the most words with the others; ties are broken by content, so names do not matter either.
    """
    return max(provenances, key=lambda name: (provenances[name]["shape"], _content(provenances[name])))


def _content(provenance: dict[str, Any]) -> tuple[str, str]:
    return provenance["sha256"], provenance["vocabulary_sha256"]


class _Preparation:
    """Prepares one set of tables; what several of them need is read once."""

    def __init__(self, config: TokensConfig, store: TokenStore, progress: Progress) -> None:
        self.config, self.store, self.progress = config, store, progress
        self.provenances = {name: store.provenance(name) for name in sorted(config.tables)}
        self.raw: Callable[[str], TokenTable] = cache(store.open)
        self.tokens: Callable[[str], list[Token]] = cache(self._tokens)
        self.base: Callable[[str], PreparedTable] = cache(self._base)

    def tables(self) -> list[PreparedTable]:
        if not self.provenances:
            return []
        if self.config.prepare == "raw":
            return [self._controlled(self._raw(name)) for name in self.provenances]
        reference = reference_table(self.provenances) if self.config.align == "shared-words" else None
        return [self._controlled(self._aligned(name, reference)) for name in self.provenances]

    def _kept(self, name: str, settings: dict[str, Any], make: Callable[[], PreparedTable]) -> PreparedTable:
        """Return the table that was kept for these settings, or make and keep it."""
        made_from = {"arithmetic": ARITHMETIC, "content": _content(self.provenances[name]), **settings}
        key = digest_json(made_from)
        found = self.store.prepared(key)
        if found is None:
            self.progress.message(f"preparing token table {name}")
            made = make()
            found = self.store.add_prepared(key, replace(made, report={**made.report, "settings": settings}))
        return replace(found, name=name)

    def _tokens(self, name: str) -> list[Token]:
        table = self.raw(name)
        return read_vocabulary(table.vocabulary, table.special)

    def _raw(self, name: str) -> PreparedTable:
        table, content = self.raw(name), _content(self.provenances[name])
        words = tuple(token.word for token in self.tokens(name))
        report = {"settings": {"prepare": "raw"}, "tokens_kept": len(words)}
        return PreparedTable(name, table.embeddings, words, report, digest_json(["raw", content]))

    def _base(self, name: str) -> PreparedTable:
        settings = {"prepare": "default", "width": self.config.width}
        return self._kept(
            name, settings, lambda: reduce_table(self.raw(name), self.config.width, self.tokens(name))
        )

    def _aligned(self, name: str, reference: str | None) -> PreparedTable:
        if reference is None:
            return self.base(name)
        if reference == name:
            table = self.base(name)
            return replace(table, report={**table.report, "alignment": {"reference": name}})
        settings = {
            "prepare": "default",
            "width": self.config.width,
            "reference": [reference, *_content(self.provenances[reference])],
        }
        return self._kept(name, settings, lambda: self._rotate(name, reference))

    def _rotate(self, name: str, reference: str) -> PreparedTable:
        table, target = self.base(name), self.base(reference)
        own, other = self._representatives(name), self._representatives(reference)
        words = shared_words(own, other)
        fit = align(
            table.vectors[[own[word] for word in words]], target.vectors[[other[word] for word in words]]
        )
        if fit is None:
            report = {"reference": reference, "shared_words": len(words), "accuracy": None}
            return replace(table, report={**table.report, "alignment": report})
        rotated = unit_rows(table.vectors.astype(np.float32) @ fit.rotation.astype(np.float32))
        report = {"reference": reference, **fit.report()}
        vectors = rotated.astype(np.float16)
        return replace(table, vectors=vectors, report={**table.report, "alignment": report})

    def _representatives(self, name: str) -> dict[str, int]:
        """Return a row of the prepared table for every whole word.

        Pieces of words are left out: they mean different things in different tokenizers, and the rotation
        carries over to fewer held-out words with them (SmolLM2 to Gemma, width 256: 61 % against 74 %).
        """
        tokens = self.tokens(name)
        kept = enumerate(tokens[row] for row in text_rows(tokens))
        return representatives((row, token) for row, token in kept if token.kind is Kind.WORD)

    def _controlled(self, table: PreparedTable) -> PreparedTable:
        control, seed = self.config.control, self.config.control_seed
        if control == "none":
            return table
        settings = {"control": control, "seed": seed, "of": table.fingerprint, "name": table.name}

        def make() -> PreparedTable:
            vectors = control_vectors(table.vectors, control, seed, table.name)
            if self.config.prepare == "default":
                vectors = unit_rows(vectors.astype(np.float32)).astype(np.float16)
            return replace(table, vectors=vectors)

        made = self._kept(table.name, settings, make)
        return replace(made, report={**table.report, "control": control, "control_seed": seed})


def describe(tables: Sequence[PreparedTable]) -> list[dict[str, Any]]:
    """Return name, shape, fingerprint and report of every table, as a run records them."""
    return [
        {"name": table.name, "shape": list(table.shape), "fingerprint": table.fingerprint, **table.report}
        for table in tables
    ]
