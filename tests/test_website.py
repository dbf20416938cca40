"""The site: built strictly, every page in its navigation and beside it as Markdown, nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import website

CONFIG = (website.DOCS / "site.toml").read_text("utf-8")
PAGES = {str(page.relative_to(website.DOCS)) for page in website.DOCS.rglob("*.md")
         if page.parent.name != "results-notes"}  # fmt: skip
"""The notes are parts of results.md."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return website.build_site(tmp_path_factory.mktemp("site"))


def navigation() -> list[str]:
    return website.paths(website.tree(website.configuration(CONFIG)["project"]["nav"]))


def test_the_navigation_has_every_page_once() -> None:
    assert sorted(navigation()) == sorted(PAGES)


def test_every_page_lies_beside_its_markdown(site: Path) -> None:
    for name in PAGES:
        page = (site / name).with_suffix(".html")
        assert (page.with_name("index.html") if page.name == "README.html" else page).is_file(), name
        assert (site / name).read_text("utf-8").startswith("# "), name


def test_the_list_for_language_models_has_every_page_and_says_what_it_is_for(site: Path) -> None:
    text = (site / "llms.txt").read_text("utf-8")
    assert text.startswith("# mltfr\n\n> ")
    assert set(re.findall(r"\]\(([^)]+)\)", text)) == PAGES
    said = dict(re.findall(r"\]\((how-to/[^)]+)\): (.+)$", text, re.MULTILINE))
    assert said["how-to/updates.md"] == "add new rows to a run"
    assert set(said) == {name for name in PAGES if name.startswith("how-to/")}


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(r"<(?:script|img|iframe)[^>]*src=\"https?:|<link (?![^>]*canonical)[^>]*href=\"https?:")
    found = {page.name: loaded.findall(page.read_text("utf-8")) for page in site.rglob("*.html")}
    assert {name: every for name, every in found.items() if every} == {}


@pytest.mark.parametrize("key", ["project.plugins", "project.hooks", "project.theme.icons",
                                 "project.markdown_extensions.admonitions", "extra"])  # fmt: skip
def test_a_key_that_the_builder_would_pass_over_is_refused(key: str) -> None:
    with pytest.raises(website.SiteError, match=key.removeprefix("project.")):
        website.configuration(f"{key} = {{search = 1}}\nproject.site_name = 'x'\n")


def test_links_out_of_the_pages_lead_to_copies() -> None:
    copies: dict[Path, str] = {}
    text = "[a](../../src/mltfr/errors.py#x) [b](../README.md) `[c](../../x)`\n```\n[d](../../nothing)\n```\n"
    with pytest.raises(website.SiteError, match=r"docs/how-to/a\.md: links to \.\./\.\./x"):
        website.staged("how-to/a.md", text, copies)
    assert website.staged("how-to/a.md", text.replace("`[c](../../x)`", ""), copies) == (
        "[a](../files/src/mltfr/errors.py.txt) [b](../README.md) \n```\n[d](../../nothing)\n```\n"
    )
    assert copies == {website.ROOT / "src/mltfr/errors.py": "files/src/mltfr/errors.py.txt"}


def test_a_dead_link_ends_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "README.md").write_text("# Home\n\nSee [there](#nowhere).\n")
    (docs / "site.toml").write_text(re.sub(r"nav = \[.*?\]", 'nav = ["README.md"]', CONFIG, flags=re.DOTALL))
    monkeypatch.setattr(website, "DOCS", docs)
    with pytest.raises(website.SiteError, match="anchor does not exist"):
        website.build_site(tmp_path / "build")
