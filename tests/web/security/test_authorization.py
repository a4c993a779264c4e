"""Who may ask for what: every route with every kind of access token, over real HTTP."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from labeld.auth.authenticator import Authenticator
from labeld.auth.database_url import locate
from labeld.auth.errors import AnonymousError, ForbiddenTokenError, ForeignOriginError
from labeld.auth.records import AccessToken
from labeld.config.settings import Listen, Settings
from labeld.metrics.prometheus import Metrics
from labeld.web.app import App
from labeld.web.dialects import EVERY_DIALECT
from labeld.web.hosting import AppHosting
from labeld.web.request_state import RequestState
from labeld.web.security.authorization import ADMIN_PAGE, INFERENCE, INFERENCE_PAGE, PAGE, PUBLIC, Access, bearer_token
from labeld.web.security.cors import RequestOrigin
from tests.support.access_tokens import AccessTokens, some_access_tokens
from tests.support.raw_http import RawReply, raw
from tests.support.server_process import SMALLEST, Server, serving, wait_until

BODY = b'{"inputs": "the film was good"}'
SCHEME = 'Bearer realm="Authentication required", charset="UTF-8"'
WRONG = "Invalid username or password"

ANYBODY = {
    "GET /health",
    "GET /ready",
    "GET /ping",
    "GET /v2",
    "GET /v2/health/live",
    "GET /v2/health/ready",
    "GET /openapi.json",
    "GET /api/models",
    "GET /api/models/{model_id}",
    "GET /api/tasks",
    "GET /status/{model_id}",
    "GET /framework/{framework}",
    "GET /v1/models",
    "GET /v1/models/{model_id}",
    "GET /",
    "GET /models",
    "GET /models/{model_id}",
    "GET /docs/text-classification",
    "GET /static/{name}",
    "GET /sign-in",
}
OF_A_POLICY = {"GET /policies/{name}"}
"""For anybody; the servers here have no policy."""
FORMS_OF_ANYBODY = {"POST /sign-in", "POST /sign-out"}
OF_AN_ADMIN = {
    f"{method} /settings/tokens{path}"
    for method in ("GET", "POST")
    for path in ("", "/{token_id}/revoke", "/{token_id}/rotate")
}
WITH_A_KEY = {
    "POST /",
    "POST /models/{model_id}",
    "POST /hf-inference/models/{model_id}",
    "POST /hf-inference/models/{model_id}/pipeline/{task}",
    "POST /api/inference-proxy/hf-inference/models/{model_id}",
    "POST /pipeline/{task}/{model_id}",
    "GET /info",
    "GET /models/{model_id}/info",
    "GET /models/{model_id}/health",
    "GET /v2/models/{model_id}",
    "GET /v2/models/{model_id}/ready",
    "GET /v2/models/{model_id}/versions/{version}",
    "GET /v2/models/{model_id}/versions/{version}/ready",
    "GET /metrics",
    "GET /status",
    "GET /api/whoami-v2",
}
OF_DIALECTS = {f"POST {path.replace(':path}', '}')}" for dialect in EVERY_DIALECT for path in dialect.paths}
OTHERS = (("version", "1"), ("name", "labeld.css"), ("token_id", "0" * 12))
OF_A_MODEL = sorted(route for route in WITH_A_KEY if "model_id" in route)
HEADERS = ["", "Bearer", "Bearer ", "Bearer: ", "Basic dXNlcjp3b3Jk", "Token {}", "{}", "Bearer{}", "Bearer {} {}"]
HEADERS += [
    "Bearer {}x",
    "Bearer {}\u00e9",
    "Bearer \u4e16\u754c",
    "Bearer " + "a" * 15_000,
    "Digest username={}",
    "null",
]


@pytest.fixture(scope="module")
def access_tokens(tmp_path_factory: pytest.TempPathFactory) -> AccessTokens:
    """Access tokens of every kind."""
    access_tokens = some_access_tokens(tmp_path_factory.mktemp("some-access-tokens"))
    access_tokens.make("bert only", models=("org/bert",))
    access_tokens.make("org only", models=("org/*",))
    access_tokens.make("other only", models=("org/distilbert", "nobody/*"))
    return access_tokens


@pytest.fixture(scope="module")
def guarded(
    access_tokens: AccessTokens, models_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server of small models that knows these tokens; pages of one other site may ask it."""
    arguments = ("org/bert", "--models-dir", str(models_dir), "--origins", "https://page.example")
    with serving(tmp_path_factory.mktemp("guarded"), *arguments, LABELD_TOKENS_DB=str(access_tokens.path)) as running:
        yield running


