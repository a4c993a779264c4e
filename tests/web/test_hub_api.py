"""The Hub's look-ups over HTTP, with a Hub behind the server and without."""

import json
import select
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.hub_models import classifier
from tests.support.local_hub import Fault, LocalHub, local_hub
from tests.support.paths import BUNDLED_IDS
from tests.support.server_process import Server, serving, wait_until
from tests.support.tiny_models import VOCABULARY_ONLY

LIVE = {"status": "live", "task": "text-classification"}
FOLDERS = ["org/bert", "org/distilbert", "org/multi-label", "org/one-label", VOCABULARY_ONLY]
BERTS = [one for one in FOLDERS if one != "org/distilbert"]
EVERYTHING = sorted([*FOLDERS, *BUNDLED_IDS, "a/same", "b/same", "bare"])


@pytest.fixture(scope="module")
def its_hub() -> Iterator[LocalHub]:
    """A Hub with a classifier, a model of another task and a private one."""
    with local_hub() as hub:
        hub.add("org/model", classifier())
        hub.add("org/other", classifier(1, model_type="gpt9"))
        hub.add("org/private", classifier(2), private=True, token="hf_owner")
        hub.add("org/stored", classifier(3))
        yield hub


@pytest.fixture(scope="module")
def hub_server(its_hub: LocalHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks this Hub, and that has two folders beside: one of another task, one without weights."""
    root = tmp_path_factory.mktemp("lookups")
    for name, config in (("broken", {"model_type": "bert", "architectures": ["BertModel"]}), ("empty", None)):
        (root / "models/mine" / name).mkdir(parents=True)
        files = classifier() if config is None else {"config.json": json.dumps(config).encode()}
        for file, content in files.items():
            if file not in ("model.safetensors", "pytorch_model.bin"):
                (root / "models/mine" / name / file).write_bytes(content)
    arguments = ("--models-dir", str(root / "models"))
    with serving(root, *arguments, HF_ENDPOINT=its_hub.url, LABELD_HUB="any") as running:
        yield running


def ids(server: Server, query: str) -> list[str]:
    """Ids of the models that this query lists."""
    reply = server.get(f"/api/models?{query}")
    assert 200 == reply.status_code, reply.text
    return [one["id"] for one in reply.json()]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", EVERYTHING),
        ("search=BERT", ["org/bert", "org/distilbert"]),
        ("search=same&author=b", ["b/same"]),
        ("author=org", FOLDERS),
        ("author=or", []),
        ("filter=bert&author=org", BERTS),
        ("filter=transformers&filter=distilbert&author=org", ["org/distilbert"]),
        ("filter=transformers,distilbert&author=org", ["org/distilbert"]),
        ("filter=image-classification", []),
        ("pipeline_tag=text-classification", EVERYTHING),
        ("pipeline_tag=fill-mask", []),
        ("inference=warm", EVERYTHING),
        ("inference=frozen", []),
        ("inference_provider=hf-inference", EVERYTHING),
        ("inference_provider=together,hf-inference", EVERYTHING),
        ("inference_provider=together&inference_provider=all", EVERYTHING),
        ("inference_provider=together", []),
        ("gated=true", []),
        ("gated=false&full=true&config=true&cardData=true&direction=-1", EVERYTHING),
        ("sort=downloads&limit=3", EVERYTHING[:3]),
        ("limit=0", []),
    ],
)
def test_the_list_follows_the_query(server: Server, query: str, found: list[str]) -> None:
    """Every filter that clients send narrows the list, alone and together with others."""
    assert sorted(found) == sorted(ids(server, query))


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "limit=9999999999999", "cursor=-1", "sort=colour"])
def test_a_query_that_makes_no_sense_is_said_so(server: Server, query: str) -> None:
    """By the name of its parameter."""
    reply = server.get(f"/api/models?{query}")

    assert 400 == reply.status_code
    assert query.partition("=")[0] in reply.json()["error"]


def test_pages_follow_each_other(server: Server) -> None:
    """Each names the next one by its whole address, the query kept, until all models were listed once."""
    url, found = "/api/models?limit=4&inference=warm&expand=tags", []
    while url:
        reply = server.get(url)
        found += [one["id"] for one in reply.json()]
        assert len(reply.json()) <= 4
        url = reply.links.get("next", {}).get("url", "").removeprefix(server.url)

    assert EVERYTHING == sorted(found)


def test_pages_behind_a_tls_proxy(server: Server) -> None:
    """The next page's address is what the client can reach: the host it named, by https."""
    headers = {"host": "hub.example.org", "x-forwarded-proto": "https"}
    reply = server.session.get(f"{server.url}/api/models?limit=1", headers=headers, timeout=60)

    assert "https://hub.example.org/api/models?limit=1&cursor=1" == reply.links["next"]["url"]


def test_the_newest_comes_first(hub_server: Server) -> None:
    """By time where that is asked for: these two folders were made last."""
    assert ["mine/empty"] == ids(hub_server, "sort=lastModified&limit=1&filter=text-classification")


@pytest.mark.parametrize("query", ["expand=inferenceProviderMapping", "expand[]=inferenceProviderMapping"])
@pytest.mark.parametrize("name", ["org/bert", "org%2Fbert", "bert", "org/bert/"])
def test_who_provides_a_model(server: Server, name: str, query: str) -> None:
    """In both spellings and however the id is written: at once, without a redirect, under its whole id."""
    reply = server.session.get(f"{server.url}/api/models/{name}?{query}", allow_redirects=False, timeout=60)

    assert (200, "application/json") == (reply.status_code, reply.headers["content-type"])
    mapping = {"hf-inference": {"providerId": "org/bert", **LIVE}}
    assert {"id": "org/bert", "inferenceProviderMapping": mapping} == reply.json()


def test_expand_chooses(server: Server) -> None:
    """Several properties may be named; what is not known here is left out; without it the mapping is."""
    some = server.get("/api/models/org/bert?expand=tags&expand=inference&expand[]=downloads").json()
    all_of_it = server.get("/api/models/org/bert").json()

    assert {"id": "org/bert", "tags": ["transformers", "bert", "text-classification"], "inference": "warm"} == some
    assert "inferenceProviderMapping" not in all_of_it
    assert ("org", False, False) == tuple(all_of_it[name] for name in ("author", "private", "gated"))
    assert server.get("/models/org/bert/info").json()["model_sha"] == all_of_it["sha"]


@pytest.mark.parametrize(
    "name",
    [
        "org/none",
        "none",
        "org/bert/revision/main",
        "org/bert@main",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "%252e%252e%252fetc",
        "org%5cbert",
        "org/bert%0a",
        "%EF%BC%AF%EF%BD%92%EF%BD%87/bert",
        "http:%2f%2flocalhost%2fmodel",
        "//host/share",
        "x" * 5000,
    ],
)
@pytest.mark.parametrize("path", ["/api/models/", "/status/"])
def test_a_model_that_is_not_here(server: Server, path: str, name: str) -> None:
    """404 with the code that clients go by, whatever was asked for; paths lead nowhere."""
    reply = server.get(path + name)

    assert 404 == reply.status_code
    assert {"error"} == reply.json().keys()
    if path == "/api/models/" and "%0a" not in name:
        assert "RepoNotFound" == reply.headers["x-error-code"]
    assert len(reply.content) < 500


def test_a_name_of_two_models(server: Server) -> None:
    """Is refused with both ids."""
    reply = server.get("/api/models/same")

    assert 400 == reply.status_code
    assert "a/same, b/same" in reply.json()["error"]


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer hf_any", 200),
        ("bearer anything", 200),
        ("Bearer: hf_any", 200),
        ("", 401),
        ("Bearer ", 401),
        ("Basic aGY6YQ==", 401),
        ("hf_any", 401),
    ],
)
def test_who_is_asking(server: Server, authorization: str, status: int) -> None:
    """Whoever has a token is the same user, who owns nothing; without one it is 401 as on the Hub."""
    headers = {"authorization": authorization}
    reply = server.session.get(f"{server.url}/api/whoami-v2", headers=headers, timeout=60)

    assert status == reply.status_code
    if status == 200:
        assert ("anonymous", []) == (reply.json()["name"], reply.json()["orgs"])
    else:
        assert reply.headers["www-authenticate"].startswith("Bearer ")
        assert "hf_any" not in reply.text


