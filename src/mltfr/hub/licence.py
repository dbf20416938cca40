"""Which licence a shared run has: the one that is given, or the one that follows from its token tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mltfr.errors import ConfigError, shown
from mltfr.pipeline.models import BLEND
from mltfr.storage.terminal import printable
from mltfr.tokens.origin import origin_of
from mltfr.tokens.store import TokenStore

PERMISSIVE = ("cc0-1.0", "mit", "bsd-2-clause", "bsd-3-clause", "apache-2.0")
"""Licences, as the hub spells them, under each of which works under those before it may be passed on, with its text."""
SAY = (
    "Say which licence the model has: --license NAME, as the hub spells it "
    "(https://hf.co/docs/hub/repositories-licenses), or `other`."
)


@dataclass(frozen=True)
class TableSource:
    """A token table of a run, and where it comes from.

    Attributes:
        name: what the run calls it.
        licence: licence of the weights; "" where nobody knows.
        source: wheel, repository or file, with its revision; "" where nobody knows.
        repository: hub repository, None where it comes from elsewhere.
        control: which control replaces its vectors; "" for none.
    """

    name: str
    licence: str = ""
    source: str = ""
    repository: str | None = None
    control: str = ""


def table_sources(facts: Mapping[str, Any], store: TokenStore | None = None) -> list[TableSource]:
    """Return where the token tables of a run come from, those of a blend's members too, each once."""
    store = store or TokenStore()
    return list(dict.fromkeys(_source(table, store) for each in _manifests(facts) for table in each.get("tables", ())))


def item_vectors(facts: Mapping[str, Any]) -> list[str]:
    """Return the files of the user's own item vectors that are in a run's weights."""
    found = [str(each["item_vectors"].get("source", "a file")) for each in _manifests(facts) if "item_vectors" in each]
    return list(dict.fromkeys(found))


def check_licence(given: str) -> str:
    """Return a licence as the hub spells it.

    Raises:
        ConfigError: it is no name of a licence.
    """
    name = given.strip().lower()
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,60}", name):
        raise ConfigError(f"the licence {shown(given)} is no name of one. {SAY}")
    return name


def unknown_licence(licence: str) -> ConfigError:
    """Return the error of a licence that the hub does not know."""
    return ConfigError(f"the licence {shown(licence)} is not known to the hub. {SAY}")


def licence_of(tables: Sequence[TableSource], vectors: Sequence[str] = ()) -> str:
    """Return the licence that follows from all token tables, whose vectors are among the weights.

    It is that of them which asks for most, where all are permissive.

    Args:
        tables: where the tables come from.
        vectors: files of the user's own item vectors.

    Raises:
        ConfigError: there is no table, one is under terms of its own or unknown ones, or there are item vectors.
    """
    unclear = [_unclear(table) for table in tables if table.licence.lower() not in PERMISSIVE]
    unclear += [f"item vectors of {printable(name)} are of an unknown one" for name in vectors]
    if unclear:
        raise ConfigError(f"No licence follows from what is in the weights: {'; '.join(unclear)}. {SAY}")
    if not tables:
        raise ConfigError(f"No licence follows from token tables, since the run reads none. {SAY}")
    return max((table.licence.lower() for table in tables), key=PERMISSIVE.index)


def _unclear(table: TableSource) -> str:
    name = printable(table.name)
    if not table.licence:
        return f"the licence of table '{name}' is not known"
    return f"table '{name}' is under '{printable(table.licence)[:100]}'"


def _manifests(facts: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield what the manifest says of a run, and of a blend's members."""
    yield facts
    yield from facts.get(BLEND, {}).get("members", ())


def _source(table: Mapping[str, Any], store: TokenStore) -> TableSource:
    found = origin_of(table, store) or {}
    repository, revision = found.get("repository"), found.get("revision")
    if repository:
        source = f"{repository}@{revision}" if revision else str(repository)
    else:
        source = ", ".join(found.get("requirements", ())) or str(found.get("source", ""))
    return TableSource(
        str(table["name"]), str(found.get("licence") or ""), source, repository, str(table.get("control", ""))
    )
