"""The client packages that people use, unmodified, as processes of their own against a real server."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.access_tokens import AccessTokens, some_access_tokens
from tests.support.paths import BUNDLED_IDS
from tests.support.rankings import same
from tests.support.server_process import Server, serving
from tests.support.tiny_models import VOCABULARY_ONLY
from tests.support.tls_front import tls_front

CLIENTS = Path(__file__).parent
MODEL = "/models/org/bert"
PAIR = {"text": "the film was good", "text_pair": "I love it"}
TEXTS = ["I like you. I love you", "the market fell", "世界 hello, world!", "not very good - it was bad 👎🏽", PAIR]
BERTS = ["org/bert", "org/multi-label", "org/one-label", VOCABULARY_ONLY]
MAPPING = "inferenceProviderMapping"
Ask = Callable[..., list[Any]]


def ask(command: list[str], questions: list[dict[str, Any]], **variables: str) -> list[Any]:
    """The output of a client process for these questions."""
    environment = {**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1", **variables}
    lines = "\n".join(json.dumps(question) for question in questions) + "\n"
    done = subprocess.run(
        command, input=lines, capture_output=True, text=True, timeout=120, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def script(name: str, *arguments: str, python: Path | str = sys.executable) -> list[str]:
    """The command of a client script."""
    return [str(python), str(CLIENTS / name), *arguments]


@pytest.fixture(scope="session")
def hub_at_home(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which a client finds this server where the Hub and, by TLS, its router would be."""
    folder = tmp_path_factory.mktemp("client")
    with tls_front(server.address, "router.huggingface.co", folder) as front:
        yield {
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(folder),
            "LABELD_TEST_ROUTER": str(front.port),
            "PYTHONPATH": str(CLIENTS / "resolver"),
            "SSL_CERT_FILE": str(front.authority),
        }


@pytest.mark.parametrize("name", ["hub_client.py", "hub_async_client.py"])
def test_the_newest_hub_clients(server: Server, expected: Ask, name: str) -> None:
    """By the model's URL, with and without parameters; many questions at once each get their own answer."""
    texts = [*TEXTS, ""] * 4
    questions = [{"text": text} for text in texts]
    questions += [{"text": TEXTS[0], "top_k": 2}, {"text": TEXTS[0], "function_to_apply": "sigmoid"}]
    questions += [{"text": TEXTS[0], "top_k": 1, "function_to_apply": "none"}]
    answers = ask(script(name, "model", server.url + MODEL), questions)
    reference = expected("org/bert", texts)
    reference += expected("org/bert", TEXTS[:1], top_k=2)
    reference += expected("org/bert", TEXTS[:1], function_to_apply="sigmoid")
    reference += expected("org/bert", TEXTS[:1], top_k=1, function_to_apply="none")

    same(answers, reference)


@pytest.mark.parametrize("name", ["hub_client.py", "hub_async_client.py"])
def test_the_newest_hub_clients_by_host_alone(server: Server, expected: Ask, name: str) -> None:
    """`base_url` without a path means the default model."""
    answers = ask(script(name, "base_url", server.url), [{"text": text} for text in TEXTS])

    same(answers, expected("org/bert", TEXTS))


@pytest.mark.parametrize("name", ["hub_client.py", "hub_async_client.py"])
def test_the_newest_hub_clients_read_our_errors(server: Server, name: str) -> None:
    """A wrong parameter and an unknown model arrive as the client's own exceptions, with our sentence."""
    questions = [{"text": "a", "top_k": 0}, {"text": "a", "client": {"model": f"{server.url}/models/org/none"}}]
    wrong, unknown = ask(script(name, "model", server.url + MODEL), questions)

    assert "BadRequestError" == wrong["type"]
    assert "`parameters.top_k` must be a whole number from 1" in wrong["text"]
    assert "404" in unknown["text"]
    assert "Model org/none does not exist" in unknown["text"]


@pytest.mark.parametrize("name", ["hub_client.py", "hub_async_client.py"])
def test_the_newest_hub_clients_by_id(hub_at_home: dict[str, str], expected: Ask, name: str) -> None:
    """With HF_ENDPOINT at the server and the router's name leading here: look-ups and answers, with a token or none."""
    clients = [{}, {"provider": "hf-inference"}, {"provider": "hf-inference", "token": "hf_any"}]
    questions = [
        *({"text": text, "client": {"model": "org/bert", **client}} for client in clients for text in TEXTS),
        *({"text": "a", "client": {"model": "org/none", **client}} for client in clients),
    ]
    answers = ask(script(name), questions, **hub_at_home)

    same(answers[: -len(clients)], expected("org/bert", TEXTS) * len(clients))
    for unknown in answers[-len(clients) :]:
        assert "RepositoryNotFoundError" == unknown["type"]
        assert "Model org/none does not exist" in unknown["text"]


