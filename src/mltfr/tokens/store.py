"""The local store of token tables: content-addressed folders that describe themselves.

    $MLTFR_HOME/tokens/
        names/smollm2-135m.json         which folder has that name
        tables/<sha256>/                table.npy, vocabulary.json, provenance.json
        prepared/<sha256>/              table.npy, vocabulary.json, provenance.json

A folder's name is a digest of its content, or of what it was made from, which never changes; it is checked when a table
is opened. Tables are read by memory map.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mltfr.errors import TokenTableError
from mltfr.storage.atomic_folder import atomic_folder
from mltfr.storage.files import home, output_errors, read_json, write_text
from mltfr.storage.lock import locked
from mltfr.tokens.catalogue import CATALOGUE, remedy, unknown_table
from mltfr.tokens.names import check_name, is_name
from mltfr.tokens.sources.base import OpenTable
from mltfr.tokens.table import PreparedTable, TokenTable
from mltfr.tokens.table_files import (
    digest_json,
    read_folder,
    read_provenance,
    write_provenance,
    write_table,
    write_vocabulary,
)
from mltfr.tokens.vocabulary import TokenStrings

STORE_REMEDY = "Nothing was kept. Free some space, or point MLTFR_HOME to a folder with room."
PREPARING = 600.0
"""Seconds to wait for another process that prepares tables."""
_ADDRESS = re.compile("[0-9a-f]{64}")


class TokenStore:
    """Token tables on the local disk.

    Args:
        root: the store's folder; `tokens` in `MLTFR_HOME` if not given.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or home() / "tokens"

    def names(self) -> list[str]:
        """Return the names of all tables, sorted."""
        return sorted(path.stem for path in (self.root / "names").glob("*.json") if is_name(path.stem))

    def __contains__(self, name: str) -> bool:
        return is_name(name) and (self.root / "names" / f"{name}.json").is_file()

    def add(
        self,
        name: str,
        table: OpenTable,
        licence: str = "",
        sha256: str | None = None,
        vocabulary_sha256: str | None = None,
        overwrite: bool = True,
    ) -> TokenTable:
        """Write a table into the store, a few rows at a time, and return it from there.

        Args:
            name: name of the table in the store.
            table: the opened table.
            licence: licence of the weights, recorded with the table.
            sha256: expected checksum of the values, if known.
            vocabulary_sha256: expected checksum of the vocabulary as it is kept, if known.
            overwrite: whether the name may be another table's, which is replaced.

        Raises:
            TokenTableError: the name is not allowed, or another table's; a value is not finite, or the checksum is
                wrong.
            OutputError: the disk is full or cannot be written.
        """
        check_name(name)
        with atomic_folder(self.root / "tables", STORE_REMEDY) as folder:
            found = write_table(folder.path / "table.npy", table, name)
            vocabulary = write_vocabulary(folder.path / "vocabulary.json", table.strings)
            for part, has, expected in (("table", found, sha256), ("vocabulary", vocabulary, vocabulary_sha256)):
                if expected is not None and has != expected:
                    raise TokenTableError(
                        f"{name}: wrong checksum: the {part} has SHA-256 {has}, {expected} was expected. "
                        "Nothing was kept; fetch it again."
                    )
            provenance = {
                **table.provenance,
                "licence": licence,
                "shape": list(table.shape),
                "dtype": table.dtype.name,
                "sha256": found,
                "vocabulary_sha256": vocabulary,
            }
            address = write_provenance(folder.path / "provenance.json", provenance)
            if not overwrite and self.address(name) not in (address, None):
                raise TokenTableError(
                    f"{name}: is the name of another table. Choose another name, or give --overwrite to replace it."
                )
            folder.publish(address, repair=True)
        with output_errors(self.root, STORE_REMEDY), locked(self.root, 10, ["names"], STORE_REMEDY):
            write_text(self.root / "names" / f"{name}.json", json.dumps({"folder": address}) + "\n")
        return self.open(name)

    def put(self, table: TokenTable, licence: str = "") -> TokenTable:
        """Write a table from memory into the store under its own name; see `add`."""
        opened = OpenTable(
            shape=table.shape,
            dtype=table.embeddings.dtype,
            chunks=lambda: iter([table.embeddings]),
            strings=TokenStrings(table.vocabulary, table.special),
            provenance={"source": "memory", **table.provenance},
        )
        return self.add(table.name, opened, licence)

    def open(self, name: str) -> TokenTable:
        """Return a table, after checking its files; its values are a read-only memory map.

        Raises:
            TokenTableError: the store has no such table, or its folder is damaged.
        """
        return self._open(name)

    def _open(self, name: str, remembered: bool = True) -> TokenTable:
        folder = self._folder(name)
        provenance = _provenance(folder, name)
        values, strings = read_folder(folder, f"token table '{name}'", remedy(name), provenance, remembered)
        return TokenTable(name, values, strings.tokens, provenance, strings.special)

    def provenance(self, name: str) -> dict[str, Any]:
        """Return the provenance of a table, without reading its values.

        Raises:
            TokenTableError: the store has no such table, or its provenance is damaged.
        """
        return _provenance(self._folder(name), name)

    def verify(self, name: str) -> None:
        """Check every byte of a table against its checksums, even if that was done before.

        Raises:
            TokenTableError: a file has changed since it was written.
        """
        self._open(name, remembered=False)

    def prepared(self, key: str) -> PreparedTable | None:
        """Return the prepared table of a key, after checking its files, or None.

        Raises:
            TokenTableError: its folder is damaged.
        """
        folder, what, remedy = self.root / "prepared" / key, "prepared token table", "It is made again."
        if not folder.is_dir():
            return None
        report = read_provenance(folder, what, remedy)
        fingerprint = digest_json([key, report["sha256"], report["vocabulary_sha256"]])
        sealed = report.pop("report_sha256", None) == digest_json(report)
        if not sealed or report.get("fingerprint") != fingerprint or not isinstance(report.get("table"), str):
            raise TokenTableError(f"{what}: damaged: wrong checksum of its report. {remedy}")
        values, strings = read_folder(folder, what, remedy, report)
        return PreparedTable(report["table"], values, strings.tokens, report, report["fingerprint"])

    def remove_damaged(self) -> int:
        """Remove the prepared tables that are damaged, which are made again when needed, and return their number."""
        keys = [path.name for path in (self.root / "prepared").glob("*") if _ADDRESS.fullmatch(path.name)]
        if not (damaged := list(filter(self._is_damaged, keys))):
            return 0
        with self.preparing():
            damaged = list(filter(self._is_damaged, damaged))  # again: another process may have made it anew
            for key in damaged:
                shutil.rmtree(self.root / "prepared" / key, ignore_errors=True)
        return len(damaged)

    def _is_damaged(self, key: str) -> bool:
        try:
            self.prepared(key)
        except TokenTableError:
            return True
        return False

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Hold the lock under which prepared tables are made: of processes that need the same one, one makes it.

        Raises:
            RunError: another process holds it for too long.
            OutputError: the store cannot be written.
        """
        with locked(self.root / "prepared", PREPARING, remedy=STORE_REMEDY):
            yield

    def add_prepared(self, key: str, table: PreparedTable) -> PreparedTable:
        """Write a prepared table into the store, and return it from there.

        Args:
            key: digest of everything that the table was made from.
            table: the table; name, checksums and fingerprint are added to its report.

        Raises:
            OutputError: the disk is full or cannot be written.
        """
        with atomic_folder(self.root / "prepared", STORE_REMEDY) as folder:
            strings = TokenStrings(table.words)
            opened = OpenTable(table.shape, table.vectors.dtype, lambda: iter([table.vectors]), strings)
            report = {
                **table.report,
                "table": table.name,
                "shape": list(table.shape),
                "sha256": write_table(folder.path / "table.npy", opened, table.name),
                "vocabulary_sha256": write_vocabulary(folder.path / "vocabulary.json", strings),
            }
            report["fingerprint"] = digest_json([key, report["sha256"], report["vocabulary_sha256"]])
            write_provenance(folder.path / "provenance.json", {**report, "report_sha256": digest_json(report)})
            folder.publish(key, repair=True)
        kept = self.prepared(key)
        if kept is None:
            raise TokenTableError(f"{self.root}: the prepared table was removed while it was being written.")
        return kept

    def address(self, name: str) -> str | None:
        """Return the name of a table's folder; None where there is no such table, or nobody can say which."""
        try:
            return self._folder(name).name
        except TokenTableError:
            return None

    def _folder(self, name: str) -> Path:
        check_name(name)
        path = self.root / "names" / f"{name}.json"
        try:
            folder = str(read_json(path)["folder"])
        except FileNotFoundError as error:
            if name not in CATALOGUE:
                raise unknown_table(name, self.names()) from error
            raise TokenTableError(f"token table '{name}' is not in the store. {remedy(name)}") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TokenTableError(f"{path}: damaged. {remedy(name)}") from error
        if not _ADDRESS.fullmatch(folder):
            raise TokenTableError(f"{path}: damaged: it names no folder of the store. {remedy(name)}")
        return self.root / "tables" / folder


def _provenance(folder: Path, name: str) -> dict[str, Any]:
    """Return the provenance of a table's folder, after checking its digest."""
    what = f"token table '{name}'"
    provenance = read_provenance(folder, what, remedy(name))
    if digest_json(provenance) != folder.name:
        raise TokenTableError(f"{what}: damaged: wrong checksum of its provenance. {remedy(name)}")
    return provenance
