"""Which names a server answers to, and which web pages may ask it: over real HTTP, and in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labeld.config.load import load
from labeld.errors import SettingsError
from labeld.web.security.csrf import Origins, is_same
from tests.support.raw_http import raw
from tests.support.server_process import SMALLEST, Server, run_labeld, serving

PAGE = "https://page.example"
EXTENSION = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"
OTHERS = (
    "http://localhost:3000",
    "http://[::1]:3000",
    EXTENSION,
    "moz-extension://0c4ba2b9-7b4a-4e5f-9b1e-2d5b8f1f4a11",
    "app://obsidian.md",
    "app://.",
    "tauri://localhost",
    "capacitor://localhost:8080",
)
"""Origins of the settings, as browsers and applications with a browser inside send them."""
BODY = b'{"inputs": "I like you. I love you"}'
NAVIGATION = ("sec-fetch-site: cross-site", "sec-fetch-mode: navigate", "sec-fetch-dest: document")


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as it is by default: no names, no origins."""
    with serving(tmp_path_factory.mktemp("closed")) as running:
        yield running


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a name of its own, to which pages of two other sites may talk."""
    arguments = ("--hosts", "Labeld.example,.Site.example", "--origins", ",".join((PAGE, *OTHERS)))
    with serving(tmp_path_factory.mktemp("named"), *arguments) as running:
        yield running


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8080",
        "localhost.",
        "localhost.:1",
        "127.0.0.1",
        "127.8.9.1:80",
        "[::1]",
        "[::1]:8080",
        "[2001:DB8::1]:8080",
        "192.0.2.1:8080",
        "localhost:",
        "labeld.example",
        "LABELD.example.:443",
        "site.example",
        "a.site.example:8080",
        "A.b.SITE.example.",
    ],
)
def test_our_own_names_are_answered(named: Server, host: str) -> None:
    """Localhost, any IP address and the names in the settings, with any port, in any case, with a dot at the end."""
    assert 200 == raw(named, "GET /health", f"host: {host}").status


@pytest.mark.parametrize("host", ["asite.example", "sub.labeld.example", "example", ".evil", "site.example.evil"])
def test_a_domain_ends_with_a_dot_and_its_name(named: Server, host: str) -> None:
    """Nothing that only ends with the letters of a domain in the settings, nor below a name without a leading dot."""
    assert 403 == raw(named, "GET /health", f"host: {host}").status


@pytest.mark.parametrize("path", ["GET /health", "POST /", "GET /metrics", "GET /nowhere", "POST /models/org/none"])
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8080", "127.0.0.1.evil.example", "127.1"])
def test_other_names_are_refused_on_every_path(closed: Server, host: str, path: str) -> None:
    """403, whether or not there is such a path; the sentence has the name and the setting."""
    reply = raw(closed, path, f"host: {host}", body=BODY if path.startswith("POST") else b"")

    assert 403 == reply.status
    assert host.partition(":")[0] in reply.error
    assert "setting hosts" in reply.error
    assert reply.headers["x-error-message"] == reply.error


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("host:",),
        ("host: user@localhost",),
        ("host: user:word@127.0.0.1",),
        ("host: localhost:99999",),
        ("host: localhost:80:80",),
        ("host: localhost/path",),
        ("host: http://localhost",),
        ("host: ::1",),
        ("host: [::1",),
        ("host: [::1%25eth0]",),
        ("host: localhost, evil.example",),
        ("host: \u017flocalhost",),
        ("host: " + "a" * 300,),
        ("host: localhost", "host: localhost"),
        ("host: localhost", "Host: evil.example"),
        ("host: evil.example", "host: localhost"),
    ],
)
def test_what_is_no_host_is_400(closed: Server, fields: tuple[str, ...]) -> None:
    """None, an empty one, a user's name, two of them, or no host at all."""
    reply = raw(closed, "GET /health", *fields)

    assert (400, True) == (reply.status, "Host header" in reply.error)


def test_http_1_0_needs_no_host(closed: Server) -> None:
    """As simple health checks ask; but a foreign one is refused there as well."""
    assert 200 == raw(closed, "GET /health HTTP/1.0").status
    assert 403 == raw(closed, "GET /health HTTP/1.0", "host: evil.example").status


def test_the_machines_own_name_counts_where_others_can_reach_it(tmp_path: Path) -> None:
    """Beside localhost and IP addresses; by default only on addresses that are not loopback."""
    import socket

    name = socket.gethostname()
    with serving(tmp_path, SMALLEST, "--host", "0.0.0.0", "--allow-anonymous") as server:
        server.url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert [200, 200, 403] == [
            raw(server, "GET /health", f"host: {host}").status for host in (f"{name}:8080", "localhost", "evil.example")
        ]