def test_the_newest_hub_client_takes_the_servers_default(hub_at_home: dict[str, str], expected: Ask) -> None:
    """Without any model it takes the one that /api/tasks recommends."""
    answers = ask(script("hub_client.py", "provider", "hf-inference"), [{"text": TEXTS[2]}], **hub_at_home)

    same(answers, expected("org/bert", TEXTS[2:3]))


def test_what_the_newest_hub_client_asks_the_hub(server: Server, tmp_path: Path) -> None:
    """Models by filters, one model, its providers, and whose a token is, in the client's own classes."""
    live = {"inference_provider": "hf-inference", "pipeline_tag": "text-classification", "expand": [MAPPING]}
    calls = [
        {"call": "list_models", "author": "org", "filter": ["transformers", "bert"], "sort": "downloads"},
        {"call": "list_models", "search": "BARE", "inference": "warm", **live},
        {"call": "list_models", "pipeline_tag": "image-classification"},
        {"call": "list_models", "limit": 2},
        {"call": "model_info", "repo_id": "org/bert"},
        {"call": "model_info", "repo_id": "org/bert", "expand": [MAPPING]},
        {"call": "model_info", "repo_id": "org/none"},
        {"call": "repo_exists", "repo_id": "org/none"},
        {"call": "whoami", "token": "hf_any"},
    ]
    berts, bare, none, two, model, mapped, unknown, exists, user = ask(
        script("hub_lookups.py"),
        [{"of": "HfApi", **call} for call in calls],
        HF_ENDPOINT=server.url,
        HF_HOME=str(tmp_path),
    )

    assert BERTS == [one["id"] for one in berts]
    assert ["bare"] == [one["id"] for one in bare]
    assert ([], 2, False) == (none, len(two), exists)
    assert ("org/bert", "text-classification") == (model["id"], model["pipeline_tag"])
    assert server.get("/models/org/bert/info").json()["model_sha"] == model["sha"]
    for one, model_id in ((mapped, "org/bert"), (bare[0], "bare")):
        [provider] = one["inference_provider_mapping"]
        assert ("hf-inference", model_id, "live", "text-classification") == tuple(
            provider[name] for name in ("provider", "provider_id", "status", "task")
        )
    assert "RepositoryNotFoundError" == unknown["type"]
    assert ("anonymous", "read") == (user["name"], user["auth"]["accessToken"]["role"])


def test_the_newest_hub_client_turns_pages(tmp_path: Path) -> None:
    """More models than a page has are all listed, once each, and the client follows the links by itself."""
    names = [f"model-{index:04}" for index in range(1005)]
    for name in names:
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "config.json").write_text('{"model_type": "bert"}')
    with serving(tmp_path, "--models-dir", str(tmp_path / "models")) as running:
        found = ask(
            script("hub_lookups.py"),
            [{"of": "HfApi", "call": "list_models", "expand": ["tags"]}],
            HF_ENDPOINT=running.url,
            HF_HOME=str(tmp_path),
        )[0]

    assert [*BUNDLED_IDS, *names] == [one["id"] for one in found]


def test_what_the_hub_client_of_2024_asks(server: Server, old_python: Path, tmp_path: Path) -> None:
    """A model's status, loaded and unknown, and the models by task, from the inference host; the Hub's list."""
    calls = [
        {"of": "InferenceClient", "call": "get_model_status", "model": "org/bert"},
        {"of": "InferenceClient", "call": "get_model_status", "model": "org/none"},
        {"of": "InferenceClient", "call": "list_deployed_models"},
        {"of": "HfApi", "call": "list_models", "author": "org", "model_name": "bert", "task": "text-classification"},
        {"of": "HfApi", "call": "model_info", "repo_id": "org/none"},
    ]
    loaded, unknown, deployed, listed, missing = ask(
        script("hub_lookups.py", python=old_python),
        calls,
        HF_ENDPOINT=server.url,
        HF_INFERENCE_ENDPOINT=server.url,
        HF_HOME=str(tmp_path),
    )

    assert {"loaded": True, "state": "Loaded", "compute_type": "cpu", "framework": "transformers"} == loaded
    assert "404" in unknown["text"]
    assert "Model org/none does not exist" in unknown["text"]
    assert ["text-classification"] == list(deployed)
    assert {"org/bert", "bare", "labeld/sentiment-en"} <= {*deployed["text-classification"]}
    assert {"org/bert", "org/distilbert"} == {one["id"] for one in listed}
    assert "RepositoryNotFoundError" == missing["type"]