def test_the_task_recommends_the_default_model(server: Server) -> None:
    """Where either client looks for it."""
    [(name, task)] = server.get("/api/tasks").json().items()

    assert ("text-classification", ["org/bert"]) == (name, task["widgetModels"])
    assert "org/bert" == task["models"][0]["id"]


def test_models_by_framework(server: Server) -> None:
    """All of them are transformers' models; other frameworks have none."""
    found = server.get("/framework/transformers").json()

    assert EVERYTHING == sorted(one["model_id"] for one in found)
    assert {"text-classification"} == {one["task"] for one in found}
    assert [[]] * 2 == [server.get(f"/framework/{name}").json() for name in ("diffusers", "nonsense")]


def test_models_as_openai_and_kserve_ask(server: Server) -> None:
    """All of them, each by its id, and whether it is ready; an unknown one is 404 with a sentence."""
    found, one = server.get("/v1/models").json(), server.get("/v1/models/org/bert").json()
    unknown = server.get("/v1/models/org/nothing")

    assert "list" == found["object"]
    assert EVERYTHING == sorted(model["id"] for model in found["data"])
    assert {"model"} == {model["object"] for model in found["data"]}
    assert ("org/bert", "org/bert", True, "org") == tuple(one[key] for key in ("id", "name", "ready", "owned_by"))
    assert (404, "org/nothing") == (unknown.status_code, unknown.json()["error"].split()[1])