@pytest.mark.parametrize("method", ["GET /health", "POST /", "GET /api/models", "GET /nowhere", "HEAD /health"])
@pytest.mark.parametrize(
    "fields",
    [
        (f"origin: {PAGE}",),
        ("origin: null",),
        ("origin: http://localhost",),
        ("origin: http://localhost:3000",),
        ("origin: http://localhost:8080.evil.example",),
        ("origin: http://localhost:8080@evil.example",),
        ("origin: localhost:8080",),
        ("origin:",),
        ("origin: http://localhost:8080", f"origin: {PAGE}"),
        ("origin: http://localhost:8080", "origin: http://localhost:8080"),
        ("sec-fetch-site: cross-site",),
        ("sec-fetch-site: same-site",),
        ("sec-fetch-site: cross-site", "sec-fetch-site: same-origin"),
        ("sec-fetch-site: cross-site", "origin: http://localhost:8080"),
        ("sec-fetch-site: same-origin", f"origin: {PAGE}"),
        ("sec-fetch-site: cross-site", "sec-fetch-mode: no-cors", "sec-fetch-dest: image"),
        (*NAVIGATION, f"origin: {PAGE}"),
    ],
)
def test_pages_of_other_sites_are_refused_on_every_path(closed: Server, fields: tuple[str, ...], method: str) -> None:
    """403 without any header that lets a page read it."""
    reply = raw(closed, method, "host: localhost:8080", *fields, body=BODY if method.startswith("POST") else b"")

    assert 403 == reply.status
    assert "access-control-allow-origin" not in reply.headers
    assert "setting origins" in reply.headers["x-error-message"]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET /health", 403),
        ("HEAD /api/models", 403),
        ("GET /models/org/none/health", 403),
        ("POST /", 403),
        ("GET /nowhere", 404),
    ],
)
def test_links_of_other_sites_lead_to_pages_only(closed: Server, line: str, status: int) -> None:
    """A GET of the API may load a model, so a link of another site must not be able to."""
    assert status == raw(closed, line, "host: localhost:8080", *NAVIGATION).status


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("origin: http://localhost:8080",),
        ("origin: https://localhost:8080",),
        ("origin: HTTP://LOCALHOST:8080",),
        ("origin: http://localhost:8080", "sec-fetch-site: same-origin"),
        ("origin: null", "sec-fetch-site: same-origin"),
        ("sec-fetch-site: same-origin", "sec-fetch-mode: cors"),
        ("sec-fetch-site: none", "sec-fetch-mode: navigate", "sec-fetch-dest: document"),
        ("sec-fetch-mode: cors",),
    ],
)
def test_our_own_pages_and_no_pages_are_answered(closed: Server, fields: tuple[str, ...]) -> None:
    """Pages of the same host and port by http or https, typed addresses, and programs are let through."""
    reply = raw(closed, "POST /", "host: localhost:8080", *fields, body=BODY)

    assert 200 == reply.status
    assert not [name for name in reply.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("origin", "host", "expected"),
    [
        ("http://a", "a", True),
        ("http://a", "a:80", True),
        ("https://a", "a:443", True),
        ("https://a:443", "a", True),
        ("https://a.", "A", True),
        ("http://[::1]:1", "[::1]:1", True),
        ("http://a", "a:443", False),
        ("http://a:1", "a:2", False),
        ("http://a:1", "a", False),
        ("http://a", "b", False),
        ("http://a/", "a", False),
        ("ftp://a", "a", False),
        ("http://a http://b", "a", False),
        ("file://", "", False),
        ("http://", "", False),
        ("http://a\n", "a", False),
    ],
)
def test_what_is_the_same_site(origin: str, host: str, expected: bool) -> None:
    """Host and port decide, where no port is the usual one."""
    assert expected is is_same(origin, host)


@pytest.mark.parametrize("origin", [PAGE, *OTHERS])
@pytest.mark.parametrize("site", ["cross-site", "same-site", None])
def test_pages_of_a_named_site_may_ask(named: Server, origin: str, site: str | None) -> None:
    """Replies name their origin, never a *, and may read our headers."""
    fields = [f"origin: {origin}", *([f"sec-fetch-site: {site}"] if site else [])]
    reply = raw(named, "POST /", "host: localhost:8080", *fields, body=BODY)

    assert 200 == reply.status
    assert origin == reply.headers["access-control-allow-origin"]
    assert "true" == reply.headers["access-control-allow-credentials"]
    exposed = reply.headers["access-control-expose-headers"].split(", ")
    assert {"x-compute-type", "x-compute-time", "x-compute-characters", "x-request-id", "x-sha"} <= set(exposed)
    assert {"x-error-code", "x-error-message", "retry-after"} <= set(exposed)
    assert "Origin" == reply.headers["vary"]


@pytest.mark.parametrize(
    ("line", "status"),
    [("POST /models/org/none", 404), ("GET /nowhere", 404), ("PUT /", 405), ("GET /models/org/none/info", 404)],
)
def test_a_named_site_may_read_errors(named: Server, line: str, status: int) -> None:
    """An error without those headers is none that a page could tell its visitor."""
    reply = raw(named, line, "host: localhost", f"origin: {PAGE}", body=BODY if line.startswith("P") else b"")

    assert (status, PAGE) == (reply.status, reply.headers["access-control-allow-origin"])