def routes() -> set[str]:
    """Every route of the application, with its method."""

    def never(_: object) -> None:
        raise AssertionError

    app = App(Settings(), AppHosting(never, never, Metrics()))  # type: ignore[arg-type]  # nothing is opened
    return {
        f"{method} {route.path.replace(':path}', '}')}"
        for route in app.routes
        for method in (route.methods or set()) - {"HEAD"}
    }


def ask(server: Server, route: str, *fields: str, model: str = "org/bert", body: bytes = BODY) -> RawReply:
    """Asks one of the routes, about a model."""
    for name, value in (("model_id", model), ("task", "text-classification"), ("framework", "transformers"), *OTHERS):
        route = route.replace(f"{{{name}}}", value)
    return raw(server, route, "host: localhost", *fields, body=body if route.startswith("POST") else b"")


def bearer(token: str) -> str:
    """The header field of an access token."""
    return f"authorization: Bearer {token}"


def test_every_route_is_classified() -> None:
    """A new route stands in one of the lists above, or this test fails: decide who may ask for it."""
    assert ANYBODY | OF_A_POLICY | FORMS_OF_ANYBODY | WITH_A_KEY | OF_DIALECTS | OF_AN_ADMIN == routes()


@pytest.mark.parametrize("route", sorted(OF_DIALECTS))
def test_dialects_need_a_token(guarded: Server, access_tokens: AccessTokens, route: str) -> None:
    """Before anybody looks at what is asked, which is nothing that most of them know."""
    statuses = [ask(guarded, route, *field).status for field in ([], [bearer(access_tokens.tokens["user"])])]

    assert 401 == statuses[0]
    assert statuses[1] in {200, 400, 422}


@pytest.mark.parametrize(
    "kind", ["none", "unknown", "malformed", "short", "revoked", "expired", "rotated", "wrong scheme"]
)
@pytest.mark.parametrize("route", sorted(ANYBODY | WITH_A_KEY | OF_AN_ADMIN))
def test_without_a_token_that_counts(guarded: Server, access_tokens: AccessTokens, route: str, kind: str) -> None:
    """Routes for anybody answer; the others say 401, all alike, whatever is wrong with the token."""
    fields = {name: [bearer(token)] for name, token in access_tokens.dead.items()}
    fields |= {"none": [], "wrong scheme": [f"authorization: Basic {access_tokens.tokens['user']}"]}
    reply = ask(guarded, route, *fields[kind])

    if route in ANYBODY:
        assert 200 == reply.status
        return
    assert (401, "application/json") == (reply.status, reply.headers["content-type"])
    assert SCHEME == reply.headers["www-authenticate"]
    assert reply.error.startswith(WRONG)
    assert reply.headers["x-error-message"] == reply.error
    if kind in access_tokens.dead:
        assert f"{WRONG}." == reply.error


@pytest.mark.parametrize("route", sorted(OF_A_POLICY))
def test_a_policy_is_looked_for_without_a_token(guarded: Server, route: str) -> None:
    """Its page is for anybody, as a model's is, and says that there is none of this name."""
    assert 404 == ask(guarded, route).status


