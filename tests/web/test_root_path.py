"""A server behind a reverse proxy that serves it at a path of its own."""

import re
from collections.abc import Iterator

import pytest
import requests

from labeld.config.load import load
from labeld.errors import SettingsError
from labeld.web.paths import Paths
from tests.support.raw_http import raw
from tests.support.server_process import Server, serving

HTML = {"accept": "text/html"}
PAGES = ["/", "/models", "/models/labeld/sentiment-en", "/docs/text-classification", "/status", "/sign-in"]
PAGES += ["/settings/tokens", "/nowhere"]
OWN = re.compile(r"""(?:href|src|action|data-address)="([^"#]*)""")


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that a proxy serves at /labeld."""
    with serving(tmp_path_factory.mktemp("proxied"), "--root-path", "/labeld") as running:
        yield running


@pytest.mark.parametrize("prefix", ["", "/labeld", "/", "/labeld/", "//labeld"])
def test_requests_come_with_and_without_the_path(proxied: Server, prefix: str) -> None:
    """A proxy may take it away or leave it; doubled slashes are tolerated in front of either."""
    reply = raw(proxied, f"POST {prefix}/models/labeld/sentiment-en", "host: localhost", body=b'{"inputs": "good"}')

    assert 200 == reply.status
    assert 200 == raw(proxied, f"GET {prefix}/health", "host: localhost").status


@pytest.mark.parametrize("path", ["/labeldx/health", "/labeld/labeld/health", "/labeld/%2fhealth"])
def test_other_paths_are_none(proxied: Server, path: str) -> None:
    """A path that only begins like the prefix, has it twice, or hides a slash in front is not found."""
    assert 404 == raw(proxied, f"GET {path}", "host: localhost").status


@pytest.mark.parametrize("prefix", ["", "/labeld"])
@pytest.mark.parametrize("page", PAGES)
def test_pages_lead_to_the_path(proxied: Server, page: str, prefix: str) -> None:
    """Every link, form, style and script of every page, and the addresses in code to copy."""
    text = requests.get(f"{proxied.url}{prefix}{page}", headers=HTML, timeout=60).text
    own = [one for one in OWN.findall(text) if not one.startswith("https://")]
    links = [one for one in own if one.startswith("/")]

    assert "/labeld/static/labeld.css" in links
    assert [] == [one for one in links if not one.startswith("/labeld/")]
    assert [] == [one for one in own if one.startswith("http") and not one.startswith(f"{proxied.url}/labeld/")]
    assert f"{proxied.url}/models" not in text
    for address in {one for one in links if "/static/" in one}:
        assert 200 == proxied.get(address).status_code


def test_redirects_and_pages_of_a_list_lead_to_the_path(proxied: Server) -> None:
    """Signing out leads to the form below the path, and so do Link headers and the description."""
    form = {"origin": proxied.url, "content-type": "application/x-www-form-urlencoded"}
    left = proxied.session.post(f"{proxied.url}/labeld/sign-out", data={"": ""}, headers=form, allow_redirects=False)
    listed = proxied.get("/labeld/api/models?limit=1")

    assert (303, "/labeld/sign-in") == (left.status_code, left.headers["location"])
    assert f"<{proxied.url}/labeld/api/models?" in listed.headers["link"]
    assert [{"url": "/labeld"}] == proxied.get("/openapi.json").json()["servers"]
    assert "/labeld/sign-in?code=" in proxied.sign_in_link()


@pytest.mark.parametrize(
    "path", ["labeld", "/labeld/", "//labeld", "/a b", "/a?b", "/..", "/a/../b", "http://a/b", "/"]
)
def test_what_is_no_path_is_refused_at_the_start(path: str) -> None:
    """With the setting's name."""
    with pytest.raises(SettingsError, match=r"^root_path is "):
        Paths(load({"root_path": path}, {}).sites)
