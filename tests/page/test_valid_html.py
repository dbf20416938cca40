"""The check of pages finds what is wrong with one."""

from __future__ import annotations

import pytest

from support.valid_html import faults

PAGE = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title></head><body>{}</body></html>'


@pytest.mark.parametrize(
    "good",
    [
        '<main id="m"><p>One <b>word</b> of <a href="#m">two</a>.</p></main>',
        '<table><thead><tr><th scope="col">n</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>',
        "<details><summary>More</summary><p>It is.</p></details>",
        '<label for="q">Words</label><input id="q" type="search" maxlength="9">',
        '<svg viewBox="0 0 1 1" role="img" aria-label="A line"><line x1="0" x2="1" y1="0" y2="1"></line></svg>',
    ],
)
def test_a_good_page_has_no_faults(good: str) -> None:
    assert faults(PAGE.format(good)) == []


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("<p><div>x</div></p>", "unexpected-end-tag"),
        ("<b>x", "expected-one-end-tag"),
        ('<p id="a" id="b">x</p>', "duplicate"),
        ("<p>a &copy b</p>", "entity"),
        ("<table><p>x</p></table>", "voodoo"),
        ('<p id="a">x</p><p id="a">y</p>', "id a is there 2 times"),
        ('<p align="left">x</p>', "p has no align"),
        ('<button onclick="x()">x</button>', "button has no onclick"),
        ('<a href="#nowhere">x</a>', "there is no #nowhere"),
        ('<label for="q">x</label>', "there is no #q"),
        ("<ul><p>x</p></ul>", "p in ul"),
        ("<h2><ul><li>x</li></ul></h2>", "ul in html body h2"),
        ('<a href="x"><button>y</button></a>', "button in html body a"),
        ("<details><p>x</p></details>", "details begins with no summary"),
        ('<img src="x">', "img has no alt"),
    ],
)
def test_a_fault_is_found(bad: str, told: str) -> None:
    assert any(told in each for each in faults(PAGE.format(bad))), faults(PAGE.format(bad))
