"""A page as it is read back: its tables, links, ids and text; every element must be closed by its own tag."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

ZERO = "without the fusion (zero branch)"
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Read(HTMLParser):
    """The tables, the links and the visible text of a page; every element must be closed by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.links: list[str] = []
        self.names: list[str] = []
        self.text: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.names.append(tag)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.links += [value or "" for key, value in attrs if key in ("href", "src", "action", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data
        self.text.append(data)


def read(path: Path) -> Read:
    page = Read()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    return page


def table_with(page: Read, *columns: str) -> list[dict[str, str]]:
    found = next(table for table in page.tables if set(columns) <= set(table[0]))
    return [dict(zip(found[0], row, strict=True)) for row in found[1:]]


def assert_numbers_of(document: dict[str, Any], page: Read, fused: bool) -> None:
    """Check the scores, slices and counts of a run's page against its `metrics.json`.

    Args:
        document: the metrics.
        page: the page.
        fused: whether the run has a fusion, so that there is a branch to leave out.
    """
    rows = {(row["recommender"], row["split"]): row for row in table_with(page, "recommender", "split")}
    beside = {("this run", document["split"]): document["metrics"]}
    if "best_member" in document:
        beside[f"{document['best_member']['run']} (best member)", "test"] = document["best_member"]["metrics"]
    validation = document.get("validation", {})
    if validation:
        beside["this run", "validation"] = validation["metrics"]
    if fused and "zero_branch" in document:
        beside[ZERO, "test"] = document["zero_branch"]
    for key, name in (("zero_branch", ZERO), ("constant_branch", "with a constant in its place")):
        if key in validation:
            beside[name, "validation"] = validation[key]
    baselines = document.get("baselines", {})
    for name, scores in baselines.items():
        beside |= {(name, split): scores[split] for split in scores if split in ("test", "validation")}
    if "popularity" in document and "popularity" not in baselines:
        beside["popularity", "test"] = document["popularity"]
    assert rows.keys() == beside.keys()
    for key, metrics in beside.items():
        for metric, value in metrics.items():
            assert rows[key][metric] == f"{value:.4f}"
    sliced = [table for table in page.tables if table and table[0][0] == "slice"]
    for cut, table in zip(("target_popularity", "history_length"), sliced, strict=False):
        shown = {row[0]: dict(zip(table[0], row, strict=True)) for row in table[1:]}
        for part, metrics in document["slices"][cut].items():
            if metrics["examples"]:
                assert shown[part]["examples"] == f"{metrics['examples']:,}"
                assert all(shown[part][name] == f"{metrics[name]:.4f}" for name in table[0][2:])
    if "counts" in document:
        counts = {row["part"]: row for row in table_with(page, "part", "rows")}
        assert counts["training"]["rows"] == f"{document['counts']['training']['interactions']:,}"
