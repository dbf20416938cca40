"""The order in which a fusion keeps its tables, the names it keeps them under, and the consensus group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Generic, TypeVar, cast

from torch import nn

from mltfr.errors import ConfigError, one_of
from mltfr.tokens.table import PreparedTable

M_co = TypeVar("M_co", bound=nn.Module, covariant=True)


class ByTable(nn.ModuleDict, Generic[M_co]):
    """One module for every table, named after it in `state_dict`."""

    def __init__(self, modules: Mapping[str, M_co]) -> None:
        super().__init__({module_key(name): module for name, module in modules.items()})

    def of(self, name: str) -> M_co:
        """Return the module of the table called `name`."""
        return cast(M_co, self[module_key(name)])

    def each(self) -> list[M_co]:
        """Return the modules in the order of the tables."""
        return cast(list[M_co], list(self.values()))


def by_name(tables: Sequence[PreparedTable]) -> list[PreparedTable]:
    """Return the tables sorted by name, so that the order in a config cannot change anything.

    Raises:
        ConfigError: there is no table, or two have one name.
    """
    if not tables:
        raise ConfigError("The fusion needs at least one token table. Name some with --tokens a,b,c.")
    ordered = sorted(tables, key=lambda table: table.name)
    for first, second in pairwise(ordered):
        if first.name == second.name:
            raise ConfigError(f"Token table '{first.name}' is given twice. Name every table once.")
    return ordered


def module_key(name: str) -> str:
    """Return a table's name as a key of a `ByTable`, which allows no dots; names stay distinct."""
    key = name.replace("%", "%25").replace(".", "%2e")
    return f"{key}%" if hasattr(ByTable({}), key) else key  # "keys", "type" and "of" are attributes there


def consensus_group(names: Sequence[str] | None, known: Iterable[str]) -> list[str]:
    """Return the names of the consensus group, sorted; all tables if the config names none.

    Raises:
        ConfigError: the config names a table that the fusion does not have.
    """
    known = list(known)
    for name in names or ():
        if name not in known:
            raise ConfigError(f"consensus_group names '{name}', which is not fitted. {one_of(name, known)}")
    return sorted(set(names)) if names else known


def largest_group_of_one_width(tables: Sequence[PreparedTable]) -> list[str]:
    """Return the names of the most tables that share a width; the smaller width if two are as many."""
    widths: dict[int, list[str]] = {}
    for table in tables:
        widths.setdefault(table.shape[1], []).append(table.name)
    return max(sorted(widths.items()), key=lambda item: len(item[1]))[1]
