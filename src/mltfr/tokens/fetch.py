"""From the catalogue into the store."""

from __future__ import annotations

from mltfr.errors import FetchError, MissingExtraError, TokenTableError
from mltfr.storage.files import output_errors
from mltfr.storage.progress import SILENT, Progress
from mltfr.tokens.catalogue import CATALOGUE, unknown_table
from mltfr.tokens.sources.base import build_source
from mltfr.tokens.store import STORE_REMEDY, TokenStore
from mltfr.tokens.table import TokenTable


def fetch_table(name: str, store: TokenStore, progress: Progress = SILENT) -> TokenTable:
    """Fetch a table of the catalogue into the store, from the first source that has it.

    Args:
        name: name of the table.
        store: where it goes.
        progress: told when the first source is not the one that is taken.

    Raises:
        FetchError: no source can be reached.
        ChecksumError: the file that arrived is not the known one; no other source is tried.
        TokenTableError: the name is unknown, or what arrived is damaged or has a wrong checksum.
        OutputError: the disk is full or cannot be written.
    """
    if name not in CATALOGUE:
        raise unknown_table(name, store.names())
    entry = CATALOGUE[name]
    failures: list[str] = []
    for source in entry.sources:
        if failures:
            progress.message(f"{failures[-1]} Taking {name} from the next source: {source.config.name}.")
        try:
            with output_errors(store.root, STORE_REMEDY), build_source(source.config).open() as table:
                if table.shape != entry.shape:
                    raise TokenTableError(f"{name}: the table is {table.shape}, {entry.shape} was expected.")
                return store.add(name, table, entry.licence, source.sha256, source.vocabulary_sha256)
        except (FetchError, MissingExtraError) as error:  # a damaged or forged file is no reason to go on
            failures.append(f"{source.config.name}: {error}")
    raise FetchError(f"token table '{name}' cannot be fetched. {' | '.join(failures)}")
