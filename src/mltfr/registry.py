"""The registry behind backbones, fusions, losses and token sources: one new file adds one entry."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from mltfr.errors import ConfigError, one_of
from mltfr.plugins import import_plugins

T = TypeVar("T")
C = TypeVar("C")
Class = TypeVar("Class", bound=type)


@dataclass(frozen=True)
class Entry(Generic[T, C]):
    """A registered class with the config model that describes its settings."""

    name: str
    cls: type[T]
    config: type[C]

    @property
    def summary(self) -> str:
        """First line of the class's docstring, for help texts and tables."""
        return (self.cls.__doc__ or "").strip().split("\n")[0]


class Registry(Generic[T, C]):
    """Named classes of one kind, found by importing every module of one package.

    Args:
        kind: what the entries are, for messages ("backbone").
        package: dotted name of the package whose modules register themselves when imported.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._entries: dict[str, Entry[T, C]] = {}
        self._discovered = False

    def register(self, name: str, config: type[C]) -> Callable[[Class], Class]:
        """Return a decorator that adds a class under `name`.

        Raises:
            ConfigError: another class already has that name.
        """

        def decorate(cls: Class) -> Class:
            known = self._entries.get(name)
            if known is not None and known.cls.__qualname__ != cls.__qualname__:
                raise ConfigError(f"{self.kind} '{name}' is registered twice: {known.cls} and {cls}.")
            self._entries[name] = Entry(name, cls, config)
            return cls

        return decorate

    def discover(self) -> None:
        """Import every module of the package and of all plug-ins once, so that all entries are known.

        Raises:
            ConfigError: a plug-in cannot be imported.
        """
        if self._discovered:
            return
        self._discovered = True
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")
        import_plugins()

    def get(self, name: str) -> Entry[T, C]:
        """Return the entry called `name`; case, hyphens and underscores do not count ("FMLPRec" is "fmlp-rec").

        Raises:
            ConfigError: no entry has that name; the message names the closest one.
        """
        if name in self._entries:
            return self._entries[name]
        self.discover()
        alike = [entry for entry in self._entries if _plain(entry) == _plain(name)]
        if len(alike) != 1 and name not in self._entries:
            raise ConfigError(f"Unknown {self.kind} '{name}'. {one_of(name, self._entries)}")
        return self._entries[name if name in self._entries else alike[0]]

    def names(self) -> list[str]:
        """Return all names, sorted."""
        self.discover()
        return sorted(self._entries)

    def __iter__(self) -> Iterator[Entry[T, C]]:
        self.discover()
        return iter([self._entries[name] for name in sorted(self._entries)])


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
