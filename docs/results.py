"""Write the results of studies: `python docs/results.py [FOLDER ...] [--check]`.

A FOLDER is what `mltfr study` wrote, without its cells and users: `results.parquet`, `comparisons.parquet`,
`study.toml`, `summary.md`, `tables/`, `plots/`. Without any, all of `benchmarks/results/studies/` are taken.

`docs/results.md` gets the summary of every study, and below them what is written by hand in
`docs/results-notes/`; a note `NAME.md` of a study `NAME` stands above its tables.
With `--check` nothing is written; the exit code is 1 if the page is out of date.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mltfr.storage.parse import parse_toml

ROOT = Path(__file__).parents[1]
STUDIES, NOTES, PAGE = "benchmarks/results/studies", "docs/results-notes", "docs/results.md"


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Write the page, or check it; return the exit code."""
    check = "--check" in arguments
    folders = [Path(name).resolve() for name in arguments if name != "--check"]
    folders = folders or sorted((path.parent for path in (root / STUDIES).glob("*/results.parquet")), reverse=True)
    target, text = root / PAGE, page(folders, root)
    if target.is_file() and target.read_text("utf-8") == text:
        return 0
    if not check:
        target.write_text(text, "utf-8")
    sys.stdout.write(f"{PAGE}: {'is out of date' if check else 'written'}\n")
    return int(check)


def page(folders: Sequence[Path], root: Path) -> str:
    """Return `docs/results.md`."""
    target = (root / PAGE).parent
    parts = ["# Results\n\nWritten by `python docs/results.py` from the folders of the studies.\n"]
    for folder in folders:
        summary = relinked((folder / "summary.md").read_text("utf-8"), folder, target)
        title, _, rest = summary.partition("\n")
        note = root / NOTES / f"{folder.name}.md"
        said = [relinked(note.read_text("utf-8"), note.parent, target)] if note.is_file() else []
        tables = re.sub(r"^##", "###", rest, flags=re.M)
        parts.append("\n".join([f"#{title}", "", *said, command(folder, root), tables]))
    studies = {path.parent.name for path in (root / STUDIES).glob("*/results.parquet")}
    notes = sorted(note for note in (root / NOTES).glob("*.md") if note.stem not in studies)
    parts += [relinked(note.read_text("utf-8"), note.parent, target) for note in notes]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def command(folder: Path, root: Path) -> str:
    """Return the command that repeats a study, as told in the ready file, or in the recorded one if they differ."""
    ready, file = Path("studies") / f"{folder.name}.toml", Path(os.path.relpath(folder / "study.toml", root))
    if (root / ready).is_file() and _settings(root / ready) == _settings(root / file):
        file = ready
    told = re.search(r"^#\s+(mltfr study .*)$", (root / file).read_text("utf-8"), re.M)
    text = told[1] if told else f"mltfr study {file.as_posix()} --out runs/{folder.name}"
    return f"<!-- not run: it takes hours -->\n```bash\n{text}\n```\n"


def _settings(file: Path) -> dict[str, Any]:
    return parse_toml(file.read_text("utf-8"))


def relinked(text: str, source: Path, target: Path) -> str:
    """Return a text of the folder `source` with its relative links as they are seen from the folder `target`."""

    def link(match: re.Match[str]) -> str:
        return f"]({Path(os.path.relpath(source / match[1], target)).as_posix()}{match[2] or ''})"

    return re.sub(r"\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)", link, text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