@pytest.mark.parametrize("name", ["user", "admin", "org only"])
@pytest.mark.parametrize("route", sorted(ANYBODY | WITH_A_KEY))
def test_with_a_token_that_counts(guarded: Server, access_tokens: AccessTokens, route: str, name: str) -> None:
    """Every route answers, also that of a model which the token names."""
    assert 200 == ask(guarded, route, bearer(access_tokens.tokens[name])).status


@pytest.mark.parametrize("header", HEADERS)
def test_what_is_no_token_is_401(guarded: Server, access_tokens: AccessTokens, header: str) -> None:
    """Empty, another scheme, no scheme, too much, not ASCII, huge: always 401, and nothing of it comes back."""
    value = header.replace("{}", access_tokens.tokens["user"])
    reply = ask(guarded, "POST /", f"authorization: {value}")

    assert (401, SCHEME) == (reply.status, reply.headers["www-authenticate"])
    assert reply.error.startswith(WRONG)
    assert access_tokens.tokens["user"] not in reply.body.decode()


@pytest.mark.parametrize(
    "header", ["Bearer {}", "bearer {}", "BEARER   {}", "Bearer: {}", "bearer:{}", "Bearer\t{}", " Bearer {} "]
)
def test_the_scheme_may_be_spelled_in_any_case_and_with_a_colon(
    guarded: Server, access_tokens: AccessTokens, header: str
) -> None:
    """As the standard says, and as some documents print it."""
    assert 200 == ask(guarded, "POST /", f"Authorization: {header.format(access_tokens.tokens['user'])}").status


def test_two_authorization_headers_are_401(guarded: Server, access_tokens: AccessTokens) -> None:
    """Also two of the same: whoever stands between may have looked at the other one."""
    good, bad = bearer(access_tokens.tokens["user"]), bearer(access_tokens.dead["unknown"])
    for fields in ((good, good), (good, bad), (bad, good), (good, "Authorization:")):
        assert 401 == ask(guarded, "POST /", *fields).status


@pytest.mark.parametrize(
    ("query", "field", "body"),
    [
        ("?token={}", "", BODY),
        ("?access_token={}&api_key={}", "", BODY),
        ("", "x-api-key: {}", BODY),
        ("", "cookie: token={}; authorization={}", BODY),
        ("", "proxy-authorization: Bearer {}", BODY),
        ("", "x-authorization: Bearer {}", BODY),
        ("", "", b'{"inputs": "a", "token": "%b", "api_key": "%b"}'),
        ("", "", b'{"inputs": "a", "options": {"token": "%b"}, "parameters": {"authorization": "Bearer %b"}}'),
        ("", "", b"token=%b&inputs=%b"),
    ],
)
def test_a_token_in_the_wrong_place_does_not_count(
    guarded: Server, access_tokens: AccessTokens, query: str, field: str, body: bytes
) -> None:
    """In the address, another header, a cookie or the body; the sentence says where it belongs."""
    token = access_tokens.tokens["user"]
    fields = [field.replace("{}", token)] if field else []
    reply = ask(guarded, f"POST /{query.replace('{}', token)}", *fields, body=body.replace(b"%b", token.encode()))

    assert 401 == reply.status
    assert "in the header Authorization: Bearer hf_*** and nowhere else" in reply.error
    assert token not in reply.body.decode() + str(reply.headers)


def test_headers_over_the_limit_are_still_the_connections_business(guarded: Server) -> None:
    """431, before anybody looks at the token."""
    assert 431 == ask(guarded, "POST /", bearer("a" * 20_000)).status


def test_a_refused_body_does_not_spoil_the_connection(guarded: Server, access_tokens: AccessTokens) -> None:
    """It is not read before the token is looked at, and the next request of the same connection is answered."""
    body = b'{"inputs": "%s"}' % (b"a" * 1_900_000)
    for _ in range(3):
        assert 401 == guarded.post("/", data=body).status_code
        good = guarded.post("/", data=BODY, headers={"authorization": f"Bearer {access_tokens.tokens['user']}"})
        assert 200 == good.status_code