def test_a_model_that_only_the_hub_has(its_hub: LocalHub, hub_server: Server) -> None:
    """Is described by what the Hub says, and not downloaded for that; the client's token stays here."""
    headers = {"authorization": "Bearer hf_clients_own"}
    url = f"{hub_server.url}/api/models/org/model?expand=sha&expand=inferenceProviderMapping&expand=pipeline_tag"
    model = hub_server.session.get(url, headers=headers, timeout=60).json()
    other = hub_server.get("/api/models/org/other?expand=pipeline_tag&expand=inferenceProviderMapping").json()
    status = hub_server.get("/status/org/model").json()

    mapping = {"hf-inference": {"providerId": "org/model", **LIVE}}
    assert its_hub.repositories["org/model"].branches["main"] == model["sha"]
    assert ("text-classification", mapping) == (model["pipeline_tag"], model["inferenceProviderMapping"])
    assert {"id": "org/other", "inferenceProviderMapping": {}} == other
    assert (False, "Loadable") == (status["loaded"], status["state"])
    assert not its_hub.downloads()
    assert "org/model" not in ids(hub_server, "")
    assert [] == [one for _, _, one in its_hub.requests if "hf_clients_own" in json.dumps(one)]


@pytest.mark.parametrize("name", ["org/none", "org/private", "org/model@none"])
def test_a_model_that_the_hub_does_not_give(hub_server: Server, name: str) -> None:
    """Is not found, as on the Hub itself."""
    reply = hub_server.get(f"/api/models/{quote(name, safe='/')}")

    assert (404, "RepoNotFound") == (reply.status_code, reply.headers["x-error-code"])


def test_a_hub_that_fails(its_hub: LocalHub, hub_server: Server) -> None:
    """Is worth another try, and what is here is answered meanwhile."""
    its_hub.fault = Fault("status", on="/api/models/org/model")
    try:
        reply = hub_server.get("/api/models/org/model")
        here = hub_server.get("/api/models/labeld/sentiment-en")
    finally:
        its_hub.fault = None

    assert (502, 200) == (reply.status_code, here.status_code)
    assert "retry-after" in reply.headers
    assert "a secret of the Hub" not in reply.text


def test_a_hub_that_is_silent(its_hub: LocalHub, hub_server: Server) -> None:
    """Holds up 64 look-ups of models that only it could have, and nobody else; those beyond are refused at once."""
    its_hub.fault = Fault("silent", on="/api/models/slow/")
    with ExitStack() as stack:
        asking = [stack.enter_context(socket.create_connection(hub_server.address)) for _ in range(70)]
        for index, one in enumerate(asking):
            one.sendall(b"GET /api/models/slow/m%d HTTP/1.1\r\nhost: localhost\r\n\r\n" % index)
        assert wait_until(lambda: len(select.select(asking, [], [], 0)[0]) == 6)
        assert wait_until(lambda: len(its_hub.asked("/api/models/slow/")) == 4)
        refused = select.select(asking, [], [], 0)[0]
        here = [hub_server.get(path).status_code for path in ("/api/models/labeld/sentiment-en", "/api/models")]
        classified = hub_server.classify("a", "labeld/sentiment-en")
        its_hub.fault = None
        others = [one for one in asking if one not in refused]

        assert [b"HTTP/1.1 429"] * 6 == [one.recv(12) for one in refused]
        assert ([200, 200], 1) == (here, len(classified))
        # the four questions that had reached the Hub are broken off there
        assert {b"HTTP/1.1 404": 60, b"HTTP/1.1 502": 4} == Counter(one.recv(12) for one in others)


def test_a_downloaded_model_is_listed(its_hub: LocalHub, hub_server: Server) -> None:
    """With its commit, once a request has had it downloaded; and as it failed to load (noise), it is not live."""
    hub_server.post("/models/org/stored", json={"inputs": "a"}, headers={"x-wait-for-model": "true"})
    query = "search=stored&expand=sha&expand=inference&expand=inferenceProviderMapping"
    [stored] = hub_server.get(f"/api/models?{query}").json()

    assert its_hub.repositories["org/stored"].branches["main"] == stored["sha"]
    assert "error" == stored["inferenceProviderMapping"]["hf-inference"]["status"]
    assert "inference" not in stored


def test_folders_that_cannot_answer(hub_server: Server) -> None:
    """One of another task has no task and no provider here; one that failed to load says so and is not offered."""
    broken = hub_server.get("/api/models/mine/broken?expand=pipeline_tag&expand=inferenceProviderMapping").json()
    before: Any = hub_server.get("/status/mine/empty").json()
    failed = hub_server.post("/models/mine/empty", json={"inputs": "a"}).json()
    after = hub_server.get("/status/mine/empty").json()
    mapping = hub_server.get("/api/models/mine/empty?expand=inferenceProviderMapping").json()

    assert {"id": "mine/broken", "inferenceProviderMapping": {}} == broken
    assert (False, "Loadable") == (before["loaded"], before["state"])
    assert (False, "error", failed["error"]) == (after["loaded"], after["state"], after["error"])
    assert "error" == mapping["inferenceProviderMapping"]["hf-inference"]["status"]
    assert not {"mine/empty", "mine/broken"} & {*ids(hub_server, "inference=warm")}
