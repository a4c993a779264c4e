"""The description of the API: a client that is generated from it works, and it says of each route what it needs."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from labeld.auth.errors import AnonymousError, RateLimitedError
from labeld.config.settings import Settings
from labeld.error_reply import encode_error
from labeld.errors import RouteNotFoundError, UnavailableError
from labeld.protocol.options import BODY_OPTIONS
from labeld.repository.errors import GatedModelError, HubFailedError, RepositoryNotFoundError
from labeld.web.openapi import openapi
from labeld.web.openapi_fields import HEADER_SCHEMAS
from tests.support.access_tokens import AccessTokens
from tests.support.server_process import Server, serving

MODEL = "labeld/sentiment-en"
OF_HTTP = {"content-type", "content-length", "date", "server", "connection", "vary", "cache-control", "etag"}
"""Headers that need no description."""
DOCUMENT = openapi(Settings().inputs)
OPERATIONS = [
    (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if method != "parameters"
]


@pytest.fixture(scope="module")
def access_tokens(tmp_path_factory: pytest.TempPathFactory) -> AccessTokens:
    """Access tokens, one of them for everything that classifies."""
    made = AccessTokens(tmp_path_factory.mktemp("tokens") / "tokens.sqlite3")
    made.make("all")
    return made


@pytest.fixture(scope="module")
def closed(access_tokens: AccessTokens, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that needs an access token."""
    folder = tmp_path_factory.mktemp("closed")
    with serving(folder, "--tokens-db", str(access_tokens.path)) as running:
        yield running