@pytest.mark.parametrize("route", OF_A_MODEL)
def test_401_comes_before_404(guarded: Server, access_tokens: AccessTokens, route: str) -> None:
    """Whoever has no token learns nothing of which models there are, or of the task."""
    statuses = {
        model: (
            ask(guarded, route, model=model).status,
            ask(guarded, route, bearer(access_tokens.tokens["user"]), model=model).status,
        )
        for model in ("org/bert", "org/none")
    }

    assert {"org/bert": (401, 200), "org/none": (401, 404)} == statuses
    assert 401 == ask(guarded, "POST /pipeline/other-task/org/bert").status
    assert 401 == ask(guarded, "POST /", body=b"{").status


@pytest.mark.parametrize("route", sorted(OF_AN_ADMIN))
def test_settings_are_for_admins(guarded: Server, access_tokens: AccessTokens, route: str) -> None:
    """403 for a token that classifies; an admin's gets through, here to a form that is none, or to no such token."""
    assert 403 == ask(guarded, route, bearer(access_tokens.tokens["user"])).status
    assert ask(guarded, route, bearer(access_tokens.tokens["admin"])).status in {200, 400, 404}


@pytest.mark.parametrize(
    ("line", "status"), [("HEAD /info", 401), ("HEAD /health", 200), ("HEAD /models/org/bert", 200)]
)
def test_head_needs_what_get_needs(guarded: Server, access_tokens: AccessTokens, line: str, status: int) -> None:
    """And has no body."""
    reply = raw(guarded, line, "host: localhost")
    assert (status, b"") == (reply.status, reply.body)
    assert 200 == raw(guarded, "HEAD /info", "host: localhost", bearer(access_tokens.tokens["user"])).status


@pytest.mark.parametrize("route", OF_A_MODEL)
@pytest.mark.parametrize("model", ["org/bert", "org%2Fbert", "bert", "org/bert/", "%6Frg/bert"])
def test_models_of_a_token_count_however_they_are_spelled(
    guarded: Server, access_tokens: AccessTokens, route: str, model: str
) -> None:
    """Permissions are compared with the id that the server resolves."""
    statuses = [
        ask(guarded, route, bearer(access_tokens.tokens[name]), model=model).status
        for name in ("bert only", "org only", "other only")
    ]

    assert [200, 200, 403] == statuses


@pytest.mark.parametrize(
    ("name", "model", "found"),
    [
        ("bert only", "org/distilbert", "org/distilbert"),
        ("bert only", "distilbert", "org/distilbert"),
        ("bert only", "bare", "bare"),
        ("org only", "bare", "bare"),
        ("org only", "labeld/sentiment-en", "labeld/sentiment-en"),
        ("org only", "sentiment-en", "labeld/sentiment-en"),
    ],
)
def test_other_models_are_403(guarded: Server, access_tokens: AccessTokens, name: str, model: str, found: str) -> None:
    """The sentence names the model as the server calls it, and what the token is for."""
    reply = ask(guarded, "POST /models/{model_id}", bearer(access_tokens.tokens[name]), model=model)

    assert 403 == reply.status
    assert f"may not use the model {found}, only org/" in reply.error
    assert reply.headers["x-error-message"] == reply.error


@pytest.mark.parametrize(("name", "model"), [("bert only", "org/bert-other"), ("other only", "org/none")])
def test_a_model_that_nobody_has_is_404_for_every_token(
    guarded: Server, access_tokens: AccessTokens, name: str, model: str
) -> None:
    """The look-ups tell anybody which models there are, so this hides nothing."""
    assert 404 == ask(guarded, "POST /models/{model_id}", bearer(access_tokens.tokens[name]), model=model).status


