"""A real browser for tests, which minds what a person would not see: errors of scripts, and requests to other hosts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, ViewportSize, sync_playwright

from tests.support.server_process import Server
from tests.support.tools import program

PHONE: ViewportSize = {"width": 360, "height": 740}
FAILED = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")


@dataclass
class Visitor:
    """Opens pages; `complaints` are what went wrong unseen."""

    browser: Browser
    complaints: list[str] = field(default_factory=list)

    def open(self, server: Server, path: str, *, expected: tuple[int, ...] = (), **options: Any) -> Page:
        """A page of this server, in a context of its own with these options; `expected` are statuses of failures."""
        page = self.browser.new_context(**options).new_page()

        def on_console(message: ConsoleMessage) -> None:
            status = FAILED.match(message.text)
            if message.type == "error" and not (status and int(status[1]) in expected):
                self.complaints.append(f"{path}: {message.text}")

        def on_request(request: Request) -> None:
            if not request.url.startswith((f"{server.url}/", "data:")):
                self.complaints.append(f"{path}: asks {request.url}")

        page.on("console", on_console)
        page.on("request", on_request)
        page.on("pageerror", lambda error: self.complaints.append(f"{path}: {error}"))
        page.goto(server.url + path)
        return page


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium. NOTE: of a module, because asyncio.run fails in this thread while Playwright runs."""
    executable = program("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Visitor]:
    """Opens pages, and fails the test for what went wrong unseen."""
    visitor = Visitor(chromium)
    yield visitor
    for context in chromium.contexts:
        for page in context.pages:
            page.wait_for_load_state("networkidle")  # what goes wrong late counts too
        context.close()
    assert [] == visitor.complaints


def weights(page: Page, url: str) -> list[int]:
    """Bytes of each answer that a page is made of, the page itself included, once nothing more is asked for."""
    page.wait_for_load_state("networkidle")  # of the page before
    finished: list[Request] = []

    def note(request: Request) -> None:
        finished.append(request)  # Playwright takes no built-in function as a handler

    page.route("**/*", lambda route: route.continue_())  # without the browser's cache: all of it comes anew
    page.on("requestfinished", note)
    page.goto(url, wait_until="networkidle")
    page.remove_listener("requestfinished", note)
    page.unroute_all()
    return [len(response.body()) for request in finished if (response := request.response())]


SETTLED = """() => new Promise(requestAnimationFrame)
    .then(() => Promise.allSettled(document.getAnimations().map(one => one.finished)))
    .then(() => null)"""
"""Waits for the transitions that a click or another colour scheme has begun."""


def findings(page: Page, *rules: str) -> list[str]:
    """Serious and critical findings of axe-core on a page, by these rules or by all, once its colours have settled."""
    page.evaluate(SETTLED)
    violations = Axe().run(page, options={"runOnly": rules} if rules else None).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}"
        for one in violations
        if one["impact"] in {"serious", "critical"}
    ]
