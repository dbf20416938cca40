"""The page at `/` in a browser: what it shows is what the service answers, for eyes, keyboards and screen readers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import Any

import pytest
import uvicorn

from mltfr.serve.app import make_app
from mltfr.serve.keys import Keys
from mltfr.serve.loaded import LoadedRun
from mltfr.serve.options import ServiceOptions
from mltfr.serve.service import Service
from support.browser import UNREAD, chromium
from support.service import KEY

pytestmark = pytest.mark.slow

MARKUP = "<img src=x onerror=alert(1)>"
TURNED = "\u202eabc\u0000"


@dataclass
class Window:
    """The page in the browser, and what it did that it should not: other requests, messages, errors and dialogs."""

    page: Any
    heard: list[str] = field(default_factory=list)

    def ids(self, of: str) -> list[str]:
        """Return the item ids of a list on the page."""
        return self.page.locator(f"#{of} > li bdi.id").all_text_contents()

    def wait_for(self, of: str, ids: list[str]) -> None:
        """Wait until a list shows these items."""
        shown = f"Array.from(document.querySelectorAll('#{of} > li bdi.id'), (each) => each.textContent).join()"
        self.page.wait_for_function(f"(wanted) => {shown} === wanted", arg=",".join(ids))

    def search_and_add(self, query: str) -> None:
        self.page.fill("#query", query)
        self.page.locator("#found > li", has=self.page.get_by_text(query, exact=True)).get_by_role("button").click()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def named(run) -> LoadedRun:
    ids = run.fitted.split.vocabulary.item_ids
    names = {item: f"The name of {item}" for item in ids} | {ids[0]: MARKUP, ids[1]: TURNED}
    return LoadedRun(run.folder, run.fingerprint, run.fitted, names)


@contextmanager
def address_of(run: LoadedRun, keys: Keys | None = None) -> Iterator[str]:
    service = Service(run, ServiceOptions(timeout=20))
    service.start()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(make_app(service, keys), log_config=None, lifespan="off", ws="none"))
        thread = Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()
            service.stop()


@pytest.fixture(scope="module")
def address(named) -> Iterator[str]:
    with address_of(named) as address:
        yield address


@contextmanager
def shown(browser: Any, address: str, **context: Any) -> Iterator[Window]:
    within = browser.new_context(**context)
    window = Window(within.new_page())
    page, heard = window.page, window.heard
    page.set_default_timeout(20_000)
    page.on("console", lambda message: heard.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: heard.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (heard.append("dialog"), dialog.dismiss()))

    def answer(route: Any) -> None:
        if route.request.url.startswith((address, "data:")):
            route.continue_()
        else:
            heard.append(route.request.url)
            route.abort()

    page.route("**/*", answer)
    page.goto(address)
    try:
        yield window
    finally:
        within.close()


def posted(window: Window, path: str, document: Any) -> Any:
    return window.page.request.post(window.page.url + path, data=document).json()["results"]


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_history_is_built_and_answered(browser, address, named, width, scheme) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    ids = named.fitted.split.vocabulary.item_ids
    with shown(browser, address, viewport={"width": width, "height": 800}, color_scheme=scheme) as window:
        page = window.page
        page.locator("#popular > li").first.wait_for()
        assert not page.locator("#own-side").is_visible()
        for item in ids[4:6]:
            window.search_and_add(item)
        assert window.ids("history") == [ids[5], ids[4]]
        own, popular = posted(window, "v1/recommend", {"histories": [ids[4:6], []], "deny": ids[4:6]})
        window.wait_for("own", [each["item_id"] for each in own["items"]])
        page.locator("#own button[aria-expanded]").first.click()
        assert window.ids("popular") == [each["item_id"] for each in popular["items"]]
        [why] = posted(window, "v1/explain", {"histories": [ids[4:6]], "items": [own["items"][0]["item_id"]], "k": 10})
        panel = page.locator(".why").first
        assert panel.is_visible()
        for each in why["contributions"]:
            assert each["name"] in panel.inner_text()
        told = f"falls to rank {why['smallest_set']['rank']}," if why["smallest_set"] else "No one to three items"
        assert told in panel.inner_text()
        wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1]
        found = axe.Axe().run(page).response["violations"]
        assert [(each["id"], each["impact"], each["nodes"][0]["html"]) for each in found] == []
        assert window.heard == []


def test_the_keyboard_is_enough(browser, address) -> None:
    with shown(browser, address) as window:
        page = window.page
        page.locator("#found > li").first.wait_for()
        press, focused = page.keyboard.press, lambda: page.evaluate("document.activeElement.getAttribute('aria-label')")
        press("Tab")
        assert page.evaluate("document.activeElement.id") == "query"
        press("Tab")
        assert focused().startswith("Add ")
        press("Enter")
        page.locator("#own button[aria-expanded]").first.wait_for()
        assert focused().startswith("Add ")  # the focus stays where it was
        assert "Added" in page.locator("#status").text_content()
        page.locator("#own button[aria-expanded]").first.focus()
        press("Space")
        assert page.locator(".why").first.is_visible()
        page.locator("#history button").first.focus()
        press("Enter")
        page.locator("#own-side").wait_for(state="hidden")
        assert page.evaluate("document.activeElement.id") == "query"


def test_names_stay_text(browser, address, named) -> None:
    ids = named.fitted.split.vocabulary.item_ids
    with shown(browser, address) as window:
        for item in ids[:2]:
            window.search_and_add(item)
        window.page.locator("#own button[aria-expanded]").first.click()
        text = window.page.locator("main").inner_text()
        assert MARKUP in text
        assert r"\u202eabc\u0000" in text
        assert not window.page.locator("img").count()
        assert window.heard == []


def test_a_known_user_is_loaded(browser, address, named) -> None:
    split = named.fitted.split
    user = next(iter(split.rows))
    codes = [code for code in split.histories[split.rows[user]].tolist() if code > 0]
    with shown(browser, address) as window:
        window.page.fill("#user-field", "nobody <b>")
        window.page.get_by_role("button", name="Load").click()
        window.page.get_by_text("The user is not known").wait_for()
        window.page.fill("#user-field", user)
        window.page.get_by_role("button", name="Load").click()
        window.page.get_by_text(f"User {user}: {len(codes)} items").wait_for()
        assert window.ids("history") == [split.vocabulary.item_ids[code - 1] for code in reversed(codes)]
        window.page.get_by_role("button", name="Clear").click()
        assert window.ids("history") == []


def test_an_answer_that_is_overtaken_or_cut_off(browser, address, named) -> None:
    first, second, third = named.fitted.split.vocabulary.item_ids[4:7]
    with shown(browser, address) as window:
        window.page.locator("#popular > li").first.wait_for()
        window.page.evaluate(UNREAD, False)
        window.search_and_add(first)
        window.page.wait_for_function("() => window.reading")
        window.search_and_add(second)
        window.page.locator("#own button[aria-expanded]").first.wait_for()
        assert not window.page.locator("#problem").is_visible()
        window.page.evaluate(UNREAD, True)
        window.search_and_add(third)
        window.page.get_by_text("The answer of the service broke off.").wait_for()
        assert window.heard == []


def test_new_items_are_found_and_recommended_as_such(browser, with_new) -> None:
    same = with_new.fitted.split.vocabulary.item_ids[4]
    with address_of(with_new) as address, shown(browser, address) as window:
        page = window.page
        page.get_by_text("1 more that training has not seen").wait_for()
        window.search_and_add("new-1")
        assert page.locator("#found > li", has=page.get_by_text("not seen in training")).count() == 1
        assert page.locator("#history .badge").all_text_contents() == ["new"]
        page.get_by_label("Items of the history may come again").check()
        new = page.locator("#own > li[data-item='new-1']")  # the list before is without the history
        new.locator(".badge").get_by_text("new", exact=True).wait_for()
        assert "A <b>new</b> thing" in new.inner_text()
        ids = [label.split()[0] for label in page.locator("#own .what bdi:first-child").all_text_contents()]
        assert same in ids
        assert window.heard == []


def test_words_stand_only_beside_what_the_controls_say(browser, address, named) -> None:
    token = {"table": "alpha", "token": 3, "text": "<b>word", "looked_at": 0.5, "effect": 0.25}

    def with_words(controls: list[str]) -> Any:
        def answer(route: Any) -> None:
            given = route.fetch().json()
            results = [{**each, "tokens": [token], "controls": controls} for each in given["results"]]
            route.fulfill(json={**given, "results": results})

        return answer

    for controls in (["Random tables do as well."], []):
        with shown(browser, address) as window:
            window.page.route("**/v1/explain", with_words(controls))
            window.search_and_add(named.fitted.split.vocabulary.item_ids[4])
            window.page.locator("#own button[aria-expanded]").first.click()
            told = window.page.locator(".why").first.inner_text()
            assert ("<b>word (alpha)" in told) == ("Random tables do as well." in told) == bool(controls)


def test_ids_stay_text(browser, run) -> None:
    vocabulary = run.fitted.split.vocabulary
    ids = (MARKUP, TURNED, *vocabulary.item_ids[2:])
    split = replace(run.fitted.split, vocabulary=replace(vocabulary, item_ids=ids))
    marked = replace(run, fitted=replace(run.fitted, split=split))
    with address_of(marked) as address, shown(browser, address) as window:
        page = window.page
        for shown_as in (MARKUP, r"\u202eabc\u0000"):
            page.fill("#query", "abc" if "abc" in shown_as else "img")
            page.locator("#found > li", has=page.get_by_text(shown_as, exact=True)).get_by_role("button").click()
        page.locator("#own button[aria-expanded]").first.click()
        text = page.locator("main").inner_text()
        assert MARKUP in text
        assert r"\u202eabc\u0000" in text
        assert not page.locator("img").count()
        assert window.heard == []


def test_a_key_is_asked_for(browser, named) -> None:
    with address_of(named, Keys([KEY])) as address, shown(browser, address) as window:
        for key, told in (("not-the-key", "does not take this API key"), (KEY, None)):
            window.page.get_by_label("API key of this service").fill(key)
            window.page.get_by_role("button", name="Use it").click()
            if told:
                window.page.get_by_text(told).wait_for()
        window.page.locator("#popular > li").first.wait_for()
        assert not window.page.locator("#key").is_visible()
        assert not window.page.locator("#problem").is_visible()
        assert window.page.evaluate("localStorage.length") == 0
        assert KEY not in window.page.content()


@pytest.mark.parametrize(
    ("status", "told"), [(404, "This service gives no explanations."), (503, "No explanation: Too many wait.")]
)
def test_without_explanations_the_page_says_so(browser, address, named, status, told) -> None:
    with shown(browser, address) as window:
        answer = {"status": status, "json": {"detail": "Too many wait."}}
        window.page.route("**/v1/explain", lambda route: route.fulfill(**answer))
        window.search_and_add(named.fitted.split.vocabulary.item_ids[4])
        window.page.get_by_text(told).wait_for()
        assert window.ids("own")
        assert not window.page.locator("#own button[aria-expanded]").count()
