"""/sign-in and /settings/tokens over real HTTP: who gets in, what forms do, and what nobody can make them do."""

import re
import socket
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests

from labeld.auth.database_url import Location
from labeld.auth.records import AccessToken, NewToken
from labeld.auth.secret import open_secret
from labeld.auth.store import TokenStore
from labeld.web.security.sessions import COOKIE
from tests.support.browser import Visitor, findings, weights
from tests.support.raw_http import raw
from tests.support.server_process import SMALLEST, Server, serving, wait_until

HTML = {"accept": "text/html"}
TOKENS = "/settings/tokens"
TOKEN = re.compile(r"hf_[0-9A-Za-z]{34}")
CLASSIFY = f"/models/{SMALLEST}"


class Person:
    """Somebody with a browser, as far as HTTP goes: keeps cookies, follows redirects, asks for HTML."""

    def __init__(self, server: Server) -> None:
        self.server, self.session = server, requests.Session()
        self.session.headers.update(HTML)

    def get(self, path: str, **options: Any) -> requests.Response:
        """A page."""
        return self.session.get(self.server.url + path, timeout=60, **options)

    def send(self, path: str, data: Any = "", **headers: str) -> requests.Response:
        """A form, sent as a page of this server sends it."""
        own = {"origin": self.server.url, "sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate"}
        data = data or {"": ""}
        return self.session.post(self.server.url + path, data, headers={**own, **headers}, timeout=60)

    def sign_in(self, token: str) -> requests.Response:
        """Signs in with a token."""
        return self.send("/sign-in", {"token": token, "next": ""})

    def make(self, name: str, **fields: str) -> str:
        """Makes a token in the form."""
        reply = self.send(TOKENS, {"name": name, "role": "inference", **fields})
        assert 200 == reply.status_code, reply.text
        return TOKEN.findall(reply.text)[0]


def opened(folder: Path) -> "closing[TokenStore]":
    """The access tokens of a server that has its files in this folder."""
    location = Location(folder / "tokens" / "tokens.sqlite3")
    return closing(TokenStore(location, open_secret(location, None)))


def create(folder: Path, name: str, **wanted: Any) -> tuple[AccessToken, str]:
    """A token made as `labeld tokens create` makes it, for a server that has its files in this folder."""
    with opened(folder) as store:
        return store.create(NewToken(name, **wanted))


def ask(server: Server, token: str) -> int:
    """The status of a request to classify."""
    reply = requests.post(
        server.url + CLASSIFY, json={"inputs": "good"}, headers={"authorization": f"Bearer {token}"}, timeout=60
    )
    return reply.status_code


