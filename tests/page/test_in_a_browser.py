"""A report in a real browser: nothing is loaded, it fits a phone, is legible in both themes, and prints its figures."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from support.browser import chromium, opened
from support.command_line import run
from support.read_page import read

pytestmark = pytest.mark.slow

LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3, of text."""
CONTRASTS = """() => {
  const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (color) => { paint.clearRect(0, 0, 1, 1); paint.fillStyle = color; paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data]; };
  const light = (c) => { const [r, g, b] = c.slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c[3] > 0) return c; } return [255, 255, 255, 255]; };
  const found = {};
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own) continue;
    const style = getComputedStyle(e), inSvg = e.namespaceURI.endsWith('svg');
    const [a, b] = [light(rgb(inSvg ? style.fill : style.color)), light(behind(e))].sort((x, y) => y - x);
    const key = e.tagName + '.' + (e.getAttribute('class') || '');
    found[key] = Math.min(found[key] ?? 99, (a + 0.05) / (b + 0.05));
  }
  return found; }"""
"""The least contrast of text by element and class; the canvas reads any colour that a style may have."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def html(runs: Path, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "report.html"
    run("report", runs / "mltfr", "--compare", runs / "none", "--out", path, home=store)
    return path


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_it_loads_nothing_fits_and_is_legible(browser: Any, html: Path, theme: str, width: int) -> None:
    size = {"width": width, "height": 800}
    with opened(browser, html, color_scheme=theme, viewport=size) as shown:
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
        for summary in shown.page.query_selector_all("summary"):
            summary.click()
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
        low = {name: ratio for name, ratio in shown.page.evaluate(CONTRASTS).items() if ratio < LEAST_CONTRAST}
        assert low == {}
        background = shown.page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--paper')")
        assert (background.strip() == "#ffffff") == (theme == "light")
        cut = shown.page.evaluate("""() => [...document.querySelectorAll('svg text')].filter(text => {
            const own = text.getBoundingClientRect(), svg = text.ownerSVGElement.getBoundingClientRect();
            return own.left < svg.left - 1 || own.right > svg.right + 1; }).map(text => text.textContent)""")
        assert cut == []
        assert shown.heard == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nobody_is_shut_out(browser: Any, html: Path, theme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    with opened(browser, html, color_scheme=theme) as shown:
        for summary in shown.page.query_selector_all("summary"):
            summary.click()
        found = axe.Axe().run(shown.page).response["violations"]
        assert [(each["id"], each["impact"], each["nodes"][0]["html"]) for each in found] == []


def test_a_browser_reads_it_as_it_is_written(browser: Any, html: Path) -> None:
    """Nothing is moved, left out or added: every element stands where its tag is, and is one that there is."""
    with opened(browser, html) as shown:
        names = shown.page.evaluate("[...document.querySelectorAll('*')].map(each => each.localName.toLowerCase())")
        assert names == read(html).names
        unknown = """[...document.querySelectorAll('*')].filter(each => each instanceof HTMLUnknownElement
            || each.constructor === SVGElement).length"""
        assert shown.page.evaluate(unknown) == 0


@pytest.mark.parametrize("kind", ["blend", "updated", "one-table", "random", "item-knn"])
def test_every_kind_of_run_opens(browser: Any, kind: str, kinds: Path, store: Path, tmp_path: Path) -> None:
    run("report", kinds / kind, "--out", tmp_path / "page.html", home=store)
    with opened(browser, tmp_path / "page.html", viewport={"width": 360, "height": 800}) as shown:
        for summary in shown.page.query_selector_all("summary"):
            summary.click()
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= 360
        names = shown.page.evaluate("[...document.querySelectorAll('*')].map(each => each.localName.toLowerCase())")
        assert names == read(tmp_path / "page.html").names
        assert shown.heard == []


def test_it_says_all_without_a_script(browser: Any, html: Path) -> None:
    texts = []
    for script in (True, False):
        with opened(browser, html, java_script_enabled=script) as shown:
            texts.append(shown.page.inner_text("body") if script else shown.page.locator("body").inner_text())
            assert shown.heard == []
    assert texts[0] == texts[1]
    assert "Fusion mltfr" in texts[0]


def test_names_of_what_one_can_reach(browser: Any, html: Path) -> None:
    with opened(browser, html) as shown:
        nameless = shown.page.evaluate("""() => [...document.querySelectorAll('svg, [role=region], a')]
            .filter(e => !(e.getAttribute('aria-label') || e.textContent.trim())).length""")
        assert nameless == 0
        assert shown.page.evaluate("document.documentElement.lang") == "en"
        levels = shown.page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(e => +e.tagName[1])")
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        regions = shown.page.evaluate("[...document.querySelectorAll('.wide')].every(e => e.tabIndex === 0)")
        assert regions


def test_print_keeps_every_figure(browser: Any, html: Path) -> None:
    with opened(browser, html, viewport={"width": 720, "height": 1000}, color_scheme="dark") as shown:
        shown.page.emulate_media(media="print")
        sizes = shown.page.evaluate("""() => [...document.querySelectorAll('svg')].map(e => {
            const box = e.getBoundingClientRect(); return [box.width, box.height]; })""")
        assert len(sizes) > 8
        assert all(width > 100 and height > 20 for width, height in sizes)
        assert shown.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert shown.page.pdf().startswith(b"%PDF")