def test_a_reply_says_that_it_depends_on_the_origin(named: Server) -> None:
    """Also one to nobody's page, so that no cache gives it to somebody's."""
    assert "Origin" == raw(named, "GET /health", "host: localhost").headers["vary"]


@pytest.mark.parametrize(
    "origin", ["https://page.example.evil", "https://page.example:444", "http://page.example", "https://PAGE.example/"]
)
def test_sites_that_are_almost_named_are_refused(named: Server, origin: str) -> None:
    """An origin is one only with its scheme, its host and its port."""
    reply = raw(named, "POST /", "host: localhost", f"origin: {origin}", body=BODY)

    assert 403 == reply.status
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("path", ["/models/org/name", "/", "/nowhere", "/health"])
def test_a_browser_may_ask_first(named: Server, path: str) -> None:
    """A preflight is answered at once: whatever the page asks to send, it may; Authorization stands there by name."""
    fields = "authorization,content-type, baggage,sentry-trace,traceparent,x-requested-with,x-use-cache"
    asked = ("access-control-request-method: POST", f"access-control-request-headers: {fields}")
    reply = raw(named, f"OPTIONS {path}", "host: localhost", f"origin: {PAGE}", "x-request-id: abc-1", *asked)

    assert (204, b"", "abc-1") == (reply.status, reply.body, reply.headers["x-request-id"])
    assert PAGE == reply.headers["access-control-allow-origin"]
    assert "true" == reply.headers["access-control-allow-credentials"]
    assert {"GET", "POST"} <= set(reply.headers["access-control-allow-methods"].split(", "))
    assert fields == reply.headers["access-control-allow-headers"]
    assert {"Origin", "Access-Control-Request-Method"} <= set(reply.headers["vary"].split(", "))


@pytest.mark.parametrize("fields", ["", ",", "a b", "a,,b", "x: y", "\N{SNOWMAN}", '"x"', "(x)"])
def test_what_is_no_header_is_not_allowed(named: Server, fields: str) -> None:
    """A page that asks for an invalid header name is allowed none."""
    asked = ("access-control-request-method: POST", f"access-control-request-headers: {fields}")
    reply = raw(named, "OPTIONS /", "host: localhost", f"origin: {EXTENSION}", *asked)

    assert (204, EXTENSION) == (reply.status, reply.headers["access-control-allow-origin"])
    assert "access-control-allow-headers" not in reply.headers


def test_no_other_site_may_ask_first(named: Server, closed: Server) -> None:
    """403; and OPTIONS that is no such question is a wrong method."""
    asked = "access-control-request-method: POST"
    assert 403 == raw(named, "OPTIONS /", "host: localhost", "origin: https://evil.example", asked).status
    assert 403 == raw(closed, "OPTIONS /", "host: localhost", f"origin: {PAGE}", asked).status
    assert 405 == raw(closed, "OPTIONS /", "host: localhost", asked).status
    assert 405 == raw(named, "OPTIONS /", "host: localhost", f"origin: {PAGE}").status


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("origins", "*"),
        ("origins", "null"),
        ("origins", "page.example"),
        ("origins", "https://page.example/"),
        ("origins", "https://page.example/a"),
        ("origins", "https://page.example:443"),
        ("origins", "http://page.example:80"),
        ("origins", "https://page.example:"),
        ("origins", "https://Page.example"),
        ("origins", "HTTPS://page.example"),
        ("origins", "https://*.example"),
        ("origins", "https://user@page.example"),
        ("origins", "ftp://page.example"),
        ("origins", "file://page.example"),
        ("origins", "wss://page.example"),
        ("origins", "Tauri://localhost"),
        ("origins", "chrome-extension://"),
        ("origins", "app://x/"),
        ("origins", "http://page.example:070"),
        ("origins", "http://page.example:70000"),
        ("origins", "http://127.1:3000"),
        ("origins", "http://[0:0:0:0:0:0:0:1]:3000"),
        ("origins", ""),
        ("hosts", "labeld.example:8080"),
        ("hosts", "http://labeld.example"),
        ("hosts", "*"),
        ("hosts", "."),
        ("hosts", "..example"),
        ("hosts", "*.example"),
        ("hosts", "[::1]"),
        ("hosts", "a b"),
        ("hosts", ""),
    ],
)
def test_an_impossible_name_is_refused_at_the_start(setting: str, value: str) -> None:
    """With a sentence that names the setting and the value."""
    with pytest.raises(SettingsError, match=rf"^{setting} has '{value.replace('*', '.').replace('[', '.')}'"[:20]):
        Origins(load({setting: value}, {}))


def test_such_a_name_stops_the_start_with_one_sentence() -> None:
    """Exit code 1, and no traceback."""
    done = run_labeld("serve", "--origins", "*")

    assert 1 == done.returncode
    assert "origins has '*'" in done.stderr
    assert "Traceback" not in done.stderr