def token_id(page: str, name: str) -> str:
    """The id of a live token in the page's table."""
    found = re.search(rf'/settings/tokens/([0-9a-f]{{12}})/rotate" aria-label="Rotate {re.escape(name)}"', page)
    assert found, page
    return found[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the server."""
    return tmp_path_factory.mktemp("settings")


@pytest.fixture(scope="module")
def admin(place: Path) -> str:
    """A token with the role admin, made before the server starts."""
    return create(place, "operator", role="admin")[1]


@pytest.fixture(scope="module")
def guarded(admin: str, place: Path) -> Iterator[Server]:
    """A server that has an admin."""
    with serving(place, SMALLEST) as running:
        yield running


@pytest.fixture
def person(guarded: Server, admin: str) -> Person:
    """The operator, signed in."""
    person = Person(guarded)
    assert TOKENS == urlsplit(person.sign_in(admin).url).path
    return person


# ---- the first start


def test_the_first_token_closes_the_server(tmp_path: Path) -> None:
    """Anybody may make it, and then needs it; whoever made it stays signed in, and nobody else is."""
    with serving(tmp_path, SMALLEST) as running:
        first, other = Person(running), Person(running)
        assert (
            "Anybody on this machine may use this server until the first access token is made" in first.get(TOKENS).text
        )
        assert 200 == ask(running, "hf_anything")
        token = first.make("my laptop")

        assert (200, 401) == (ask(running, token), ask(running, "hf_anything"))
        assert "my laptop" in first.get(TOKENS).text
        assert "/sign-in" == urlsplit(other.get(TOKENS).url).path
        assert "my laptop" not in other.get(TOKENS).text


def test_the_link_counts_once(tmp_path: Path) -> None:
    """Looking at it does not use it up, as previews of links look at them; its button does."""
    with serving(tmp_path, SMALLEST) as running:
        link = running.sign_in_link()
        assert link.startswith(f"{running.url}/sign-in?code=")
        path = link.removeprefix(running.url)
        code = {"code": path.partition("=")[2]}
        create(tmp_path, "a program")
        assert wait_until(lambda: ask(running, "hf_anything") == 401)
        person, late = Person(running), Person(running)
        for _ in range(3):
            assert "Sign in with this browser" in person.get(path).text
        reply = person.send("/sign-in", code)
        assert (200, TOKENS) == (reply.status_code, urlsplit(reply.url).path)
        assert "a program" in reply.text
        refused = late.send("/sign-in", code)

        assert 403 == refused.status_code
        assert "used already" in refused.text
        assert "/sign-in" == urlsplit(late.get(TOKENS).url).path


def test_several_workers_print_one_link(tmp_path: Path) -> None:
    """The one that is ready first does; who signs in at one is signed in at the other, also after a restart."""
    with serving(tmp_path, SMALLEST, "--workers", "2") as running:
        assert running.process.stdout is not None
        lines = [running.process.stdout.readline().decode() for _ in range(2)]
        links = [line for line in lines if "/sign-in?code=" in line]
        assert 1 == len(links), lines
        code = {"code": links[0].partition("code=")[2].strip()}
        person = Person(running)
        assert 200 == person.send("/sign-in", code).status_code
        cookie = person.session.cookies[COOKIE]
        person.make("operator", role="admin")

        def known() -> bool:
            """Whether the session is one, and sees the token, by whichever worker takes the connection."""
            return "operator" in requests.get(running.url + TOKENS, headers=HTML, cookies={COOKIE: cookie}).text

        assert wait_until(lambda: all(known() for _ in range(10)))
    with serving(tmp_path, SMALLEST) as running:
        reply = requests.get(running.url + TOKENS, headers=HTML, cookies={COOKIE: cookie}, timeout=60)
        assert "operator" in reply.text
        with pytest.raises(TimeoutError):
            running.sign_in_link(1.0)


def test_an_address_of_others_is_open_to_nobody(tmp_path: Path) -> None:
    """Where strangers may classify, they may still not make the first token and with it lock everybody out."""
    with serving(tmp_path, SMALLEST, "--host", "0.0.0.0", "--allow-anonymous") as running:
        running.url = running.url.replace("0.0.0.0", "127.0.0.1")
        person = Person(running)

        assert 200 == ask(running, "hf_anything")
        assert "/sign-in" == urlsplit(person.get(TOKENS).url).path
        reply = person.send(TOKENS, {"name": "mine", "role": "admin"})
        assert "/sign-in" == urlsplit(reply.url).path
        assert 200 == ask(running, "hf_anything")


# ---- signing in


def test_pages_lead_to_the_form_and_back(guarded: Server, admin: str) -> None:
    """Who is not known gets the form instead of the page, and the page after it; a program gets 401."""
    person = Person(guarded)
    reply = person.get("/status")
    assert "/sign-in?next=/status" == reply.url.removeprefix(guarded.url)
    assert '<input type="hidden" name="next" value="/status">' in reply.text
    assert "<h1>Status</h1>" in person.send("/sign-in", {"token": admin, "next": "/status"}).text
    assert 401 == requests.get(guarded.url + TOKENS, timeout=60).status_code
    assert 401 == requests.get(guarded.url + "/status", timeout=60).status_code


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "evil",
        "/" * 900,
    ],
)
def test_the_form_leads_to_no_other_site(guarded: Server, admin: str, target: str) -> None:
    """Whatever the address asked for."""
    person = Person(guarded)
    page = person.get(f"/sign-in?next={quote(target)}")
    assert f'name="next" value="{TOKENS}"' in page.text
    reply = person.session.post(
        guarded.url + "/sign-in", {"token": admin, "next": target}, allow_redirects=False, timeout=60
    )
    assert (303, TOKENS) == (reply.status_code, reply.headers["location"])


def test_wrong_tokens_are_refused_alike_and_slow(tmp_path: Path) -> None:
    """Unknown, malformed, empty, revoked; after ten, a wrong one has to wait, and the right one still counts."""
    _, right = create(tmp_path, "operator", role="admin")
    with serving(tmp_path, SMALLEST) as running:
        person = Person(running)
        wrong = ["", "hf_x", right[:-1] + ("a" if right[-1] != "a" else "b"), "x" * 5000, "\N{SNOWMAN}", right.lower()]
        pages = [person.sign_in(one) for one in wrong]
        assert {403} == {one.status_code for one in pages}
        assert 1 == len({one.text for one in pages})
        assert "unknown, revoked or expired" in pages[0].text
        for _ in range(4):
            person.send("/sign-in", {"code": "x"})
        late = person.sign_in("hf_x")

        assert 429 == late.status_code
        assert 1 <= int(late.headers["retry-after"]) <= 60
        assert COOKIE not in person.session.cookies
        assert 200 == person.sign_in(right).status_code
        assert COOKIE in person.session.cookies


def test_the_link_counts_however_often_others_were_wrong(tmp_path: Path) -> None:
    """Nobody else's wrong codes count: not for another address, and not for who has the link that was printed."""
    with serving(tmp_path, SMALLEST) as running:
        link = running.sign_in_link()
        for _ in range(12):
            stranger = Person(running).send("/sign-in", {"code": "x"})
        assert 429 == stranger.status_code
        with socket.create_connection(running.address, source_address=("127.0.0.2", 0)) as neighbour:
            fields = "host: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 6\r\n"
            neighbour.sendall(f"POST /sign-in HTTP/1.1\r\n{fields}\r\ncode=x".encode())
            assert b"HTTP/1.1 403 " == neighbour.recv(13)

        owner = Person(running)
        assert 200 == owner.send("/sign-in", {"code": link.partition("code=")[2], "next": ""}).status_code
        assert COOKIE in owner.session.cookies


def test_an_inference_token_does_not_sign_in(guarded: Server, place: Path) -> None:
    """The page says what would."""
    _, token = create(place, "only classifies")
    reply = Person(guarded).sign_in(token)

    assert 403 == reply.status_code
    assert "role inference: only one with the role admin signs in here" in reply.text


def test_signing_out_ends_the_session_of_this_browser(person: Person) -> None:
    """The cookie is gone."""
    assert COOKIE in person.session.cookies
    reply = person.send("/sign-out")

    assert COOKIE not in person.session.cookies
    assert "/sign-in" == urlsplit(reply.url).path
    assert "/sign-in" == urlsplit(person.get(TOKENS).url).path


def test_a_session_ends_with_its_token(guarded: Server, place: Path) -> None:
    """At once when the person revokes the token they came with; the page says so before."""
    access_token, token = create(place, "a second operator", role="admin")
    person = Person(guarded)
    person.sign_in(token)
    assert "You are signed in with it" in person.get(f"{TOKENS}/{access_token.token_id}/revoke").text
    reply = person.send(f"{TOKENS}/{access_token.token_id}/revoke")

    assert "/sign-in" == urlsplit(reply.url).path
    assert 401 == ask(guarded, token)


def test_the_cookie_stays_on_https(guarded: Server, admin: str) -> None:
    """Where a proxy in front says that the browser came that way."""
    reply = requests.post(
        guarded.url + "/sign-in",
        {"token": admin},
        headers={"x-forwarded-proto": "https"},
        allow_redirects=False,
        timeout=60,
    )
    assert reply.headers["set-cookie"].endswith("; HttpOnly; SameSite=Strict; Secure")


def test_the_widget_works_for_whoever_is_signed_in(person: Person) -> None:
    """A page of this server asks without a token; a page of another site does not get through with the cookie."""
    body = {"json": {"inputs": "good"}, "timeout": 60}
    url = person.server.url + CLASSIFY
    own = person.session.post(url, headers={"sec-fetch-site": "same-origin", "origin": person.server.url}, **body)
    foreign = person.session.post(
        url, headers={"sec-fetch-site": "cross-site", "origin": "http://evil.example"}, **body
    )

    assert (200, 403) == (own.status_code, foreign.status_code)


# ---- tokens


def test_a_token_is_shown_once(person: Person) -> None:
    """It works at once; no page and no copy of a page shows it again."""
    reply = person.send(TOKENS, {"name": "shown once", "role": "inference", "per_minute": "100"})
    token = TOKEN.findall(reply.text)[0]

    assert "not shown again" in reply.text
    assert "no-store" == reply.headers["cache-control"]
    assert 200 == ask(person.server, token)
    listing = person.get(TOKENS)
    assert "shown once" in listing.text
    assert not TOKEN.search(listing.text)
    assert "100 / min" in listing.text


def test_a_token_is_limited_to_what_the_form_said(person: Person) -> None:
    """Models, requests per minute and expiry."""
    token = person.make("limited", models="labeld/language-20, org/*", per_minute="2", period="1d")

    assert [200, 200, 429] == [ask(person.server, token) for _ in range(3)]
    other = person.make("elsewhere", models="org/*")
    assert 403 == ask(person.server, other)
    listing = person.get(TOKENS).text
    row = listing.partition("limited</th>")[2].partition("</tr>")[0]
    assert "<code>labeld/language-20</code> <code>org/*</code>" in row
    assert "2 / min" in row
    assert re.search(r'Expires".*>20\d\d-\d\d-\d\d<', row)


def test_a_wrong_form_comes_back_as_it_was_typed(person: Person) -> None:
    """With a sentence beside each field that is wrong, and nothing made."""
    typed = {
        "name": "x" * 101,
        "role": "emperor",
        "models": "org/name not//valid",
        "per_minute": "many",
        "period": "7d",
        "date": "2030-01-01",
    }
    reply = person.send(TOKENS, typed)
    page = unescape(reply.text)

    assert 400 == reply.status_code
    sentences = dict(re.findall(r'id="(\w+)-error">([^<]+)<', page))
    assert {"name", "role", "models", "date", "per_minute"} == set(sentences)
    assert "1 to 100 printable characters" in sentences["name"]
    assert "not//valid is neither" in sentences["models"]
    assert "not both" in sentences["date"]
    for value in ("x" * 101, ">org/name not//valid<", 'value="many"', 'value="7d" selected', 'value="2030-01-01"'):
        assert value in page
    assert "x" * 101 not in person.get(TOKENS).text


@pytest.mark.parametrize("date", ["2020-01-01", "yesterday", "0", "9" * 30, "2026-13-45"])
def test_an_expiry_is_a_day_to_come(person: Person, date: str) -> None:
    """Else the form says so."""
    reply = person.send(TOKENS, {"name": "never", "role": "inference", "date": date})

    assert 400 == reply.status_code
    assert 'id="date-error"' in reply.text


def test_a_name_is_given_once(person: Person) -> None:
    """The second time the field says so."""
    person.make("the only one")
    reply = person.send(TOKENS, {"name": "the only one", "role": "inference"})

    assert 400 == reply.status_code
    assert re.search(r'id="name-error">[^<]*the only one', reply.text)


def test_revoking_asks_first(person: Person) -> None:
    """The link changes nothing, the button refuses the token at once, and once more does no harm."""
    token = person.make("to be revoked")
    path = f"{TOKENS}/{token_id(person.get(TOKENS).text, 'to be revoked')}/revoke"
    asked = person.get(path)
    assert "Revoke to be revoked?" in asked.text
    assert 200 == ask(person.server, token)
    reply = person.send(path)

    assert "<strong>to be revoked</strong> is revoked" in reply.text
    assert 401 == ask(person.server, token)
    assert 200 == person.send(path).status_code


def test_rotating_gives_a_successor(person: Person, admin: str, place: Path) -> None:
    """The old token is refused, the new one is shown once; who rotates their own stays signed in."""
    access_token, token = create(place, "rotates", role="admin")
    other = Person(person.server)
    other.sign_in(token)
    person.sign_in(token)
    reply = person.send(f"{TOKENS}/{access_token.token_id}/rotate")
    new = TOKEN.findall(reply.text)[0]

    assert "no-store" == reply.headers["cache-control"]
    assert (401, 200) == (ask(person.server, token), ask(person.server, new))
    assert TOKENS == urlsplit(person.get(TOKENS).url).path
    assert "/sign-in" == urlsplit(other.get(TOKENS).url).path
    revoked = person.send(f"{TOKENS}/{access_token.token_id}/revoke")
    assert "/sign-in" == urlsplit(revoked.url).path
    person.sign_in(admin)
    assert 400 == person.send(f"{TOKENS}/{access_token.token_id}/rotate").status_code


@pytest.mark.parametrize("unknown", ["0" * 12, "x", "%27%20or%201=1", "a" * 3000])
def test_an_unknown_token_is_404(person: Person, unknown: str) -> None:
    """To look at, to revoke and to rotate, as a page."""
    replies = [
        person.get(f"{TOKENS}/{unknown}/revoke"),
        person.send(f"{TOKENS}/{unknown}/revoke"),
        person.send(f"{TOKENS}/{unknown}/rotate"),
    ]
    assert [404] * 3 == [one.status_code for one in replies]
    assert all("<h1>" in one.text for one in replies)


# ---- what nobody may do


def test_other_sites_cannot_send_our_forms(person: Person) -> None:
    """By Sec-Fetch-Site, by Origin, and by Referer where a browser sends neither of them."""
    cookie = f"cookie: {COOKIE}={person.session.cookies[COOKIE]}"
    fixed = [f"host: {urlsplit(person.server.url).netloc}", cookie, "content-type: application/x-www-form-urlencoded"]

    def sent(name: str, *fields: str) -> int:
        body = f"name={name}&role=inference".encode()
        return raw(person.server, f"POST {TOKENS}", *fixed, *fields, body=body).status

    foreign = [
        ["sec-fetch-site: cross-site"],
        ["sec-fetch-site: same-site"],
        ["sec-fetch-site: cross-site", "sec-fetch-mode: navigate", "sec-fetch-dest: document"],
        ["origin: http://evil.example"],
        ["origin: null"],
        ["origin: http://localhost:1"],
        ["referer: http://evil.example/page"],
        [f"referer: http://evil.example/{person.server.url}"],
        [f"referer: {person.server.url}.evil.example/"],
        ["referer: about:blank"],
        ["referer: "],
        ["referer: http://[evil"],
    ]
    assert [403] * len(foreign) == [sent(f"foreign{at}", *fields) for at, fields in enumerate(foreign)]
    assert "foreign" not in person.get(TOKENS).text
    own = [["sec-fetch-site: same-origin", "origin: null"], [f"origin: {person.server.url}"]]
    own += [[f"referer: {person.server.url}/settings/tokens"], []]
    assert [200] * len(own) == [sent(f"own{at}", *fields) for at, fields in enumerate(own)]


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"name=" + b"x" * 1_000_000, "application/x-www-form-urlencoded", 413),
        (b"name=" + b"%41" * 6000, "application/x-www-form-urlencoded", 413),
        (b"name=%ff%fe&role=inference", "application/x-www-form-urlencoded", 400),
        (b"name=\xff&role=inference", "application/x-www-form-urlencoded", 400),
        (b"name=a&name=b&role=inference", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a%d=" % at for at in range(30)), "application/x-www-form-urlencoded", 400),
        (b"name=a%00b&role=inference", "application/x-www-form-urlencoded", 400),
        (b"name=a%0ab&role=inference", "application/x-www-form-urlencoded", 400),
        (b"name=%E2%80%AEevil&role=inference", "application/x-www-form-urlencoded", 400),
        (b"name=%20&role=inference", "application/x-www-form-urlencoded", 400),
        (b"", "application/x-www-form-urlencoded", 400),
        (b'{"name": "a"}', "application/json", 400),
        (b"--x\r\n", "multipart/form-data; boundary=x", 400),
        (b"name=a", "text/plain", 400),
    ],
)
def test_a_strange_form_is_a_page_that_says_so(person: Person, body: bytes, media_type: str, status: int) -> None:
    """And makes nothing."""
    before = person.get(TOKENS).text.count("<tr>")
    reply = person.send(TOKENS, body or b"x", **{"content-type": media_type})

    assert status == reply.status_code
    assert reply.headers["content-type"].startswith("text/html")
    assert before == person.get(TOKENS).text.count("<tr>")


