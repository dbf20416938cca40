"""Parts from other packages: imported by name, they register themselves as our own do."""

from __future__ import annotations

import importlib
import os
import pkgutil
from importlib.metadata import entry_points

from mltfr.errors import ConfigError

GROUP = "mltfr.plugins"
"""Entry-point group by which an installed package names its module or package."""
VARIABLE = "MLTFR_PLUGINS"
"""Environment variable with further ones, separated by commas; they must be importable."""


def plugin_names() -> list[str]:
    """Return the dotted names of all plug-ins: of installed packages first, then of the environment variable."""
    installed = [point.value for point in entry_points(group=GROUP)]
    named = [name.strip() for name in os.environ.get(VARIABLE, "").split(",")]
    return list(dict.fromkeys(name for name in (*installed, *named) if name))


def import_plugins() -> None:
    """Import every plug-in, with all modules directly in it where it is a package.

    Raises:
        ConfigError: one cannot be imported.
    """
    for name in plugin_names():
        try:
            module = importlib.import_module(name)
            for inner in pkgutil.iter_modules(getattr(module, "__path__", [])):
                if not inner.name.startswith("__"):  # __main__ is a program
                    importlib.import_module(f"{name}.{inner.name}")
        except Exception as error:  # whatever somebody else's code raises
            raise ConfigError(
                f"The plug-in '{name}' cannot be imported ({type(error).__name__}: {error}). Mend it, or take it out "
                f"of {VARIABLE} or uninstall it."
            ) from error
