"""The tutorials: every script of `docs/tutorials` as a page with what it printed, and as a notebook without.

    python docs/tutorial_pages.py          # run them all, and keep what they print in docs/tutorials/printed.json

`python docs/generate.py` writes the pages and the notebooks from the scripts and from what was kept. The scripts are in
jupytext's `py:percent` form: cells between lines that begin with `# %%`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import jupytext
import nbformat

FOLDER = Path(__file__).parent / "tutorials"
PRINTED = FOLDER / "printed.json"
SCRIPTS = sorted(FOLDER.glob("*.py"))


def cells(script: Path) -> list[Any]:
    """Return the cells of a script, each with `cell_type` and `source`."""
    return list(jupytext.reads(script.read_text("utf-8"), fmt="py:percent").cells)


def notebook(script: Path) -> str:
    """Return a script as a notebook, without outputs; the same script gives the same bytes."""
    made = nbformat.v4.new_notebook(metadata={"kernelspec": {"display_name": "Python 3", "language": "python",
                                                             "name": "python3"}})  # fmt: skip
    for number, cell in enumerate(cells(script)):
        new = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
        made.cells.append(new(cell.source, id=f"cell-{number}"))
    return nbformat.writes(made) + "\n"


def page(script: Path, printed: list[str]) -> str:
    """Return a script as Markdown, every code cell followed by what it printed."""
    parts, left = list[str](), iter(printed)
    for cell in cells(script):
        if cell.cell_type == "code":
            said = next(left)
            parts += [f"```python\n{cell.source}\n```", *([f"```text\n{said.rstrip()}\n```"] if said.strip() else [])]
            continue
        title, mark, rest = cell.source.partition("\n")
        links = (
            f"\n\n[As a notebook]({script.stem}.ipynb) · [as a script]({script.name})\n"
            if title.startswith("# ")
            else ""
        )
        parts.append(f"{title}{links}{mark}{rest}")
    return "\n\n".join(parts) + "\n"


def run(script: Path, folder: Path) -> list[str]:
    """Run a script in a folder; return what each code cell printed."""
    names: dict[str, Any] = {"__name__": "tutorial"}
    printed = []
    with contextlib.chdir(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for cell in cells(script):
            if cell.cell_type == "code":
                with contextlib.redirect_stdout(io.StringIO()) as said:
                    exec(compile(cell.source, str(script), "exec"), names)  # noqa: S102 - our own scripts
                printed.append(said.getvalue())
    return printed


def files() -> dict[str, str]:
    """Return every page and notebook by its path from the root of the repository."""
    printed = json.loads(PRINTED.read_text("utf-8"))
    made = {f"docs/tutorials/{script.stem}.md": page(script, printed[script.stem]) for script in SCRIPTS}
    return made | {f"docs/tutorials/{script.stem}.ipynb": notebook(script) for script in SCRIPTS}


def main() -> None:
    """Run all scripts, and keep what they print."""
    os.environ["MLTFR_OFFLINE"] = "1"
    printed = {}
    for script in SCRIPTS:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["MLTFR_HOME"] = folder + "/home"
            printed[script.stem] = run(script, Path(folder))
    PRINTED.write_text(json.dumps(printed, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
