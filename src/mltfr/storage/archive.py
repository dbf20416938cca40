"""Zip archives, wheels among them: one file is copied out, to where the caller says and within a limit."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mltfr.errors import MltfrError
from mltfr.storage.foreign import foreign_file

MAX_UNPACKED = 1 << 30
"""Bytes of an unpacked file above which it is refused, if the caller knows no better limit."""
CHUNK = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


def copy_member(
    archive: Path, member: str, target: BinaryIO, error: type[MltfrError], limit: int = MAX_UNPACKED
) -> None:
    """Copy one file out of a zip archive.

    Args:
        archive: the archive; nothing in it says where something is written.
        member: the file's path in it, or a pattern that matches it alone.
        target: where its content goes.
        error: what is raised.
        limit: bytes of content above which it is refused.

    Raises:
        MltfrError: of the type `error`: the archive is damaged or lacks that file, or the file is encrypted, a
            link, packed by an unknown method, or too large.
    """
    for piece in _pieces(archive, member, error, limit):
        target.write(piece)


def _pieces(archive: Path, member: str, error: type[MltfrError], limit: int) -> Iterator[bytes]:
    with foreign_file(archive.name, error, "is damaged", "Fetch it again."), zipfile.ZipFile(archive) as opened:
        found = [info for info in opened.infolist() if fnmatchcase(info.filename, member)]
        if not found:
            raise error(f"{archive.name}: has no file {member}.")
        if len(found) > 1:
            raise error(f"{archive.name}: {len(found)} files match {member}, not one.")
        problem = _problem(found[0], limit)
        if problem:
            raise error(f"{archive.name}: its file {member} {problem}, so it is not unpacked.")
        with opened.open(found[0]) as source:
            while piece := source.read(CHUNK):
                yield piece


def _problem(info: zipfile.ZipInfo, limit: int) -> str:
    """Return why a file is not unpacked; empty if it is."""
    path = PurePosixPath(info.filename)
    if path.is_absolute() or ".." in path.parts:
        return "has a path that leads out of the archive"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in _METHODS:
        return f"is packed by an unknown method ({info.compress_type})"
    if info.file_size > limit:
        return f"has {info.file_size:,} bytes unpacked, more than the {limit:,} that were expected"
    return ""
