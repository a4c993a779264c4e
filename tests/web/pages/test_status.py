"""/status for people: the numbers of its JSON, with and without scripts, and also when the server is full."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from labeld.web.pages.formatting import shown
from tests.support.browser import Visitor, findings, weights
from tests.support.server_process import Server, serving, wait_until

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has answered a few requests, and takes one at a time."""
    with serving(tmp_path_factory.mktemp("status"), "--max-in-flight", "1") as running:
        for text in ("good", "bad", "good"):
            running.classify([text, "the market fell"], "labeld/sentiment-en")
        # NOTE: a slow machine may end an interval before the first answer
        assert wait_until(lambda: any(one["p50"] is not None for one in running.get("/status").json()["recent"]), 30)
        yield running


def text_of(server: Server) -> str:
    """The page."""
    reply = requests.get(server.url + "/status", headers=HTML, timeout=60)
    assert (200, "text/html; charset=utf-8") == (reply.status_code, reply.headers["content-type"])
    return reply.text


def test_it_is_html_for_browsers_only(busy: Server) -> None:
    """Whoever does not name text/html gets JSON, as before; a cache knows that it depends."""
    page = requests.get(busy.url + "/status", headers=HTML, timeout=60)
    for accept in ("*/*", "application/json", "text/plain", ""):
        plain = requests.get(busy.url + "/status", headers={"accept": accept}, timeout=60)
        assert "application/json" == plain.headers["content-type"]
        assert "Accept" == plain.headers["vary"].title()
    assert "Accept" == page.headers["vary"].title()
    assert len(page.content) < 40_000


def test_the_page_says_what_the_json_says(busy: Server) -> None:
    """Figures, loaded models against the budget, and settings; no script is needed for any of it."""
    state: Any = busy.get("/status").json()
    page = text_of(busy)
    budget = shown(state["memory"]["budget"], "bytes")

    assert "labeld/sentiment-en" in page
    assert f"of the budget of {budget} are in use" in page
    assert f"process {state['pid']}" in page
    assert "Latency, 99th percentile" in page
    assert re.search(r'data-path="recent\.\d\.p50" data-unit="seconds">[\d.,]+ m?s<', page)
    assert "<code>max_in_flight</code></th><td>1</td>" in page
    assert page.count('class="rest"') == 2


def test_a_server_that_is_full_still_says_so(busy: Server) -> None:
    """Whoever looks why requests are refused is not refused."""
    with busy.occupied():
        assert wait_until(lambda: busy.get("/status").json()["requests"]["in_flight"] == 1)
        assert "1 in flight" in text_of(busy)
        assert 429 == busy.post("/models/labeld/sentiment-en", json={"inputs": "a"}).status_code
    assert wait_until(lambda: busy.get("/status").json()["requests"]["in_flight"] == 0)


def test_several_workers_are_one_server(tmp_path: Any) -> None:
    """The page names the process that has answered, has a row for each, and says how many have a model."""
    with serving(tmp_path, "--workers", "2") as running:
        running.wait_ready()
        page = text_of(running)
        assert re.search(r"2 workers, of which process \d+ has answered", page)
        assert "in 2 of 2 workers" in page
        assert "has not answered within a second" not in page
        for process in running.get("/status").json()["workers"]["processes"]:
            assert str(process["pid"]) in page


# ---- in a browser


def test_the_charts_move(busy: Server, visitor: Visitor) -> None:
    """They are drawn from the history, follow it, and rest while nobody looks."""
    page = visitor.open(busy, "/models")
    page.clock.install()
    page.goto(busy.url + "/status")
    page.locator("#charts .chart path").first.wait_for(state="attached")
    assert 6 == page.locator("#charts .chart").count()
    requests_chart = page.locator(".chart", has_text="Requests")
    before = requests_chart.locator("path.line-0").get_attribute("d")
    for _ in range(5):
        busy.classify("moving", "labeld/language-20")
    page.get_by_role("link", name="labeld/language-20").wait_for()
    page.wait_for_function(
        "before => document.querySelector('.chart path.line-0').getAttribute('d') !== before", arg=before
    )
    assert "at most" in (requests_chart.locator("svg").get_attribute("aria-label") or "")
    requests_chart.locator("svg").hover()
    assert re.search(r"\d /s \d+:\d\d:\d\d", requests_chart.locator("output").text_content() or "")

    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {configurable: true, value: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.clock.run_for(2500)
    page.wait_for_load_state("networkidle")
    asked.clear()
    page.clock.run_for(60_000)
    page.wait_for_load_state("networkidle")
    assert [] == asked
    with page.expect_request("**/status"):
        page.evaluate(
            "Object.defineProperty(document, 'hidden', {configurable: true, value: false});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )


def test_a_server_that_is_gone_is_said_so(tmp_path: Any, visitor: Visitor) -> None:
    """The charts stay, and a sentence appears."""
    with serving(tmp_path) as running:
        page = visitor.open(running, "/status")
        page.locator("#charts").wait_for()
        running.stop()
        page.get_by_text("This server does not answer").wait_for()
        assert page.locator("#charts").is_visible()
    visitor.complaints = [one for one in visitor.complaints if "ERR_CONNECTION_REFUSED" not in one]


def test_it_is_accessible_and_small(busy: Server, visitor: Visitor) -> None:
    """No serious finding of axe, in light, dark and on a phone; few requests; nothing is cut off."""
    page = visitor.open(busy, "/status")
    sizes = weights(page, busy.url + "/status")
    page.locator("#charts").wait_for()
    assert len(sizes) <= 10
    assert sum(sizes) < 100_000
    for scheme, width in (("light", 1200), ("dark", 1200), ("light", 360)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its literals
        page.set_viewport_size({"width": width, "height": 800})
        assert [] == findings(page, *(["color-contrast"] if scheme == "dark" else []))
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_the_figures_are_there(busy: Server, visitor: Visitor) -> None:
    """And no empty chart is."""
    page = visitor.open(busy, "/status", java_script_enabled=False)

    assert page.get_by_role("row", name="Latency, median").is_visible()
    assert not page.locator("#charts").is_visible()
    assert page.get_by_text("The charts need scripts").is_visible()
