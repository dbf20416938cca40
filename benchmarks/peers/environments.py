"""Where the peers' environments are, and what is in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from mltfr.storage.files import home

HERE = Path(__file__).resolve().parent
REQUIREMENTS = {
    "replay": "replay-rec[torch]==0.22.0",
    "rectools": "rectools[torch]==0.19.0",
    "recbole": "recbole==1.2.1",
}
EXTRAS = {"recbole": ("setuptools",)}
"""What a peer imports without saying so."""


@dataclass(frozen=True)
class Environment:
    """The environment of one peer; it lies in the cache folder, never in the repository."""

    name: str

    @property
    def folder(self) -> Path:
        """Where it is."""
        return home() / "peers" / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def constraints(self) -> Path:
        """The versions of everything in it."""
        return HERE / "constraints" / f"{self.name}.txt"

    @property
    def adapter(self) -> Path:
        """The script that runs in it."""
        return HERE / "adapters" / f"with_{self.name}.py"

    @property
    def requirements(self) -> tuple[str, ...]:
        """What is installed."""
        return (REQUIREMENTS[self.name], *EXTRAS.get(self.name, ()))

    @property
    def marker(self) -> Path:
        """Written when the installation is complete: the constraints it was made with."""
        return self.folder / "installed.json"

    def is_installed(self) -> bool:
        """Return whether it was made with these requirements and constraints."""
        return self.marker.is_file() and json.loads(self.marker.read_text()) == self.contents()

    def contents(self) -> dict[str, object]:
        """Return what the marker holds."""
        return {"requirements": list(self.requirements), "constraints": self.constraints.read_text()}


PEERS = {name: Environment(name) for name in REQUIREMENTS}
