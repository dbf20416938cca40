"""Removal of a token table from the store, with the tables that were prepared from it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mltfr.errors import TokenTableError, one_of
from mltfr.storage.files import output_errors, read_json
from mltfr.storage.lock import locked
from mltfr.tokens.names import check_name
from mltfr.tokens.store import TokenStore
from mltfr.tokens.verified import RECORD

FILES = ("table.npy", "vocabulary.json", "provenance.json", RECORD)
"""What the store writes into the folder of a table; whatever else lies there stays."""
REMEDY = "Check the permissions of the store, then remove it again."


def remove_table(name: str, store: TokenStore) -> int:
    """Remove a table, damaged or not, and what was prepared from it; return the bytes that were freed.

    The name goes last, so that a removal that was killed can be repeated. Values that another name shares stay.

    Args:
        name: name of the table in the store.
        store: where it is kept.

    Raises:
        TokenTableError: the store has no such table.
        RunError: another process writes into the store.
        OutputError: something cannot be removed.
    """
    check_present(name, store)
    with output_errors(store.root, REMEDY), locked(store.root, 10, ["names"], REMEDY), store.preparing():
        others = {store.address(other) for other in store.names() if other != name}
        folders = [path for path in (store.root / "prepared").glob("*") if _is_of(path, name)]
        address = store.address(name)
        if address is not None and address not in others:
            folders.append(store.root / "tables" / address)
        freed = sum(map(_remove_folder, folders))
        (store.root / "names" / f"{name}.json").unlink(missing_ok=True)
    return freed


def check_present(name: str, store: TokenStore) -> None:
    """Check that the store has a table of that name, damaged or not.

    Raises:
        TokenTableError: it has not.
    """
    check_name(name)
    if name not in store:
        raise TokenTableError(
            f"Token table '{name}' is not in the store, so there is nothing to remove. {one_of(name, store.names())}"
        )


def _is_of(prepared: Path, name: str) -> bool:
    """Return whether a folder holds what was prepared from a table of that name."""
    try:
        return bool(read_json(prepared / "provenance.json")["table"] == name)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _remove_folder(folder: Path) -> int:
    freed = 0
    for path in (folder / file for file in FILES) if not folder.is_symlink() else ():
        with suppress(FileNotFoundError):
            size = path.lstat().st_size
            path.unlink()
            freed += size
    with suppress(OSError):  # something else lies in it
        folder.rmdir()
    return freed
