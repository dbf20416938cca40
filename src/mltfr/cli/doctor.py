"""`mltfr doctor`."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import typer

from mltfr.cli.options import Json

PACKAGES = ("torch", "numpy", "scipy", "polars", "pydantic", "safetensors", "gguf", "typer", "rich")
EXTRAS = {
    "hub": ("huggingface_hub", "tokenizers"),
    "pandas": ("pandas", "pyarrow"),
    "tensorboard": ("tensorboard",),
}


def doctor(json: Json = False) -> None:
    """Show what this installation has and can do: versions, devices, extras, store, models."""
    report = examine()
    if json:
        from json import dumps

        typer.echo(dumps(report, indent=2))
        return
    for section, facts in report.items():
        typer.echo(section)
        for name, value in facts.items():
            typer.echo(f"  {name:<18} {value}")


def examine() -> dict[str, dict[str, Any]]:
    """Return the facts that a report of a problem should hold."""
    import torch

    from mltfr.backbones import BACKBONES
    from mltfr.baselines import BASELINES
    from mltfr.fusion import FUSIONS
    from mltfr.losses import LOSSES
    from mltfr.storage.files import home
    from mltfr.version import __version__

    folder = home()
    there = folder if folder.exists() else next(path for path in folder.parents if path.exists())
    return {
        "versions": {
            "mltfr": __version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in PACKAGES},
        },
        "machine": {
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "torch threads": torch.get_num_threads(),
            "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        },
        "extras": {
            name: "installed" if all(find_spec(module) for module in modules) else f"pip install 'mltfr[{name}]'"
            for name, modules in EXTRAS.items()
        },
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
        },
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