@pytest.mark.parametrize("route", ["POST /", "GET /info"])
def test_the_default_model_is_a_model_too(guarded: Server, access_tokens: AccessTokens, route: str) -> None:
    """A request that names none is about org/bert."""
    assert [200, 403] == [
        ask(guarded, route, bearer(access_tokens.tokens[name])).status for name in ("bert only", "other only")
    ]


def test_no_model_is_loaded_for_a_token_that_may_not_use_it(guarded: Server, access_tokens: AccessTokens) -> None:
    """Not by its health, nor by its info."""
    for path in ("health", "info"):
        reply = ask(
            guarded,
            f"GET /models/{{model_id}}/{path}",
            bearer(access_tokens.tokens["bert only"]),
            model="org/multi-label",
        )
        assert 403 == reply.status
    status = json.loads(ask(guarded, "GET /status", bearer(access_tokens.tokens["user"])).body)

    assert "org/multi-label" not in {one["model_id"] for one in status["models"]}


def test_requests_per_minute(guarded: Server, access_tokens: AccessTokens) -> None:
    """One more is 429, and says when to come back in all three ways that clients read."""
    token = access_tokens.make("slow", per_minute=3)
    statuses = [ask(guarded, "POST /", bearer(token)).status for _ in range(3)]
    reply = ask(guarded, "POST /", bearer(token))

    assert ([200] * 3, 429) == (statuses, reply.status)
    seconds = int(reply.headers["retry-after"])
    assert 1 <= seconds <= 60
    assert f'"api";r=0;t={seconds}' == reply.headers["ratelimit"]
    assert '"fixed window";"api";q=3;w=60' == reply.headers["ratelimit-policy"]
    assert "3 requests per minute" in reply.error
    assert 200 == ask(guarded, "POST /", bearer(access_tokens.tokens["user"])).status


def test_a_token_counts_at_once_and_until_it_is_revoked(guarded: Server, access_tokens: AccessTokens) -> None:
    """Made and revoked by another process while the server runs."""
    token = access_tokens.make("short-lived")
    assert 200 == ask(guarded, "POST /", bearer(token)).status
    revoked = access_tokens.revoke("short-lived").revoked
    assert wait_until(lambda: ask(guarded, "POST /", bearer(token)).status == 401)
    assert time.time() - (revoked or 0) < 5.0  # a second, on a machine that is not busy


def test_whoami_has_the_facts_of_the_token(guarded: Server, access_tokens: AccessTokens) -> None:
    """In the Hub's shape, and never the token."""
    reply = ask(guarded, "GET /api/whoami-v2", bearer(access_tokens.tokens["bert only"]))
    user = json.loads(reply.body)
    token = user["auth"]["accessToken"]

    assert ("user", "bert only", []) == (user["type"], user["name"], user["orgs"])
    assert ("bert only", "read", ["org/bert"], None) == tuple(
        token[name] for name in ("displayName", "role", "models", "expiresAt")
    )
    assert token["createdAt"].endswith("Z")
    assert access_tokens.tokens["bert only"] not in reply.body.decode()
    admin = json.loads(ask(guarded, "GET /api/whoami-v2", bearer(access_tokens.tokens["admin"])).body)
    assert "write" == admin["auth"]["accessToken"]["role"]


def test_a_page_of_a_named_site_may_ask_before_it_has_a_token_and_read_that_it_needs_one(guarded: Server) -> None:
    """The browser's question comes without a token, and the refusal has the headers that let the page read it."""
    origin = "origin: https://page.example"
    asked = ("access-control-request-method: POST", "access-control-request-headers: authorization")
    assert 204 == raw(guarded, "OPTIONS /models/org/bert", "host: localhost", origin, *asked).status
    reply = ask(guarded, "POST /", origin)

    assert (401, "https://page.example") == (reply.status, reply.headers["access-control-allow-origin"])


