"""Where the vectors of a run's prepared token table come from, proven by its fingerprint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from mltfr.errors import TokenTableError
from mltfr.tokens.catalogue import CATALOGUE
from mltfr.tokens.prepare import ARITHMETIC
from mltfr.tokens.sources.wheel import WheelConfig
from mltfr.tokens.store import TokenStore
from mltfr.tokens.table_files import digest_json


def origin_of(table: Mapping[str, Any], store: TokenStore) -> dict[str, Any] | None:
    """Return the provenance of the table that a run's was prepared from, licence included; None where nobody knows.

    A name alone proves nothing, since a store may hold another table under it by now. The fingerprint of a prepared
    table follows from the checksums of what it was made from.

    Args:
        table: what a run's manifest says of the table, see `describe`.
        store: where the tables of this machine are.
    """
    for provenance in _candidates(str(table.get("name")), store):
        if is_made_from(table, provenance):
            return provenance
    return None


def is_made_from(table: Mapping[str, Any], provenance: Mapping[str, Any]) -> bool:
    """Return whether a run's prepared table was made from a table of this provenance, on whatever machine.

    Args:
        table: what the run's manifest says of it, see `describe`.
        provenance: what a store says of a table.
    """
    content = [provenance.get("sha256"), provenance.get("vocabulary_sha256")]
    return _fingerprint(table, content) == table["fingerprint"]


def _candidates(name: str, store: TokenStore) -> Iterator[dict[str, Any]]:
    if name in store:
        with suppress(TokenTableError):  # damaged: it proves nothing
            yield store.provenance(name)
    entry = CATALOGUE.get(name)
    for source in entry.sources if entry is not None else ():
        checksums = {"sha256": source.sha256, "vocabulary_sha256": source.vocabulary_sha256}
        requirements = source.config.requirements if isinstance(source.config, WheelConfig) else ()
        pinned = [requirement.split()[0] for requirement in requirements]
        licence = entry.licence if entry is not None else ""
        yield {"source": source.config.name, "licence": licence, "requirements": pinned, **checksums}


def _fingerprint(table: Mapping[str, Any], content: list[Any]) -> str:
    """Return the fingerprint that the table has if it was prepared from a table of this content."""
    settings = table.get("settings", {})
    if settings.get("prepare") == "raw":
        return digest_json(["raw", content])
    key = digest_json({"arithmetic": ARITHMETIC, "content": content, **settings})
    return digest_json([key, table.get("sha256"), table.get("vocabulary_sha256")])