def test_the_hub_client_of_2024(server: Server, expected: Ask, old_python: Path) -> None:
    """By URL, and by the id with HF_INFERENCE_ENDPOINT pointed here, as its users did."""
    models = (server.url + MODEL, "org/bert")
    questions = [{"text": text, "client": {"model": model}} for model in models for text in TEXTS]
    answers = ask(script("hub_client.py", python=old_python), questions, HF_INFERENCE_ENDPOINT=server.url)

    same(answers, expected("org/bert", TEXTS) * len(models))


def test_the_hub_client_of_2024_reads_our_errors(server: Server, old_python: Path) -> None:
    """An unknown model and a wrong text, with our sentence."""
    questions = [{"text": "a"}, {"text": 1, "client": {"model": server.url + MODEL}}]
    command = script("hub_client.py", "model", "org/none", python=old_python)
    unknown, wrong = ask(command, questions, HF_INFERENCE_ENDPOINT=server.url)

    assert "404" in unknown["text"]
    assert "Model org/none does not exist" in unknown["text"]
    assert "BadRequestError" == wrong["type"]
    assert "`inputs` must be a string" in wrong["text"]


@pytest.mark.parametrize(
    ("package", "way"),
    [
        ("@huggingface/inference", "endpointUrl"),
        ("@huggingface/inference", "endpoint"),
        ("inference-2", "endpoint"),
        ("inference-2", "model"),
    ],
)
def test_the_javascript_clients(server: Server, expected: Ask, node: list[str], package: str, way: str) -> None:
    """Texts and pairs with and without parameters; an error arrives with our sentence."""
    model = {"model": "org/bert"} if (package, way) == ("inference-2", "endpoint") else {}  # else it asks the Hub first
    questions = [{"inputs": text, **model} for text in TEXTS]
    questions += [{"inputs": TEXTS[0], "parameters": {"top_k": top_k}, **model} for top_k in (1, -1)]
    *answers, error = ask([*node, package, way, server.url + MODEL], questions)

    same(answers, expected("org/bert", TEXTS) + expected("org/bert", TEXTS[:1], top_k=1))
    assert "`parameters.top_k` must be a whole number from 1" in error["text"]


@pytest.mark.parametrize("package", ["@huggingface/inference", "inference-2"])
def test_the_javascript_clients_by_id(server: Server, expected: Ask, node: list[str], package: str) -> None:
    """With a fetch that leads the Hub's hosts here: look-ups and answers; an unknown model is an error of ours."""
    questions = [{"inputs": text, "model": "org/bert"} for text in TEXTS]
    *answers, error = ask([*node, package, "id", server.url], [*questions, {"inputs": "a", "model": "org/none"}])

    same(answers, expected("org/bert", TEXTS))
    assert "Model org/none does not exist" in error["text"]


def test_the_newest_javascript_client_by_host_alone(server: Server, expected: Ask, node: list[str]) -> None:
    """`endpointUrl` without a path means the default model."""
    answers = ask([*node, "@huggingface/inference", "endpointUrl", server.url], [{"inputs": TEXTS[2]}])

    same(answers, expected("org/bert", TEXTS[2:3]))


@pytest.fixture(scope="module")
def access_tokens(tmp_path_factory: pytest.TempPathFactory) -> AccessTokens:
    """Access tokens of every kind."""
    return some_access_tokens(tmp_path_factory.mktemp("some-access-tokens"))


