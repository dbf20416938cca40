"""Archives, zip (wheels among them) and tar: one file is taken out, to where the caller says and within a limit."""

from __future__ import annotations

import stat
import tarfile
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
    """Copy one file out of an archive.

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
    for piece in member_pieces(archive, member, error, limit):
        target.write(piece)


def member_pieces(
    archive: Path, member: str, error: type[MltfrError], limit: int = MAX_UNPACKED
) -> Iterator[bytes]:
    """Yield the content of one file of an archive; see `copy_member`. A tar archive may be compressed as a whole.

    Raises:
        MltfrError: of the type `error`.
    """
    yield from (_of_tar if _is_tar(archive) else _of_zip)(archive, member, error, limit)


def _is_tar(archive: Path) -> bool:
    """Say whether an archive is a tar, as its name says: what is in a zip may look like one."""
    return ".tar" in archive.suffixes or archive.suffix == ".tgz"


def _of_tar(archive: Path, member: str, error: type[MltfrError], limit: int) -> Iterator[bytes]:
    """Yield the content of the first file that matches; a tar of any size is read once, up to it."""
    with foreign_file(archive.name, error, "is damaged", "Fetch it again."), tarfile.open(archive, "r|*") as opened:
        for info in opened:
            if not fnmatchcase(info.name.removeprefix("./"), member):
                continue
            source = opened.extractfile(info) if info.isreg() else None
            if source is None:
                raise error(f"{archive.name}: its file {member} is a link, or no file, so it is not unpacked.")
            if info.size > limit:
                raise error(f"{archive.name}: its file {member} {_too_large(info.size, limit)}, so it is not unpacked.")
            while piece := source.read(CHUNK):
                yield piece
            return
    raise error(f"{archive.name}: has no file {member}.")


def _of_zip(archive: Path, member: str, error: type[MltfrError], limit: int) -> Iterator[bytes]:
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
        return _too_large(info.file_size, limit)
    return ""


def _too_large(size: int, limit: int) -> str:
    return f"has {size:,} bytes unpacked, more than the {limit:,} that were expected"
