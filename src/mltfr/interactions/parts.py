"""The files of a folder with a given split: which one is training, validation and test."""

from __future__ import annotations

from pathlib import Path

from mltfr.errors import DataError

NAMES = {"train": ("train",), "validation": ("valid", "val", "dev", "validation"), "test": ("test",)}
"""What the file of each part can be called."""
EXTENSIONS = ("txt", "csv", "tsv", "parquet", "jsonl", "inter")
_PACKED = ("gz", "zst")


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


def _called(path: Path) -> str | None:
    """Return what a file is called without its endings, None where it cannot be a part."""
    names = path.name.lower().split(".")
    if names[-1] in _PACKED:
        names.pop()
    return names[-2] if 2 <= len(names) <= 4 and names[-1] in EXTENSIONS else None
