"""The version, and the commit it was made from, in a place that every room may import."""

from __future__ import annotations

from pathlib import Path

__version__ = "0.1.0"
RECORD = "commit.txt"
"""File of the package that holds the commit it was built from: `setup.py` writes it into what is built."""


def commit() -> str | None:
    """Return the commit of this mltfr, as in `124102d1d229 and changes`; None where it is not known.

    A package that was built holds it. A checkout asks git, which takes some ten milliseconds: call this where somebody
    wants to read it, never at import.
    """
    package = Path(__file__).parent
    if (record := package / RECORD).is_file():
        return record.read_text("ascii").strip() or None
    return commit_of(package.parents[1]) if package.parent.name == "src" else None


def commit_of(checkout: Path) -> str | None:
    """Return the commit of a checkout of mltfr; None where there is no git, or the folder is no checkout of its own.

    Args:
        checkout: the folder of `pyproject.toml`. One that merely lies inside another repository has none: that
            repository's commit would be a wrong one.
    """
    import os
    import subprocess

    if not (checkout / ".git").exists():
        return None
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # a hook's lead away
    command = ["git", "-C", str(checkout), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty= and changes"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=plain, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
