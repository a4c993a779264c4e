"""A page of another site asks in a real browser: with fetch, and with the client that people build into pages."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from labeld.auth.token_format import new_token
from tests.support.access_tokens import AccessTokens, some_access_tokens
from tests.support.server_process import Server, serving, wait_until

IMPORTS = {
    "@huggingface/inference": "/node_modules/@huggingface/inference/dist/esm/index.js",
    "@huggingface/tasks": "/node_modules/@huggingface/tasks/dist/esm/index.js",
    "@huggingface/jinja": "/node_modules/@huggingface/jinja/dist/index.js",
}
PAGE = f"""<!doctype html><meta charset="utf-8"><title>another site</title>
<script type="importmap">{json.dumps({"imports": IMPORTS})}</script>"""
FETCH = """async ([url, token, options]) => {
  const headers = token === null ? {} : { authorization: `Bearer ${token}` };
  try {
    const reply = await fetch(url, { method: "POST", headers, body: '{"inputs": "I like you"}', ...options });
    const names = ["x-compute-type", "x-request-id", "x-sha", "x-error-message"];
    const seen = names.filter((name) => reply.headers.get(name));
    return { status: reply.status, headers: seen, body: reply.type === "opaque" ? null : await reply.json() };
  } catch (error) {
    return { error: String(error) };
  }
}"""
CLIENT = """async ([endpointUrl, token]) => {
  const { InferenceClient } = await import("@huggingface/inference");
  try {
    return await new InferenceClient(token).textClassification({ endpointUrl, inputs: "I like you" });
  } catch (error) {
    return { error: String(error), body: error.httpResponse?.body };
  }
}"""


class Handler(SimpleHTTPRequestHandler):
    """The other site: one page, and the packages that it imports."""

    def do_GET(self) -> None:
        """The page at /, files elsewhere."""
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, *_: Any) -> None:
        """No news."""


@pytest.fixture(scope="module")
def site(node: list[str]) -> Iterator[int]:
    """The port of another site, which is there by two names: localhost and 127.0.0.1."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(Path(node[1]).parent)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def access_tokens(tmp_path_factory: pytest.TempPathFactory) -> AccessTokens:
    """Access tokens of every kind."""
    return some_access_tokens(tmp_path_factory.mktemp("some-access-tokens"))


@pytest.fixture(scope="module")
def guarded(site: int, access_tokens: AccessTokens, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that wants a token, and that pages of http://localhost:… may ask."""
    arguments = ("--origins", f"http://localhost:{site}", "--log-format", "json")
    with serving(tmp_path_factory.mktemp("guarded"), *arguments, LABELD_TOKENS_DB=str(access_tokens.path)) as running:
        yield running


@pytest.fixture
def named(chromium: Browser, site: int) -> Iterator[Page]:
    """A page of the site that the server's settings name."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"http://localhost:{site}/")
    yield page
    context.close()


@pytest.fixture
def unnamed(chromium: Browser, site: int) -> Iterator[Page]:
    """A page of one that they do not name; to the browser it is on the same site as the server, on another port."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{site}/")
    yield page
    context.close()


def statuses(server: Server) -> list[tuple[str, int]]:
    """Method and status of each request that is written down so far, which a reply does not wait for."""
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    return [(line["method"], line["status"]) for line in lines if line["message"] == "request"]


def new_statuses(server: Server, seen: int) -> list[tuple[str, int]]:
    """Those after the first `seen`, once the log has the line of a request that must have come."""
    assert wait_until(lambda: statuses(server)[seen:])
    return statuses(server)[seen:]


def test_a_page_of_a_named_site_asks_with_a_token(guarded: Server, access_tokens: AccessTokens, named: Page) -> None:
    """The browser asks first, then the answer and our headers are there to read."""
    seen = len(statuses(guarded))
    reply = named.evaluate(FETCH, [guarded.url, access_tokens.tokens["user"], {}])

    assert (200, ["x-compute-type", "x-request-id", "x-sha"]) == (reply["status"], reply["headers"])
    assert {"POSITIVE", "NEGATIVE"} == {one["label"] for one in reply["body"][0]}
    assert wait_until(lambda: [("OPTIONS", 204), ("POST", 200)] == statuses(guarded)[seen:])


def test_a_page_of_a_named_site_reads_that_its_token_does_not_count(guarded: Server, named: Page) -> None:
    """Status, sentence and x-error-message."""
    reply = named.evaluate(FETCH, [guarded.url, new_token(), {}])

    assert (401, {"error": "Invalid username or password."}) == (reply["status"], reply["body"])
    assert ["x-request-id", "x-error-message"] == reply["headers"]


@pytest.mark.parametrize("options", [{}, {"credentials": "include"}, {"mode": "no-cors", "headers": {}}])
def test_a_page_of_any_other_site_gets_nothing(
    guarded: Server, access_tokens: AccessTokens, unnamed: Page, options: dict[str, Any]
) -> None:
    """Not even with a token: the browser tells the page of a failure, and the server has computed nothing."""
    seen = len(statuses(guarded))
    reply = unnamed.evaluate(FETCH, [guarded.url, access_tokens.tokens["user"], options])

    assert "Failed to fetch" in reply.get("error", "") or (0, None) == (reply["status"], reply["body"])
    assert {403} == {status for _, status in new_statuses(guarded, seen)}


def test_an_open_server_is_not_open_to_pages_of_other_sites(tmp_path: Path, unnamed: Page) -> None:
    """A request that the browser sends without asking first is refused before it is read."""
    with serving(tmp_path, "--log-format", "json") as server:
        reply = unnamed.evaluate(FETCH, [server.url, None, {"mode": "no-cors"}])
        assert 0 == reply["status"]
        assert [("POST", 403)] == new_statuses(server, 0)


def test_the_javascript_client_in_a_page(
    guarded: Server, access_tokens: AccessTokens, named: Page, unnamed: Page
) -> None:
    """@huggingface/inference on a named site, with a good token and a wrong one; and on another site."""
    url = f"{guarded.url}/models/labeld/sentiment-en"
    good = named.evaluate(CLIENT, [url, access_tokens.tokens["user"]])
    wrong = named.evaluate(CLIENT, [url, access_tokens.dead["revoked"]])
    elsewhere = unnamed.evaluate(CLIENT, [url, access_tokens.tokens["user"]])

    assert ["POSITIVE", "NEGATIVE"] == [one["label"] for one in good]
    assert {"error": "Invalid username or password."} == wrong["body"]
    assert "Failed to fetch" in elsewhere["error"]
