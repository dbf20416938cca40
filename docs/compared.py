"""Check what `docs/comparison.md` says of other libraries, in their wheels: `python docs/compared.py [FOLDER]`.

The wheels come from the package index by `pip download`, or from a folder. A path in a cell must be a file of the
column's wheel; a word after "no:" must be in none of its Python and YAML files.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

PAGE = Path(__file__).parent / "comparison.md"
READ = (".py", ".pyi", ".yaml")


def claims(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the library (with its version), the row and the cell's marked texts, for all cells of the tables."""
    libraries: list[str] = []
    for line in text.split("\n"):
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if line.startswith("| | mltfr"):
            libraries = [cell for cell in cells if re.fullmatch(r"[\w-]+ [\d.]+", cell)][1:]
        elif not line.startswith("|"):
            libraries = []
        elif libraries and not line.startswith("| ---"):
            for library, cell in zip(libraries, cells[2:], strict=True):
                yield library, cells[0], [cell.split(":")[0], *re.findall(r"`([^`]+)`", cell)]


def wrong(text: str, wheels: Mapping[str, Path]) -> list[str]:
    """Return what is not so: paths that a wheel does not have, and words that it has."""
    found = []
    for library, row, (answer, *marked) in claims(text):
        with zipfile.ZipFile(wheels[library]) as wheel:
            names = wheel.namelist()
            if answer != "no":
                found += [f"{library}, {row}: has no {path}" for path in marked if path not in names]
                continue
            for name in (name for name in names if name.endswith(READ)):
                said = wheel.read(name).decode("utf-8", "replace").lower()
                found += [f"{library}, {row}: {word} is in {name}" for word in marked if word in said]
    return found


def fetched(library: str, folder: Path) -> Path:
    """Return the wheel of a library in a folder, fetched if it is not there."""
    name, version = library.split()
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not list(folder.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, f"{name}=={version}"]
        subprocess.run(command, check=True)
    return next(folder.glob(pattern))


def main(arguments: list[str]) -> int:
    """Check the page; return the exit code."""
    text = PAGE.read_text("utf-8")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(arguments[0]) if arguments else Path(made)
        found = wrong(text, {library: fetched(library, folder) for library, _, _ in claims(text)})
    sys.stdout.write("\n".join([*found, f"{sum(1 for _ in claims(text))} cells, {len(found)} wrong"]) + "\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
