"""A page as HTML: one file, nothing to load, no script; whatever it shows is text, never markup."""

from __future__ import annotations

from importlib.resources import files
from typing import Any
from urllib.parse import quote

from mltfr.errors import MissingExtraError
from mltfr.page.content import Page, Table
from mltfr.storage.terminal import printable

TEMPLATE, STYLE = "page.html.jinja", "page.css"


def render(page: Page) -> str:
    """Return a page as HTML; the same page gives the same text.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise MissingExtraError("jinja2", "report") from error

    def visible(value: Any) -> Any:
        return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=visible
    )
    environment.filters["data_uri"] = data_uri
    environment.filters["drawn"] = Markup
    return environment.from_string(_read(TEMPLATE)).render(page=page, style=Markup(style()))  # noqa: S704 - our own file


def style() -> str:
    """Return the style sheet of pages and figures."""
    return _read(STYLE)


def data_uri(table: Table) -> str:
    """Return a table's CSV as an address that holds it."""
    return f"data:text/csv;charset=utf-8,{quote(table.csv(), safe=',')}"


def _read(name: str) -> str:
    return files("mltfr.page").joinpath(name).read_text(encoding="utf-8")
