"""Files: written atomically (complete under their name, or not at all), JSON, checksums, and refusals to write."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mltfr.errors import MltfrError, OutputError
from mltfr.storage.parse import parse_json

_PARTIAL = re.compile(r"\.(.*\.)?\d+-[0-9a-f]{8}\.partial")
STALE_AFTER = 24 * 3600.0
"""Seconds without a change after which nobody writes a temporary file any more."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.EIO,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)


def home() -> Path:
    """Return the folder of everything that mltfr stores: `MLTFR_HOME`, or `~/.cache/mltfr`."""
    given = os.environ.get("MLTFR_HOME")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "mltfr"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def md5(path: Path) -> str:
    """Return the MD5 of a file's content, in hexadecimal; for publishers who publish no other checksum."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def flush(path: Path) -> None:
    """Write a file or a folder through to the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no JSON object.
    """
    document = parse_json(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise ValueError("it holds no JSON object")
    return document


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically; see `atomic_file`."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON object atomically; see `atomic_file`."""
    write_text(path, json.dumps(document, indent=2) + "\n")


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read the JSON objects of a file, one a line; empty lines are skipped.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line holds no JSON.
    """
    return [parse_json(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def write_json_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON objects atomically, one a line; see `atomic_file`."""
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))


def partial_name(destination: Path) -> Path:
    """Return a new path beside `destination` for what is not complete yet; see `remove_partial`."""
    return destination.with_name(f".{destination.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")


def check_absent(path: Path) -> None:
    """Refuse to replace a file, a link included.

    Raises:
        OutputError: there is something.
    """
    if os.path.lexists(path):
        raise OutputError(f"{path}: exists. Choose another --out, or give --overwrite to replace it.")


@contextmanager
def atomic_file(destination: Path, overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `destination`; on success the file written there replaces `destination`.

    Missing parent folders are made. The file gets the permissions of any new file, whatever its writer set, is
    flushed to the disk and renamed. When the block raises, the temporary file is removed and `destination` stays
    as it was. What processes that were killed left of the same file goes after a day, or with the folder's next lock.

    Args:
        destination: the file.
        overwrite: whether a file that is there, or appears meanwhile, is replaced.

    Raises:
        OutputError: the folder cannot be written, or the disk is full; or there is a file that is not replaced.
    """
    temporary = partial_name(destination)
    with output_errors(destination):
        if not overwrite:
            check_absent(destination)
        destination.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(destination)
        try:
            mode = _mode_of_new_file(temporary)
            yield temporary
            temporary.chmod(mode)
            flush(temporary)
            if not overwrite:
                check_absent(destination)
            os.replace(temporary, destination)
            flush(destination.parent)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def partial_folder(destination: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `destination`, for pieces of it; it is removed afterwards."""
    folder = partial_name(destination)
    _remove_stale(destination)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_partial(path: Path) -> bool:
    """Return whether a path has a name that `partial_name` made."""
    return _PARTIAL.fullmatch(path.name) is not None


def completed(path: object) -> str:
    """Return what a path below a name of `partial_name` is to become, as a text; any other path as it is."""
    found = [(part, _PARTIAL.fullmatch(part)) for part in str(path).split(os.sep)]
    return os.sep.join(part if match is None else (match[1] or "").removesuffix(".") or part for part, match in found)


def remove_partial(folder: Path) -> None:
    """Remove the temporary files and folders of killed processes; whatever cannot be removed stays.

    Nobody else may be writing into the folder: whoever holds its lock calls this, see `locked`.
    """
    with suppress(OSError):
        for path in folder.iterdir():
            if is_partial(path):
                _remove(path)


def _remove_stale(destination: Path) -> None:
    """Remove what killed processes left of a file beside it, where others may be writing the same one."""
    with suppress(OSError):
        for path in destination.parent.iterdir():
            if path.name.startswith(f".{destination.name}.") and is_partial(path):
                with suppress(OSError):
                    if time.time() - path.lstat().st_mtime > STALE_AFTER:
                        _remove(path)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink() if path.is_symlink() or not path.is_dir() else shutil.rmtree(path)


@contextmanager
def output_errors(where: Path, remedy: str = "") -> Iterator[None]:
    """Turn the operating system's refusal to write into one line.

    Args:
        where: what is written.
        remedy: what to do about it; a sentence about space or permissions if empty.

    Raises:
        OutputError: the disk is full, or `where` cannot be written.
    """
    try:
        yield
    except MltfrError:
        raise
    except Exception as error:
        number = os_error(error)
        if number in _FULL:
            told = os.strerror(number)
            tail = remedy or "Nothing was written; free some space."
            raise OutputError(f"{where}: the disk is full ({told}). {tail}") from error
        if number in _FORBIDDEN:
            told = os.strerror(number)
            tail = remedy or "Choose a folder that you may write to."
            raise OutputError(f"{where}: cannot be written ({told}). {tail}") from error
        raise


def check_new(
    folder: Path,
    what: str,
    *,
    known: Mapping[str, str | None] | None = None,
    ignored: Container[str] = (),
    error: type[MltfrError] = OutputError,
) -> None:
    """Refuse to write into a folder that holds something else.

    Hidden files (whose names begin with a dot) do not count.

    Args:
        folder: the folder to write; it may be missing.
        what: what is going to be written there, for the message ("a run").
        known: files or folders that show what `folder` holds, in the order in which they are looked for: the
            message that refuses it ("holds a finished run. Choose another --out."), or None where it may be
            continued.
        ignored: names of files that may be there.
        error: what is raised.

    Raises:
        MltfrError: of the type `error`: `folder` is a file, cannot be written, or is not empty.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise error(f"{folder}: is a file. Give --out the name of a new folder.")
    if not os.access(folder, os.W_OK):
        raise error(f"{folder}: may not be written. Choose another --out.")
    for name, refusal in (known or {}).items():
        if (folder / name).exists():
            if refusal is not None:
                raise error(f"{folder}: {refusal}")
            return
    if any(not path.name.startswith(".") and path.name not in ignored for path in folder.iterdir()):
        raise error(f"{folder}: is not empty and not {what}. Choose another --out.")


def os_error(error: Exception) -> int:
    """Return the operating system's number of an error, 0 if it has none.

    Polars and safetensors have it in the text only ("No space left on device (os error 28)"), numpy not at all
    ("4096 requested and 0 written").
    """
    if isinstance(error, OSError) and error.errno:
        return error.errno
    if isinstance(error, OSError) and "requested and" in str(error):
        return errno.ENOSPC
    told = re.search(r"\(os error (\d+)\)", str(error))
    return int(told[1]) if told else 0


def _mode_of_new_file(path: Path) -> int:
    """Return the permissions that a new file at `path` gets.

    Reading the umask means setting it, for all threads; making a file and looking at it does not.
    """
    path.touch(exist_ok=False)
    mode = stat.S_IMODE(path.stat().st_mode)
    path.unlink()
    return mode
