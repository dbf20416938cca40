"""Debian's Chromium through Playwright, without a network; tests are skipped where one of them is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
UNREAD = """(cut) => {
  const fetched = window.fetch;
  window.fetch = async (url, how) => {
    const answer = await fetched(url, how);
    if (url !== "v1/recommend") return answer;
    Object.assign(window, { fetch: fetched, reading: true });
    const never = (reject) => (how.signal.onabort = () => reject(how.signal.reason));
    answer.json = () => new Promise((_, reject) => (cut ? reject(new SyntaxError()) : never(reject)));
    return answer;
  };
}"""
"""Makes the next recommendations an answer that is cut off, or is not read before a newer request."""


@dataclass
class Opened:
    """A page in the browser, and what it did: requests other than of the file itself, messages, dialogs, errors."""

    page: Any
    heard: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield a browser."""
    if not CHROMIUM.is_file():
        pytest.skip(f"{CHROMIUM} is not installed (apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright is missing")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Any, path: Path, **context: Any) -> Iterator[Opened]:
    """Yield a file shown in a window of its own, in which every request but for the file is heard and refused."""
    own = path.resolve().as_uri()
    within = browser.new_context(offline=True, **context)
    found = Opened(within.new_page())
    found.page.on("console", lambda message: found.heard.append(f"console: {message.text}"))
    found.page.on("pageerror", lambda error: found.heard.append(f"error: {error}"))
    found.page.on("dialog", lambda dialog: (found.heard.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def answer(route: Any) -> None:
        if route.request.url == own:
            route.continue_()
        else:
            found.heard.append(f"request: {route.request.url[:100]}")
            route.abort()

    found.page.route("**/*", answer)
    found.page.goto(own)
    try:
        yield found
    finally:
        within.close()