@pytest.fixture(scope="module")
def guarded(
    access_tokens: AccessTokens, models_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server of the small models that wants to see one of these tokens."""
    arguments = ("org/bert", "--models-dir", str(models_dir))
    with serving(tmp_path_factory.mktemp("guarded"), *arguments, LABELD_TOKENS_DB=str(access_tokens.path)) as running:
        yield running


@pytest.mark.parametrize("name", ["hub_client.py", "hub_async_client.py"])
def test_the_newest_hub_clients_send_their_token(
    guarded: Server, expected: Ask, access_tokens: AccessTokens, name: str
) -> None:
    """As `token`; without one or with a wrong one our sentence is in the client's own exception."""
    model = {"model": guarded.url + MODEL}
    good, bad = (model | {"token": token} for token in (access_tokens.tokens["user"], access_tokens.dead["unknown"]))
    questions = [
        *({"text": text, "client": good} for text in TEXTS),
        *({"text": "a", "client": one} for one in (model, bad)),
    ]
    *answers, none, wrong = ask(script(name), questions, HF_HUB_DISABLE_IMPLICIT_TOKEN="1")

    same(answers, expected("org/bert", TEXTS))
    assert ("HfHubHTTPError", "HfHubHTTPError") == (none["type"], wrong["type"])
    assert "this needs an access token, in the header Authorization: Bearer hf_***" in none["text"]
    assert "401" in wrong["text"]
    assert "Invalid username or password." in wrong["text"]


def test_the_newest_hub_client_reads_that_a_token_may_not_use_a_model(
    guarded: Server, access_tokens: AccessTokens
) -> None:
    """It shows of a 403 what x-error-message says, and of a 429 when to come back."""
    limited, slow = access_tokens.make("limited", models=("org/distilbert",)), access_tokens.make("slow", per_minute=1)
    clients = [{"model": guarded.url + MODEL, "token": token} for token in (limited, slow, slow)]
    refused, _, late = ask(script("hub_client.py"), [{"text": "a", "client": client} for client in clients])

    assert "may not use the model org/bert, only org/distilbert" in refused["text"]
    assert "429" in late["text"]
    assert "1 requests per minute" in late["text"]


def test_the_newest_hub_client_is_told_whose_a_token_is(
    guarded: Server, access_tokens: AccessTokens, tmp_path: Path
) -> None:
    """`whoami` with a good token and a wrong one."""
    calls = [
        {"of": "HfApi", "call": "whoami", "token": one}
        for one in (access_tokens.tokens["admin"], access_tokens.dead["revoked"])
    ]
    user, wrong = ask(script("hub_lookups.py"), calls, HF_ENDPOINT=guarded.url, HF_HOME=str(tmp_path))

    assert ("admin", "write") == (user["name"], user["auth"]["accessToken"]["role"])
    assert "401" in wrong["text"] or "Invalid user token" in wrong["text"]


@pytest.mark.parametrize("client", [("@huggingface/inference", "endpointUrl"), ("inference-2", "endpoint")])
def test_the_javascript_clients_send_their_token(
    guarded: Server, expected: Ask, access_tokens: AccessTokens, node: list[str], client: tuple[str, str]
) -> None:
    """And show our sentence when it is a wrong one."""
    command = [*node, *client, guarded.url + MODEL]
    model = {"model": "org/bert"} if client[0] == "inference-2" else {}  # else it asks the Hub first
    answers = ask(
        command, [{"inputs": text, **model} for text in TEXTS], LABELD_TEST_TOKEN=access_tokens.tokens["user"]
    )
    [wrong] = ask(command, [{"inputs": "a", **model}], LABELD_TEST_TOKEN=access_tokens.dead["expired"])

    same(answers, expected("org/bert", TEXTS))
    assert "Invalid username or password." in wrong["text"]


@pytest.mark.parametrize("way", ["json", "data"])
def test_requests(server: Server, expected: Ask, way: str) -> None:
    """With a content type and, as `data=json.dumps(…)` does it, without; lists, pairs and errors too."""
    questions = [{"inputs": text} for text in TEXTS] + [{"inputs": TEXTS}, {"inputs": "a", "parameters": {"top_k": 0}}]
    *single, many, error = ask(script("requests_client.py", way, server.url + MODEL), questions)

    same([ranking for [ranking] in single], expected("org/bert", TEXTS))
    same(many, expected("org/bert", TEXTS))
    assert "`parameters.top_k` must be a whole number from 1" in error["error"]


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        ('{"inputs": "the market fell"}', []),
        ('{"inputs": "the market fell"}', ["-H", "Content-Type: application/json"]),
        ('{"inputs": "the market fell", "options": {"wait_for_model": true}}', ["-H", "Content-Type:"]),
        ("the market fell", []),
        ("the market fell", ["-H", "Content-Type: text/plain", "-H", "Authorization: Bearer hf_abc"]),
        ('"the market fell"', ["-H", "x-wait-for-model: true", "-H", "x-use-cache: 0"]),
    ],
)
def test_curl(server: Server, expected: Ask, data: str, headers: list[str]) -> None:
    """JSON and raw text with every content type that curl sends."""
    done = subprocess.run(["curl", "-sS", server.url + MODEL, "-d", data, *headers], capture_output=True, check=True)

    same(json.loads(done.stdout), expected("org/bert", ["the market fell"]))
