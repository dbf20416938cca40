"""Token tables from settings, the catalogue or any LLM's files: fetched into the store and prepared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mltfr.errors import TokenTableError
from mltfr.storage.download import check_online
from mltfr.storage.files import output_errors
from mltfr.storage.progress import SILENT, Progress
from mltfr.tokens.catalogue import CATALOGUE
from mltfr.tokens.config import TokensConfig
from mltfr.tokens.controls import Control
from mltfr.tokens.fetch import fetch_table
from mltfr.tokens.names import check_name
from mltfr.tokens.prepare import prepare_tables
from mltfr.tokens.sources.base import source_for
from mltfr.tokens.store import STORE_REMEDY, TokenStore
from mltfr.tokens.table import PreparedTable, TokenTable


def load_tables(
    config: TokensConfig,
    store: TokenStore | None = None,
    progress: Progress = SILENT,
    control: Control = "none",
) -> list[PreparedTable]:
    """Return the prepared tables that the settings name, sorted by name.

    A missing table is fetched if the catalogue lists it; prepared tables are kept in the store, and read from
    there by memory map.

    Args:
        config: which tables, and how.
        store: where they are kept; the default store if not given.
        progress: receives downloads and preparations.
        control: what replaces the vectors, once they are prepared.

    Raises:
        TokenTableError: a table is unknown or damaged.
        FetchError: a table cannot be fetched, or is missing while MLTFR_OFFLINE=1.
        OutputError: the disk is full or cannot be written.
    """
    store = store or TokenStore()
    for name in config.tables:
        ensure_table(name, store, progress)
    return prepare_tables(config, store, progress, control)


def ensure_table(name: str, store: TokenStore, progress: Progress = SILENT, verify: bool = False) -> None:
    """Fetch a table if the store lacks it.

    Args:
        name: name of the table.
        store: where it is kept.
        progress: receives the download.
        verify: check a table that is there against its checksums, and fetch it again if it is damaged.

    Raises:
        TokenTableError: it is unknown, or damaged beyond fetching.
        FetchError: it cannot be fetched, or is missing or damaged while MLTFR_OFFLINE=1.
    """
    check_name(name)
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
    if name in CATALOGUE and CATALOGUE[name].download:
        check_online(f"token table '{name}' (missing or damaged in {store.root})", f"mltfr tokens get {name}")
        progress.message(f"fetching token table {name} (about {CATALOGUE[name].download} MB)")
        progress.start(f"fetching token table {name}")
    fetch_table(name, store, progress)


def import_table(
    name: str,
    location: str,
    store: TokenStore,
    tensor: str | None = None,
    vocabulary: Path | None = None,
    licence: str = "",
    overwrite: bool = True,
) -> TokenTable:
    """Read the token table of any LLM into the store.

    Args:
        name: name of the table in the store.
        location: a file, a folder or a hub repository.
        store: where it is kept.
        tensor: name of the tensor in the file, if it is not a known one.
        vocabulary: a vocabulary file, if none lies beside the table.
        licence: licence of the weights, recorded with the table.
        overwrite: whether the name may be another table's, which is replaced.

    Raises:
        TokenTableError: no token source can read it, it is damaged, or the name is not allowed, or another table's.
        FetchError: the repository cannot be fetched, or MLTFR_OFFLINE=1.
        OutputError: the disk is full or cannot be written.
    """
    check_name(name)
    if name in CATALOGUE:
        raise TokenTableError(f"'{name}' is a name of the catalogue. Import it under another name.")
    source = source_for(location, tensor, vocabulary)
    with output_errors(store.root, STORE_REMEDY), source.open() as table:
        return store.add(name, table, licence, overwrite=overwrite)


def describe(tables: Sequence[PreparedTable]) -> list[dict[str, Any]]:
    """Return name, shape, fingerprint and report of every table, as a run records them."""
    return [
        {"name": table.name, "shape": list(table.shape), "fingerprint": table.fingerprint, **table.report}
        for table in tables
    ]
