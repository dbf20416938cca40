"""`mltfr doctor`."""

from __future__ import annotations

import os
import platform
import re
import shutil
from importlib.metadata import PackageNotFoundError, requires, version
from textwrap import fill
from typing import Any

from mltfr.cli.options import Json
from mltfr.cli.output import say

PACKAGES = ("torch", "numpy", "scipy", "polars", "pydantic", "safetensors", "gguf", "typer", "rich")
NOT_INSTALLED = "not installed"
DEVELOPMENT = ("test", "lint", "bench", "docs")
"""Extras that only work on the project itself needs."""


def doctor(json: Json = False) -> None:
    """Show what this installation has and can do: versions, devices, extras, store, models.

    Usually: `mltfr doctor`
    """
    report = examine()
    if json:
        from json import dumps

        say(dumps(report, indent=2))
        return
    width = shutil.get_terminal_size().columns
    for section, facts in report.items():
        say(section)
        for name, value in facts.items():
            say(fill(f"  {name:<18} {value}", width, subsequent_indent=" " * 21, break_on_hyphens=False))


def examine() -> dict[str, dict[str, Any]]:
    """Return the facts that a report of a problem should hold."""
    import torch

    from mltfr.backbones import BACKBONES
    from mltfr.baselines import BASELINES
    from mltfr.fusion import FUSIONS
    from mltfr.interactions import FORMATS
    from mltfr.losses import LOSSES
    from mltfr.objectives import OBJECTIVES
    from mltfr.storage.files import home
    from mltfr.threads import waits
    from mltfr.tokens.sources import TOKEN_SOURCES
    from mltfr.version import __version__, commit

    folder = home()
    there = folder if folder.exists() else next(path for path in folder.parents if path.exists())
    return {
        "versions": {
            "mltfr": __version__,
            "commit": commit() or "unknown",
            "python": platform.python_version(),
            **{name: _version(name) for name in PACKAGES},
        },
        "machine": {
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "torch threads": torch.get_num_threads(),
            "waiting threads": ", ".join(f"{name}={value}" for name, value in waits(os.environ).items()),
            "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        },
        "extras": {name: _extra(name, packages) for name, packages in extras().items()},
        "store": {
            "folder": str(folder),
            "writable": os.access(there, os.W_OK),
            "free GB": round(shutil.disk_usage(there).free / 1e9, 1),
        },
        "parts": {
            "backbones": ", ".join(BACKBONES.names()),
            "baselines": ", ".join(BASELINES.names()),
            "fusions": ", ".join(FUSIONS.names()),
            "losses": ", ".join(LOSSES.names()),
            "objectives": ", ".join(OBJECTIVES.names()),
            "log formats": ", ".join(FORMATS),
            "token sources": ", ".join(TOKEN_SOURCES.names()),
        },
    }


def extras() -> dict[str, list[str]]:
    """Return the extras of this installation that users may want, each with the packages it adds."""
    found: dict[str, list[str]] = {}
    try:
        requirements = requires("mltfr") or []
    except PackageNotFoundError:  # a checkout on the path that was never installed
        requirements = []
    for requirement in requirements:
        package, extra = re.match(r"[\w.-]+", requirement), re.search(r"extra == ['\"](\w+)['\"]", requirement)
        if package and extra and extra[1] not in DEVELOPMENT:
            found.setdefault(extra[1], []).append(package[0])
    return found


def _extra(name: str, packages: list[str]) -> str:
    missing = [package for package in packages if _version(package) == NOT_INSTALLED]
    return f"pip install 'mltfr[{name}]' ({', '.join(missing)} missing)" if missing else "installed"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return NOT_INSTALLED
