"""Whether a page is valid HTML: the parser of the standard without an error, and what it does not look at.

That is: attributes that an element may have, what may stand inside what, and ids that are there once and are meant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from tinyhtml5.parser import HTMLParser

GLOBAL = "class hidden id lang role tabindex title spellcheck dir"
ATTRIBUTES = {
    "a": "download href rel target", "button": "disabled type", "col": "span", "details": "open",
    "form": "action method", "img": "alt height src width",
    "input": "autocomplete checked disabled max maxlength min name pattern placeholder required step type value",
    "label": "for", "link": "href rel", "meta": "charset content http-equiv name",
    "ol": "start", "script": "defer src type", "time": "datetime", "td": "colspan headers rowspan",
    "th": "abbr colspan headers rowspan scope",
    "circle": "cx cy r", "line": "x1 x2 y1 y2", "path": "d", "polygon": "points", "polyline": "points",
    "rect": "height rx width x y", "svg": "height viewBox width xmlns", "text": "text-anchor x y dx dy transform",
    "g": "transform",
}  # fmt: skip
INSIDE = {
    "dl": "div dt dd", "ol": "li", "select": "option", "table": "caption colgroup thead tbody tfoot tr", "tbody": "tr",
    "thead": "tr", "tr": "td th", "ul": "li",
}  # fmt: skip
"""The only elements that an element may hold."""
PHRASING = "b bdi button code dt em h1 h2 h3 h4 label p pre small span strong text title"
"""Elements that hold words, and none of `FLOW`."""
FLOW = (
    "address article aside blockquote details div dl fieldset figure footer form h1 h2 h3 h4 header hr main nav ol p "
    "pre section table ul"
)
INTERACTIVE = "a button details label select textarea"
REFERENCES = ("for", "aria-labelledby", "aria-describedby", "aria-controls")


def faults(text: str) -> list[str]:
    """Return what is wrong with a page, in words."""
    parser = HTMLParser()
    root = parser.parse(text)
    found = [f"{line}:{column}: {what} {more}" for (line, column), what, more in parser.errors]
    elements = list(root.iter())
    ids = Counter(element.get("id") for element in elements if element.get("id") is not None)
    found += [f"id {each} is there {count} times" for each, count in ids.items() if count > 1 or not each.split()]
    for element in elements:
        found += _own_faults(element, set(ids))
    for inner, outer in _nested(root, ()):
        if inner in FLOW.split() and set(PHRASING.split()) & set(outer):
            found.append(f"{inner} in {' '.join(outer)}")
        if inner in INTERACTIVE.split() and {"a", "button"} & set(outer):
            found.append(f"{inner} in {' '.join(outer)}")
    return found


def _own_faults(element: Any, ids: set[str]) -> Iterator[str]:
    name = _name(element)
    allowed = f"{GLOBAL} {ATTRIBUTES.get(name, '')}".split()
    for attribute, value in element.attrib.items():
        plain = str(attribute).rpartition("}")[2]
        if plain not in allowed and not plain.startswith(("aria-", "data-")):
            yield f"{name} has no {plain}"
        meant = value.split() if plain in REFERENCES else [value[1:]] if value.startswith("#") else []
        yield from (f"{name} {plain}: there is no #{each}" for each in meant if each not in ids)
    if name in INSIDE:
        yield from (f"{_name(each)} in {name}" for each in element if _name(each) not in INSIDE[name].split())
    if name == "details" and (not len(element) or _name(element[0]) != "summary"):
        yield "details begins with no summary"
    if name == "img" and element.get("alt") is None:
        yield "img has no alt"


def _nested(element: Any, outer: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    name = _name(element)
    yield name, outer
    for each in element:
        yield from _nested(each, (*outer, name))


def _name(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else "comment"
