"""Which files a shared run has, and whether what lies on the hub, or came from there, is one and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from mltfr.errors import RunError
from mltfr.pipeline.artifact import FILES, FORMAT
from mltfr.pipeline.new_items import FILE as NEW_ITEMS
from mltfr.pipeline.new_items import WORDS
from mltfr.storage.folder import MANIFEST
from mltfr.storage.terminal import printable

CARD = "README.md"
OF_A_RUN = (*FILES, NEW_ITEMS, WORDS, MANIFEST, CARD)
"""Files that are fetched."""
IGNORED = (".gitattributes", ".gitignore", "LICENSE", "NOTICE")
HARMLESS = (".md", ".txt", ".png", ".jpg", ".jpeg", ".gif", ".svg")
"""Endings of what a card may show beside it; such files are not fetched."""
PULLED = replace(
    FORMAT,
    remedy="Fetch it anew (mltfr pull --force; in Python force_download=True). If that does not help, ask its owner.",
)


def check_names(where: str, names: Iterable[str]) -> list[str]:
    """Return which of a repository's files are a run's.

    Args:
        where: the repository, for the message.
        names: paths of all its files.

    Raises:
        RunError: one is neither a run's nor harmless, or leads elsewhere; or there is no run.
    """
    names = list(names)
    for name in names:
        path = PurePosixPath(name)
        if name in OF_A_RUN or name in IGNORED:
            continue
        strange = path.is_absolute() or ".." in path.parts or "\\" in name or str(path) != name
        if strange or path.suffix.lower() not in HARMLESS:
            raise RunError(
                f"{where}: holds '{printable(name)[:100]}', which no run has. Nothing was taken from it. Ask its "
                "owner, or name another revision."
            )
    if MANIFEST not in names:
        raise RunError(f"{where}: holds no run of mltfr ({MANIFEST} is missing). Name another repository or revision.")
    return [name for name in OF_A_RUN if name in names]


def check_fetched(where: str, folder: Path, within: Path) -> dict[str, Any]:
    """Return the manifest of a fetched run, after checking every file.

    Args:
        where: the repository, for the message.
        folder: where it lies.
        within: the folder that every link has to stay in: a cache's snapshot links to the files beside it.

    Raises:
        RunError: a file leads elsewhere, is none of a run's, missing or damaged.
    """
    found = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    check_names(where, (path.relative_to(folder).as_posix() for path in found))
    for path in found:
        if not path.resolve().is_relative_to(within.resolve()) or not path.is_file():
            raise RunError(f"{where}: '{path.name}' is a link that leads elsewhere. Nothing was read. {PULLED.remedy}")
    manifest = PULLED.read_manifest(folder)
    more = [name for name in manifest["files"] if name not in FILES]
    if unknown := [name for name in more if name not in OF_A_RUN]:
        raise RunError(f"{where}: its manifest lists '{printable(str(unknown[0]))[:100]}', which no run has.")
    PULLED.read_manifest(folder, more)
    if unlisted := ({NEW_ITEMS, WORDS} - set(more)) & {path.name for path in found}:
        raise RunError(f"{where}: '{unlisted.pop()}' is missing from its manifest. {PULLED.remedy}")
    return manifest
