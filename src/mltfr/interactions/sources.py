"""What a log is read from: a file, several files, or a folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from mltfr.errors import DataError, one_of, word
from mltfr.interactions.columns import Columns
from mltfr.interactions.detect import detect
from mltfr.interactions.parts import has_parts, refuse_split, text_parts
from mltfr.interactions.prepared import is_prepared
from mltfr.interactions.readers import READERS
from mltfr.interactions.readers.parquet import parts_of
from mltfr.interactions.readers.text import head_line
from mltfr.storage.files import read_json
from mltfr.storage.folder import MANIFEST

FORMATS = (*READERS, "folder")
"""Names that `format` may have."""
FOLDER = "folder"
HEADED = {"csv", "tsv", "inter"}
"""Endings of files whose first line names the columns."""


@dataclass(frozen=True)
class Source:
    """The files of one log.

    Attributes:
        name: what they are called in messages.
        files: every file, or folder of Parquet files, and its format.
        notes: which files they are, where that was not said.
    """

    name: str
    files: tuple[tuple[Path, str], ...]
    notes: tuple[str, ...] = ()

    @property
    def format(self) -> str:
        """Their format, or their formats."""
        return ", ".join(dict.fromkeys(format for _, format in self.files))

    @property
    def split_folder(self) -> Path | None:
        """The folder with a given split, None where it is none."""
        return self.files[0][0] if self.files[0][1] == FOLDER else None


def paths_of(source: Any) -> list[Path] | None:
    """Return the paths that were given, None where a table was.

    Raises:
        DataError: there are none, or one is there twice.
    """
    if isinstance(source, str | PathLike):
        return [Path(source)]
    if not isinstance(source, list | tuple) or not all(isinstance(path, str | PathLike) for path in source):
        return None
    paths = [Path(path) for path in source]
    if not paths:
        raise DataError("No file was given. Give the files of one log, or a table.")
    known = [path.resolve() for path in paths]
    twice = next((path for path, place in zip(paths, known, strict=True) if known.count(place) > 1), None)
    if twice is not None:
        raise DataError(f"{twice}: is given twice. Give every file once.")
    return paths


def recognise(paths: Sequence[Path], format: str | None, columns: Columns) -> Source:
    """Return what a log is read from: the files that were given, and those of the folders among them.

    Args:
        paths: files or folders.
        format: the format that was asked for; None has it recognised.
        columns: names that were asked for.

    Raises:
        DataError: there is no such format or file, it is a prepared set, or the format is none for what was given.
    """
    if format is not None and format not in FORMATS:
        raise DataError(f"Unknown format '{format}'. {one_of(format, FORMATS)}")
    files: list[tuple[Path, str]] = []
    notes: list[str] = []
    for path in paths:
        found = _files(path, format, columns)
        files += [(file, _format(file, format, columns)) for file in found]
        if found != [path]:
            notes.append(f"read {_listed(found)} of the folder {path.name}")
    if len(files) > 1 and (given := next((path for path, name in files if name == FOLDER), None)):
        raise DataError(f"{given}: has no parts of one log, but a given split, which other files would not fit.")
    if len(files) > 1 and not notes:
        notes.append(f"read {_listed(path for path, _ in files)} as one log")
    name = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1:,} more"
    return Source(name, tuple(files), tuple(f"{note}." for note in notes))


def refuse_runs(path: Path) -> None:
    """Refuse a run folder, and a file or folder that is of one: what a run is made of looks like parts of a log.

    Raises:
        DataError: it is one; the message names the log that the run is of.
    """
    files = parts_of(path) if path.is_dir() else [path]
    for folder in dict.fromkeys(file.parent for file in files):
        try:
            manifest = read_json(folder / MANIFEST)
            is_run = "mltfr" in manifest and "kind" not in manifest
            own = set(manifest["files"]) if is_run else set()
        except (OSError, ValueError, LookupError, TypeError):
            continue
        if any(file.name in own for file in files if file.parent == folder):
            raise DataError(
                f"{folder}: is a run of mltfr, and no interaction log. Give the log itself ({manifest.get('source')}). "
                f"To look at the run: mltfr evaluate {word(folder)}"
            )


def require_there(path: Path) -> None:
    """Check that a file or folder that was given by name exists.

    Raises:
        DataError: it does not.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder. Check the path.")


def _files(path: Path, format: str | None, columns: Columns) -> list[Path]:
    """Return the files of which a path is one, or which lie in it as parts of one log."""
    require_there(path)
    if is_prepared(path):
        raise DataError(f"{path}: is a prepared set, read before. Fit it, or give the log that it is of.")
    refuse_runs(path)
    if not path.is_dir() or format in ("parquet", FOLDER) or has_parts(path) or (format is None and parts_of(path)):
        return [path]
    found = text_parts(path)
    refuse_split(path, found)
    headers = {file: _header(file) for file in found if not columns.names}
    odd = next((file for file, header in headers.items() if header != headers[found[0]]), None)
    if odd is not None:
        raise DataError(
            f"{path}: the first lines of {found[0].name} and {odd.name} differ: these are no parts of one log. "
            "Name the file of the log, or all its files."
        )
    return found or [path]


def _header(path: Path) -> str:
    """Return the line that names a table's columns, "" for what is called otherwise than tables are."""
    return head_line(path).lstrip("\ufeff") if HEADED.intersection(path.name.lower().split(".")) else ""


def _format(path: Path, format: str | None, columns: Columns) -> str:
    name = format or detect(path, columns)
    if columns.names and name not in ("csv", "tsv", FOLDER):
        raise DataError(f"{path}: --columns is for delimited text without a header, and format '{name}' is none.")
    if path.is_dir() and name not in ("parquet", FOLDER):
        raise DataError(f"{path}: is a folder, format '{name}' is a file's. Give the file, or format 'folder'.")
    return name


def _listed(paths: Iterable[Path]) -> str:
    names = [path.name for path in paths]
    shown = ", ".join(names[:5])
    return f"{len(names):,} files ({shown}{', ...' if len(names) > 5 else ''})" if len(names) > 1 else shown