def test_answers_are_remembered_by_token_where_that_is_asked_for(access_tokens: AccessTokens, tmp_path: Path) -> None:
    """With `--cache-scope token` another token computes anew, and the same one does not."""
    body = b'{"inputs": "cached by token"}'
    with serving(tmp_path, SMALLEST, "--cache-scope", "token", LABELD_TOKENS_DB=str(access_tokens.path)) as server:
        kinds = [
            ask(server, "POST /", field.format(access_tokens.tokens[name]), body=body).headers["x-compute-type"]
            for name, field in (
                ("user", "authorization: Bearer {}"),
                ("admin", "authorization: Bearer {}"),
                ("user", "authorization: bearer: {}"),
            )
        ]

    assert ["cpu", "cpu", "cache"] == kinds


def test_revoking_the_last_token_does_not_open_the_server(tmp_path: Path) -> None:
    """Once there was one, nobody is let in without."""
    access_tokens = AccessTokens(tmp_path / "some-tokens.sqlite3")
    with serving(tmp_path, SMALLEST, LABELD_TOKENS_DB=str(access_tokens.path)) as server:
        assert 200 == ask(server, "POST /").status
        access_tokens.make("only")
        assert wait_until(lambda: ask(server, "POST /").status == 401)
        access_tokens.revoke("only")
        time.sleep(2.5)
        assert [401, 401] == [
            ask(server, "POST /").status,
            ask(server, "POST /", bearer(access_tokens.tokens["only"])).status,
        ]


