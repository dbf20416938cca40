"""Self-describing folders: a manifest with the format, its version, and the checksum of every file and of itself.

The manifest is written last: a folder without one is not finished.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mltfr.errors import MltfrError
from mltfr.storage.files import flush, output_errors, read_json, sha256, write_json
from mltfr.storage.refusals import has_file, tell_refusal
from mltfr.storage.sealed import sealed, unsealed
from mltfr.version import __version__

MANIFEST = "manifest.json"
DAMAGE: tuple[type[Exception], ...] = (
    OSError, LookupError, TypeError, ValueError, RuntimeError, AttributeError, OverflowError, MemoryError, EOFError,
)  # fmt: skip
"""Errors that reading a damaged file causes."""


@dataclass(frozen=True)
class FolderFormat:
    """A kind of folder and how its manifest is written and checked.

    Attributes:
        name: what such a folder is called in messages ("run").
        version: version of the format.
        files: names of the files that it is made of. They are listed and checked; whatever else lies in such a folder
            is neither read nor listed nor removed.
        error: what a folder that cannot be opened raises.
        remedy: what to do then; `{folder}` stands for its path.
        kind: value of the manifest's field `kind`; a format without that field if not given.
        sizes: list the size of every file beside its checksum.
    """

    name: str
    version: int
    files: tuple[str, ...]
    error: type[MltfrError]
    remedy: str
    kind: str | None = None
    sizes: bool = False

    def write_manifest(self, folder: Path, facts: Mapping[str, Any], more: Iterable[str] = ()) -> None:
        """Finish a folder: flush its files to the disk and write their checksums, beside `facts`.

        Args:
            folder: the folder.
            facts: more fields of the manifest.
            more: names of files to list beside the format's own.

        Raises:
            OutputError: the disk is full, or the folder cannot be written.
        """
        listed: dict[str, Any] = {}
        with output_errors(folder):
            for name in (*self.files, *more):
                flush(folder / name)
                listed[name] = describe_file(folder / name) if self.sizes else sha256(folder / name)
        kind = {} if self.kind is None else {"kind": self.kind}
        document = {"format": self.version, **kind, "mltfr": __version__, **facts, "files": listed}
        write_json(folder / MANIFEST, sealed(document))

    def names(self, folder: Path) -> bool:
        """Return whether a folder's manifest says that it is of this kind, whatever else of it may be damaged."""
        try:
            return bool(read_json(folder / MANIFEST).get("kind") == self.kind)
        except (OSError, ValueError):
            return False

    def read_manifest(self, folder: Path, files: Iterable[str] | None = None) -> dict[str, Any]:
        """Return a finished folder's manifest, after checking its format, its own checksum and those of files.

        Args:
            folder: a folder that has a manifest.
            files: names of the files to check, all of which must be listed; the format's own if not given.

        Raises:
            MltfrError: of the type `error`: the folder is of another kind or version, or a file is missing, not listed
                or damaged.
        """
        remedy = self.remedy.format(folder=folder)
        with damaged(folder / MANIFEST, self.error, remedy):
            manifest = read_json(folder / MANIFEST)
            kind, version, listed = manifest.get("kind"), manifest["format"], dict(manifest["files"])
        if kind != self.kind:
            raise self.error(f"{folder}: holds {kind or 'something else'}, no {self.name}. {remedy}")
        if version != self.version:
            raise self.error(
                f"{folder}: written in {self.name} format {version} by mltfr {manifest.get('mltfr', 'unknown')}; this "
                f"is mltfr {__version__}, which reads format {self.version}. {remedy}"
            )
        if list(manifest)[-1] != "files":  # with which it ended before manifests were sealed
            with damaged(folder / MANIFEST, self.error, remedy):
                manifest = unsealed(manifest)
        for name in self.files if files is None else files:
            if name not in listed:
                raise self.error(f"{folder / name}: missing from the {self.name}'s manifest. {remedy}")
            if not has_file(folder / name, self.error):
                raise self.error(f"{folder / name}: missing, though the manifest lists it. {remedy}")
            with damaged(folder / name, self.error, remedy):
                intact = _is_listed(folder / name, listed[name])
            if not intact:
                raise self.error(f"{folder / name}: damaged (its checksum differs from the manifest's). {remedy}")
        return manifest


def describe_file(path: Path) -> dict[str, Any]:
    """Return a file's size and checksum, as a manifest lists it."""
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def is_intact(path: Path, entry: Any) -> bool:
    """Return whether a file is the one that a manifest lists.

    Args:
        path: the file, which may be missing.
        entry: its SHA-256, or what `describe_file` returned.
    """
    try:
        return _is_listed(path, entry)
    except (OSError, KeyError, TypeError):
        return False


@contextmanager
def damaged(path: Path, error: type[MltfrError], remedy: str, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn whatever reading a damaged file causes into one line; a file that may not be read is not called damaged.

    Args:
        path: the file, or folder, that is read.
        error: what is raised.
        remedy: what to do.
        also: errors of the reading library, beside `DAMAGE`.

    Raises:
        MltfrError: of the type `error`: the file cannot be read, or holds something else.
    """
    try:
        yield
    except (*DAMAGE, *also) as caught:
        tell_refusal(path, caught, error)
        reason = f"it lacks {caught}" if isinstance(caught, KeyError) else " ".join(str(caught).split())[:200]
        raise error(f"{path}: damaged, or of another version ({reason}). {remedy}") from caught


def _is_listed(path: Path, entry: Any) -> bool:
    if isinstance(entry, str):
        return sha256(path) == entry
    return bool(path.stat().st_size == entry["bytes"] and sha256(path) == entry["sha256"])
