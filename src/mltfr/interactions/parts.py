"""The files of a folder with a given split: which one is training, validation and test."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from mltfr.errors import DataError

NAMES = {"train": ("train",), "validation": ("valid", "val", "dev", "validation"), "test": ("test",)}
"""What the file of each part can be called."""
EXTENSIONS = ("txt", "csv", "tsv", "parquet", "jsonl", "inter")
_TEXTS = tuple(name for name in EXTENSIONS if name != "parquet")
_PACKED = ("gz", "zst")
_WORD = re.compile(r"(?<![a-z])(train|test|val|dev|eval)(?:ing|id|idation|uation)?(?![a-z])", re.IGNORECASE)


def find_parts(folder: Path) -> dict[str, Path]:
    """Return the file of each part that is there: `train.txt`, or as RecBole has it `NAME.train.inter`.

    Raises:
        DataError: the folder has no training or no test part, or two files for one.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: is a file; format 'folder' reads train.txt and test.txt in a folder.")
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    parts: dict[str, Path] = {}
    for part, names in NAMES.items():
        found = [path for path in files if _called(path) in names]
        if len(found) > 1:
            both = " and ".join(path.name for path in found[:2])
            raise DataError(f"{folder}: both {both} may be the {part} part. Leave one of them in the folder.")
        if not found and part != "validation":
            raise DataError(f"{folder}: the folder has no {part}.txt. Expected train.txt and test.txt in it.")
        if found:
            parts[part] = found[0]
    return parts


def has_parts(folder: Path) -> bool:
    """Say whether a folder has a training or a test part."""
    return any(_called(path) in NAMES["train"] + NAMES["test"] for path in folder.iterdir())


def text_parts(folder: Path) -> list[Path]:
    """Return the files of text of a folder and those in it, sorted; what begins with `_` or `.` is none.

    Raises:
        DataError: they are of several kinds; but for `.txt`, which may be something else beside another kind.
    """
    kinds: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if not any(part[0] in "_." for part in path.relative_to(folder).parts) and (kind := _kind(path)) in _TEXTS:
            kinds.setdefault(str(kind), []).append(path)
    if len(kinds) > 1:
        kinds.pop("txt", None)
    if len(kinds) > 1:
        one, other = (files[0].relative_to(folder) for files in list(kinds.values())[:2])
        raise DataError(f"{folder}: holds {one} and {other}, of several kinds. Give the files of one log by name.")
    return next(iter(kinds.values()), [])


def refuse_split(folder: Path, files: Iterable[Path]) -> None:
    """Raise where the names of files or of their folders say that they belong to different parts of a split.

    Args:
        folder: what was given.
        files: files in it that would be read as one log.

    Raises:
        DataError: some belong to another part than others, as `train-0.parquet` and `test-0.parquet` do.
    """
    first: dict[tuple[str, ...], str] = {}
    for file in files:
        name = str(file.relative_to(folder))
        first.setdefault(tuple(sorted({word.lower() for word in _WORD.findall(name)})), name)
    if len(first) > 1:
        one, other = list(first.values())[:2]
        raise DataError(
            f"{folder}: {one} and {other} look like parts of a split, which are no one log. Write each part into one "
            "file: train.parquet, test.parquet and perhaps valid.parquet in a folder; or give the files of one part. "
            "--format parquet reads them all as one log."
        )


def _called(path: Path) -> str | None:
    """Return what a file is called without its endings, None where it cannot be a part."""
    names = _names(path)
    return names[-2] if _kind(path) in EXTENSIONS else None


def _kind(path: Path) -> str | None:
    """Return the ending of a file's name, but for that of packed files."""
    names = _names(path)
    return names[-1] if len(names) > 1 else None


def _names(path: Path) -> list[str]:
    names = path.name.lower().split(".")
    return names[:-1] if names[-1] in _PACKED else names