def test_pages_of_settings_are_never_kept(person: Person) -> None:
    """Not by the browser, not by a proxy; nobody puts them into a frame."""
    person.make("looked at")
    path = f"{TOKENS}/{token_id(person.get(TOKENS).text, 'looked at')}"
    for reply in (person.get(TOKENS), person.get(f"{path}/revoke"), person.get("/sign-in"), person.get("/status")):
        assert "no-store" == reply.headers["cache-control"]
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
        assert "unsafe" not in reply.headers["content-security-policy"]


# ---- in a browser


def test_it_works_without_scripts(guarded: Server, admin: str, visitor: Visitor) -> None:
    """Sign in, make, rotate, revoke, sign out."""
    page = visitor.open(guarded, "/sign-in", java_script_enabled=False)
    page.get_by_label("Access token with the role admin").fill(admin)
    page.get_by_role("button", name="Sign in", exact=True).press("Enter")
    page.get_by_label("Name").fill("without scripts")
    page.get_by_label("Expires", exact=True).select_option(label="After a week")
    page.get_by_role("button", name="Make the access token").click()
    first = page.get_by_label("Access token", exact=True).input_value()
    assert TOKEN.fullmatch(first)
    page.get_by_role("link", name="Done").click()
    page.get_by_role("link", name="Rotate without scripts").click()
    page.get_by_role("button", name="Rotate it").click()
    second = page.get_by_label("Access token", exact=True).input_value()
    assert (401, 200) == (ask(guarded, first), ask(guarded, second))
    page.get_by_role("link", name="Done").click()
    page.get_by_role("link", name="Revoke without scripts").click()
    page.get_by_role("button", name="Revoke it").click()
    assert page.get_by_text("without scripts is revoked").is_visible()
    assert 401 == ask(guarded, second)
    page.get_by_role("button", name="Sign out").click()
    assert page.get_by_label("Access token with the role admin").is_visible()


