"""The registry behind backbones, fusions, losses and token sources: one new file adds one entry."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mltfr.config.plugins import import_plugins
from mltfr.errors import ConfigError, one_of

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
            if known is not None and _origin(known.cls) != _origin(cls):
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
        self._discovered = True  # already now: a module may look something up while it is imported
        try:
            package = importlib.import_module(self.package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self.package}.{module.name}")
            import_plugins()
        except BaseException:
            self._discovered = False
            raise

    def find(self, name: str) -> Entry[T, C] | None:
        """Return the entry called `name`, or None; case, hyphens and underscores do not count ("FMLPRec", "fmlp-rec").

        Raises:
            ConfigError: a plug-in cannot be imported.
        """
        if name in self._entries:
            return self._entries[name]
        self.discover()
        if name in self._entries:
            return self._entries[name]
        alike = [entry for entry in self._entries if _plain(entry) == _plain(name)]
        return self._entries[alike[0]] if len(alike) == 1 else None

    def get(self, name: str) -> Entry[T, C]:
        """Return the entry called `name`, as `find` does.

        Raises:
            ConfigError: no entry has that name; the message names the closest one.
        """
        return lookup(name, self)

    def names(self) -> list[str]:
        """Return all names, sorted."""
        self.discover()
        return sorted(self._entries)

    def __iter__(self) -> Iterator[Entry[T, C]]:
        self.discover()
        return iter([self._entries[name] for name in sorted(self._entries)])


def lookup(name: str, *registries: Registry[Any, Any]) -> Entry[Any, Any]:
    """Return the entry called `name` of the first registry that has one.

    Raises:
        ConfigError: none has; the message speaks of the first registry's kind and names the closest entry.
    """
    for registry in registries:
        found = registry.find(name)
        if found is not None:
            return found
    known = [known for registry in registries for known in registry.names()]
    raise ConfigError(f"Unknown {registries[0].kind} '{name}'. {one_of(name, known)}")


def _origin(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