def test_while_the_database_is_away_known_tokens_count_and_unknown_ones_are_503(tmp_path: Path) -> None:
    """Never 401, upon which a client would throw a good token away."""
    access_tokens = some_access_tokens(tmp_path)
    with serving(tmp_path, SMALLEST, LABELD_TOKENS_DB=str(access_tokens.path)) as server:
        assert 200 == ask(server, "POST /", bearer(access_tokens.tokens["user"])).status
        with closing(sqlite3.connect(access_tokens.path, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            unknown = access_tokens.dead["unknown"]
            assert wait_until(lambda: ask(server, "POST /", bearer(unknown)).status == 503, 30)
            reply = ask(server, "POST /", bearer(unknown))
            assert (503, "2") == (reply.status, reply.headers["retry-after"])
            assert 200 == ask(server, "POST /", bearer(access_tokens.tokens["user"])).status
            assert 401 == ask(server, "POST /", bearer(access_tokens.dead["malformed"])).status
            assert 401 == ask(server, "POST /").status
        assert wait_until(lambda: ask(server, "POST /", bearer(unknown)).status == 401, 30)


@pytest.mark.parametrize("fields", [(), ("authorization: x", "authorization: Basic y"), (bearer("hf_" + "a" * 9_000),)])
def test_a_server_without_any_token_looks_at_none(server: Server, fields: tuple[str, ...]) -> None:
    """On a loopback address everybody is answered, whatever a client sends for its own reasons."""
    for route in sorted(ANYBODY | WITH_A_KEY - {"GET /api/whoami-v2"}):
        assert 200 == ask(server, route, *fields).status


def test_other_addresses_need_a_token(tmp_path: Path) -> None:
    """With one the server starts there without further words, and answers nobody else."""
    access_tokens = AccessTokens(tmp_path / "some-tokens.sqlite3")
    access_tokens.make("user")
    with serving(tmp_path, SMALLEST, "--host", "0.0.0.0", LABELD_TOKENS_DB=str(access_tokens.path)) as server:
        server.url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert [401, 200] == [
            ask(server, "POST /").status,
            ask(server, "POST /", bearer(access_tokens.tokens["user"])).status,
        ]
        assert "Anybody" not in server.log.read_text()


def test_other_addresses_may_be_open_if_that_is_said(tmp_path: Path) -> None:
    """And a line warns of it; the first token closes it."""
    access_tokens = AccessTokens(tmp_path / "some-tokens.sqlite3")
    with serving(
        tmp_path, SMALLEST, "--host", "0.0.0.0", "--allow-anonymous", LABELD_TOKENS_DB=str(access_tokens.path)
    ) as server:
        server.url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert 200 == ask(server, "POST /").status
        assert "Anybody who reaches this address may use it" in server.log.read_text()
        access_tokens.make("user")
        assert wait_until(lambda: ask(server, "POST /").status == 401)


# ---- in process

SIGNED_IN = AccessToken("0" * 12, "signed in", "admin", (), None, None, 0.0, None, None)


class OneSession:
    """A browser in which an admin has signed in."""

    def caller(self, headers: Any) -> AccessToken | None:
        """By the cookie that only it has."""
        return SIGNED_IN if headers["cookie"] == "session=good" else None


HERE = RequestOrigin()


def scope_of(source: RequestOrigin = HERE, **headers: str) -> dict[str, Any]:
    """A request's scope, with the state that `Access` reads."""
    fields = [(name.encode(), value.encode()) for name, value in headers.items()]
    state = RequestState(headers, "an-id")
    state.origin = source
    return {"headers": fields, "method": "POST", "http_version": "1.1", "state": state}


def in_process(access_tokens: AccessTokens, work: Any) -> Any:
    """The result of `work(access)`, with an authenticator of these access tokens."""

    async def run() -> Any:
        authenticator = Authenticator(locate(str(access_tokens.path)), None)
        await authenticator.open()
        try:
            return await work(Access(Listen(), authenticator, OneSession()))
        finally:
            await authenticator.close()

    return asyncio.run(run())


def test_the_wrong_role_is_403(access_tokens: AccessTokens) -> None:
    """A token for inference does not open what is for admins."""

    async def work(access: Access) -> None:
        with pytest.raises(ForbiddenTokenError, match="role admin is needed"):
            await access.caller(ADMIN_PAGE, scope_of(authorization=f"Bearer {access_tokens.tokens['user']}"))
        admin = await access.caller(ADMIN_PAGE, scope_of(authorization=f"Bearer {access_tokens.tokens['admin']}"))
        assert admin is not None
        assert "admin" == admin.name

    in_process(access_tokens, work)


def test_who_has_signed_in_needs_no_token_on_our_own_pages(access_tokens: AccessTokens) -> None:
    """But a page of another site cannot use that, not even one that is named; and a wrong token is not made up for."""
    named = RequestOrigin("https://page.example")

    async def work(access: Access) -> None:
        for needs in (INFERENCE, INFERENCE_PAGE, ADMIN_PAGE):
            assert SIGNED_IN is await access.caller(needs, scope_of(cookie="session=good"))
        for refused in (scope_of(named, cookie="session=good"), scope_of(cookie="session=bad"), scope_of()):
            with pytest.raises(AnonymousError):
                await access.caller(INFERENCE, refused)
        with pytest.raises(AnonymousError):
            await access.caller(INFERENCE, scope_of(cookie="session=good", authorization="Basic x"))

    in_process(access_tokens, work)


def test_pages_are_for_links_and_not_for_other_sites_pages(access_tokens: AccessTokens) -> None:
    """The API is the other way round: pages of a named site may ask it, and no link leads there."""
    named, link = RequestOrigin("https://page.example"), RequestOrigin(is_link=True)

    async def work(access: Access) -> None:
        assert await access.caller(PAGE, scope_of(link)) is None
        assert await access.caller(PUBLIC, scope_of(named)) is None
        for needs, source in ((PAGE, named), (ADMIN_PAGE, named), (PUBLIC, link), (INFERENCE, link)):
            with pytest.raises(ForeignOriginError):
                await access.caller(needs, scope_of(source))

    in_process(access_tokens, work)


@pytest.mark.parametrize("value", [None, "", "Bearer", "bearer:", "Bearer a b", "Basic a", "Bearer\u00a0a"])
def test_what_has_no_token_in_it(value: str | None) -> None:
    """Only one word after the scheme is one."""
    assert bearer_token(value) is None