@pytest.fixture(scope="module")
def generated(closed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a client that openapi-python-client made of the server's own description, without a warning."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "config.yml").write_text("post_hooks: []\n")
    (folder / "openapi.json").write_bytes(closed.get("/openapi.json").content)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json"]
    command += ["--meta", "none", "--output-path", "labeld_client", "--config", "config.yml", "--fail-on-warning"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder


def module(name: str) -> Any:
    """A module of the generated client."""
    return importlib.import_module(f"labeld_client.{name}")


@pytest.mark.usefixtures("generated")
def test_a_generated_client_works_with_a_token(closed: Server, access_tokens: AccessTokens) -> None:
    """It classifies and asks what needs a token; a token that does not count gets the error as it is described."""
    models, classify = module("models"), module("api.default.classify")
    body = models.ClassifyBody.from_dict({"inputs": ["good day", {"text": "bad", "text_pair": "day"}]})
    switch = classify.ClassifyXUseCache("false")
    with module("client").AuthenticatedClient(base_url=closed.url, token=access_tokens.tokens["all"]) as client:
        reply = classify.sync_detailed(MODEL, client=client, body=body, x_use_cache=switch)
        assert [200, 2, 2] == [reply.status_code, *map(len, reply.parsed)]
        assert 1.0 == pytest.approx(sum(one.score for one in reply.parsed[0]))
        for operation in ("get_metrics", "get_status", "get_api_whoami_v2", "get_ready"):
            assert 200 == module(f"api.default.{operation}").sync_detailed(client=client).status_code, operation
        info = module("api.default.get_models_model_info").sync_detailed(MODEL, client=client)
        assert MODEL == info.parsed.additional_properties["model_id"]
    with module("client").AuthenticatedClient(base_url=closed.url, token="hf_unknown") as stranger:
        refused = classify.sync_detailed(MODEL, client=stranger, body=body)
        assert (401, "Invalid username or password.") == (refused.status_code, refused.parsed.error)


def test_each_operation_has_a_name_of_its_own() -> None:
    """From which generators make the names of functions."""
    names = [operation["operationId"] for _, _, operation in OPERATIONS]

    assert sorted(set(names)) == sorted(names)
    assert all(name.isidentifier() for name in names)


def test_security_stands_where_a_token_is_needed(closed: Server) -> None:
    """On every route that a closed server refuses without one, and on no other."""
    for path, method, operation in OPERATIONS:
        address = path.replace("{model_id}", MODEL).replace("{framework}", "transformers")
        body = {"json": {"inputs": "good"}} if method == "post" else {}
        reply = requests.request(method, closed.url + address, timeout=60, **body)
        assert ("security" in operation) is (401 == reply.status_code), (method, path)
        assert str(reply.status_code) in operation["responses"], (method, path)
        described = operation["responses"][str(reply.status_code)]["headers"]
        assert set(reply.headers) - OF_HTTP <= {*described, *described_of_pages(path)}, (method, path)
        for name in set(reply.headers) & set(described):
            assert fits(reply.headers[name], described[name]["schema"]), (method, path, name)


def described_of_pages(path: str) -> set[str]:
    """How a list of a look-up goes on, which huggingface_hub follows."""
    return {"link"} if path == "/api/models" else set()


def fits(value: str, schema: dict[str, Any]) -> bool:
    """Whether the value of a header is as its schema says."""
    read: Any = float(value) if schema["type"] in {"integer", "number"} else value
    return Draft202012Validator(schema).is_valid(read)


def test_errors_and_headers_are_described() -> None:
    """Each operation names the errors of its connection, and no header is just any string."""
    for path, method, operation in OPERATIONS:
        of_a_name = {"404"} if "{" in path else set()
        assert {"400", "403", "429", "431", "500"} | of_a_name <= set(operation["responses"]), (method, path)
        headers = [*operation.get("parameters", [])]
        for reply in operation["responses"].values():
            headers += reply["headers"].values()
        assert [] == [one for one in headers if one["schema"] == {"type": "string"}], (method, path)


def test_errors_say_when_to_come_back() -> None:
    """Every error has its id and its sentence as headers, and those of the failures that have this status."""
    common = {"x-request-id", "x-error-message"}
    known: dict[str, set[str]] = {}
    for error in (
        AnonymousError(),
        GatedModelError("a/b"),
        RepositoryNotFoundError(RouteNotFoundError()),
        RateLimitedError(60, 3.5),
        HubFailedError("a/b", "is away"),
        UnavailableError("This server is stopping."),
    ):
        status, headers, _ = encode_error(error, "an-id")
        known.setdefault(str(status), set()).update(name.decode() for name, _ in headers)
        for name, value in headers:
            if name.decode() not in OF_HTTP:
                assert fits(value.decode(), HEADER_SCHEMAS[name.decode()]), name
    for path, method, operation in OPERATIONS:
        for status, reply in operation["responses"].items():
            if status != "200":
                wanted = (common | known.get(status, set())) - OF_HTTP
                assert wanted == set(reply["headers"]), (method, path, status)


def test_ignored_parameters_are_named_as_described(closed: Server, access_tokens: AccessTokens) -> None:
    """The warning of a real reply, whatever names a client has chosen, fits what is said of it."""
    token = {"authorization": f"Bearer {access_tokens.tokens['all']}"}
    body = {"inputs": "good", "parameters": {"odd; é\n": 1, "padding": True}}
    reply = closed.post(f"/models/{MODEL}", json=body, headers=token)

    assert fits(reply.headers["x-hf-warning"], HEADER_SCHEMAS["x-hf-warning"])


def test_the_body_of_a_request_is_described(closed: Server, access_tokens: AccessTokens) -> None:
    """With all of its members, as the server takes them."""
    schema = DOCUMENT["paths"]["/"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"inputs", "parameters", "options"} == set(schema["properties"])
    assert set(BODY_OPTIONS) == set(schema["properties"]["options"]["properties"])

    token = {"authorization": f"Bearer {access_tokens.tokens['all']}"}
    for name in BODY_OPTIONS:
        body = {"inputs": "good", "options": {name: True}}
        reply = closed.post(f"/models/{MODEL}", json=body, headers=token)
        assert (200, None) == (reply.status_code, reply.headers.get("x-hf-warning")), name