def test_the_copy_button_copies(guarded: Server, admin: str, visitor: Visitor) -> None:
    """The token, and says so; the pages have no serious finding of axe, in light, dark and on a phone."""
    page = visitor.open(guarded, "/sign-in", permissions=["clipboard-read", "clipboard-write"])
    looked_at = [*findings(page)]
    page.get_by_label("Access token with the role admin").fill(admin)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Name").fill("copied")
    page.get_by_label("Models").fill("org/one org/two org/three org/four org/five")
    page.get_by_role("button", name="Make the access token").click()
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Copied.").wait_for()
    assert (
        page.evaluate("navigator.clipboard.readText()") == page.get_by_label("Access token", exact=True).input_value()
    )
    looked_at += findings(page)
    page.get_by_role("link", name="Done").click()
    for scheme, width in (("light", 1200), ("dark", 1200), ("light", 360)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its literals
        page.set_viewport_size({"width": width, "height": 800})
        looked_at += findings(page, *(["color-contrast"] if scheme == "dark" else []))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("link", name="Revoke copied").click()
    looked_at += findings(page)

    assert [] == looked_at


def test_the_pages_are_small(guarded: Server, admin: str, visitor: Visitor) -> None:
    """At most ten requests and 100 KB each."""
    page = visitor.open(guarded, "/sign-in")
    page.get_by_label("Access token with the role admin").fill(admin)
    page.get_by_role("button", name="Sign in", exact=True).click()
    for path in ("/sign-in", TOKENS):
        sizes = weights(page, guarded.url + path)
        assert 2 <= len(sizes) <= 10
        assert sum(sizes) < 100_000


SHAPES = (
    "<script>{0}</script>", "<img src=x onerror={0}>", "<svg onload={0}>", "'-{0}-'", '" onfocus={0} autofocus x="',
    "</title><script>{0}</script>", "<a href=javascript:{0}>x</a>", "{{{{ {0} }}}}", "{{% {0} %}}", "${{{0}}}",
    "<iframe srcdoc='<script>{0}</script>'>", "&lt;script&gt;{0}&lt;/script&gt;", "<style>@import 'x'</style>{0}",
    "\\u003cscript\\u003e{0}", "<math><mtext><script>{0}</script>", "--><script>{0}</script>",
    "]]><script>{0}</script>",
    "javascript:{0}//", "<body onload={0}>", "</textarea><script>{0}</script>",
)  # fmt: skip
PLANTED = "main :is(script, img, iframe, math, style, svg)"


def test_names_run_no_script(tmp_path: Path, visitor: Visitor) -> None:
    """500 of them that try to, in the list, in every question and beside the form."""
    _, admin = create(tmp_path, "operator", role="admin")
    names = [shape.format(f"alert({at})") for at in range(25) for shape in SHAPES]
    assert 500 == len(set(names))
    with serving(tmp_path, SMALLEST) as running:
        page = visitor.open(running, "/sign-in", expected=(400,))
        page.on("dialog", lambda dialog: visitor.complaints.append(dialog.message))
        page.get_by_label("Access token with the role admin").fill(admin)
        page.get_by_role("button", name="Sign in", exact=True).click()
        for shape in SHAPES:
            page.get_by_label("Name").fill("x" * 101 + shape.format("alert(1)"))
            page.locator("#name").evaluate("it => it.removeAttribute('maxlength')")
            page.get_by_label("Models").fill(shape.format("alert(1)"))
            page.get_by_role("button", name="Make the access token").click()
            assert 0 == page.locator(PLANTED).count()
        with opened(tmp_path) as store:
            made = [store.create(NewToken(name))[0] for name in names]
        page.goto(running.url + TOKENS)
        shown = page.locator("table").first.locator("tbody th.name").all_text_contents()
        assert set(names) <= set(shown)
        assert 0 == page.locator(PLANTED).count()
        for one in made[: len(SHAPES)]:
            page.goto(f"{running.url}{TOKENS}/{one.token_id}/revoke")
            assert one.name in (page.locator("h1").text_content() or "")
            assert 0 == page.locator(PLANTED).count()
