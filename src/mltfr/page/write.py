"""Writes a page: one HTML file, or a folder with the page, its figures as SVG and its tables as CSV."""

from __future__ import annotations

from pathlib import Path

from mltfr.errors import OutputError
from mltfr.page.content import Page
from mltfr.page.render import render, style
from mltfr.storage.files import atomic_file, check_absent, output_errors, write_text

HTML, FIGURES, TABLES = (".html", ".htm"), "figures", "tables"
PAGE = "report.html"
"""The page's name in a folder."""


def is_a_page(out: Path) -> bool:
    """Return whether a path names one HTML file; else it names a folder."""
    return out.suffix.lower() in HTML


def check_page(out: Path, overwrite: bool = False) -> None:
    """Refuse a path before any work is done.

    Args:
        out: an HTML file, or a folder, which may hold an earlier report if it is to be replaced.
        overwrite: whether what is there is replaced.

    Raises:
        OutputError: something is there, or the path has characters that cannot be printed.
    """
    if not str(out).isprintable():
        raise OutputError(f"{str(out)!a}: a name with characters that cannot be printed. Choose another --out.")
    if is_a_page(out):
        if out.is_dir():
            raise OutputError(f"{out}: is a folder. Give the name of a file that ends in .html, or of another folder.")
        if not overwrite:
            check_absent(out)
        return
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: is a file. Give a name that ends in .html, or a folder.")
    there = [path for path in out.iterdir() if not path.name.startswith(".")] if out.exists() else []
    if there and not (overwrite and (out / PAGE).is_file()):
        raise OutputError(f"{out}: is not empty. Choose another --out, or --overwrite to replace an earlier report.")


def write_page(page: Page, out: Path, overwrite: bool = False) -> Path:
    """Write a page and return the path of its HTML; twice the same page writes the same bytes.

    Args:
        page: the page.
        out: an HTML file, or else a folder, which gets `report.html`, `figures/*.svg` and `tables/*.csv`.
        overwrite: whether what is there is replaced.

    Raises:
        OutputError: something is there, or cannot be written.
        MissingExtraError: Jinja2 is not installed.
    """
    check_page(out, overwrite)
    html = render(page)
    with output_errors(out):
        path = out if is_a_page(out) else out / PAGE
        path.parent.mkdir(parents=True, exist_ok=True)
        if not is_a_page(out):
            for folder in (FIGURES, TABLES):
                (out / folder).mkdir(exist_ok=True)
            for figure in page.figures:
                write_text(out / FIGURES / f"{figure.table.name}.svg", standalone(figure.svg))
            for table in page.tables:
                write_text(out / TABLES / f"{table.name}.csv", table.csv())
    with atomic_file(path, overwrite) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return path


def standalone(svg: str) -> str:
    """Return a figure as a file of its own, with the style that it has on a page."""
    head, _, rest = svg.partition(">")
    return f"{head}><style>{style()}</style>{rest}\n"
