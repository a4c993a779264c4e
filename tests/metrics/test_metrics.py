"""/metrics and /status: counters move as what they count does, and nothing that a client sends makes a series."""

import asyncio
import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from transformers import AutoTokenizer

from labeld.cache.answers import AnswerCache
from labeld.cache.keys import Identity
from labeld.cache.memory import MemoryStore
from labeld.config.settings import MIB, Residency, Settings
from labeld.metrics.prometheus import Metrics
from labeld.service.build import Hosting, open_service
from labeld.service.service import Service
from labeld.types import Answer, ClassifyRequest, Text
from tests.support.classify import classify
from tests.support.server_process import Server, serving, wait_until

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]
CLASSIFY = "/models/{model_id}"


@pytest.fixture(scope="module")
def counted(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose cache is on, which answers one request at a time and unloads what is idle."""
    arguments = ["org/bert", "--models-dir", str(models_dir), "--max-in-flight", "1", "--idle-timeout", "0.2"]
    with serving(tmp_path_factory.mktemp("metrics"), *arguments, HF_TOKEN="hf_secret") as running:
        yield running


def parsed(text: str) -> Series:
    """Every series of an exposition, by its name and labels, as Prometheus reads it; none is there twice."""
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    series = {(one.name, tuple(sorted(one.labels.items()))): one.value for one in samples}
    assert len(samples) == len(series)
    return series


def read(server: Server) -> Series:
    """The present text of /metrics."""
    reply = server.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=")
    return parsed(reply.text)


def value(series: Series, name: str, **labels: str) -> float:
    """One series; 0 where it has not begun."""
    return series.get((f"labeld_{name}", tuple(sorted(labels.items()))), 0.0)


def test_counters_move_as_what_they_count(counted: Server, models_dir: Path) -> None:
    """Requests by route and status, texts by where their answer was, tokens as transformers counts them, batches."""
    texts = ["I like you. I love you", "not very good - it was bad"]
    tokenizer = AutoTokenizer.from_pretrained(models_dir / "org/bert")
    tokens = sum(len(tokenizer(text).input_ids) for text in texts)
    before = read(counted)
    counted.classify(texts)
    counted.classify([*texts, "the market fell"])
    refused = counted.post("/models/org/bert", json={"inputs": 1})
    after = read(counted)

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    more = len(tokenizer("the market fell").input_ids)
    assert 400 == refused.status_code
    assert (2, 1) == tuple(grown("requests_total", route=CLASSIFY, status=status) for status in ("200", "400"))
    assert (2, 3) == tuple(grown("cache_texts_total", result=result) for result in ("memory", "miss"))
    assert tokens + more == grown("tokens_total") == grown("model_tokens_total", model="org/bert")
    assert 3 == grown("model_texts_total", model="org/bert") == grown("batch_texts_sum") == grown("queue_seconds_count")
    assert tokens + more == grown("batch_tokens_sum")
    assert grown("batch_texts_count") == grown("compute_seconds_count") == grown("batch_tokens_count")
    assert 2 <= grown("batch_texts_count") <= 3
    assert 0 < grown("compute_seconds_sum") < grown("request_seconds_sum")
    assert 3 == grown("cache_answers")
    assert 4 == grown("request_seconds_count")  # the look before is one of them


def test_an_answer_without_the_cache_is_not_looked_up(counted: Server) -> None:
    """A request that asks to bypass it counts as no miss."""
    before = read(counted)
    counted.post("/models/org/bert", json={"inputs": "hello"}, headers={"x-use-cache": "false"})
    after = read(counted)

    assert [0, 0] == [
        value(after, "cache_texts_total", result=one) - value(before, "cache_texts_total", result=one)
        for one in ("memory", "miss")
    ]


def test_hostile_requests_make_no_series(counted: Server) -> None:
    """Any number of ids, paths, methods and bodies: labels are those of the routes and of loaded models."""

    def attack(name: str) -> None:
        counted.post(f"/models/{name}/{name}", json={"inputs": name})
        counted.get(f"/api/models/{name}")
        counted.get(f"/status/{name}%22%7D")
        counted.get(f"/framework/{name}")
        counted.get(f"/{name}%0a{name}")
        counted.post(f"/pipeline/{name}/x", json={"inputs": "a"})
        counted.session.request(name, f"{counted.url}/x", timeout=60)
        counted.session.request("DELETE", f"{counted.url}/models/{name}", timeout=60)

    attack("EVIL")
    read(counted)
    before = read(counted)
    for index in range(40):
        attack(f"EVIL{index}")
    text = counted.get("/metrics").text

    assert before.keys() == parsed(text).keys()
    assert "EVIL" not in text


def test_a_refusal_is_counted_by_its_limit(counted: Server) -> None:
    """While one request is answered, a second is over max_in_flight."""
    before = read(counted)
    with counted.occupied():
        assert wait_until(lambda: value(read(counted), "requests_in_flight") == 1)
        assert 429 == counted.post("/models/org/bert", json={"inputs": "a"}).status_code
        assert 429 == counted.get("/api/models").status_code
    after = read(counted)

    assert 2 == sum(
        value(one, "refusals_total", limit="max_in_flight") * sign for one, sign in ((after, 1), (before, -1))
    )
    assert 1 == value(after, "requests_total", route="/api/models", status="429")
    assert wait_until(lambda: value(read(counted), "requests_in_flight") == 0)
    assert wait_until(lambda: value(read(counted), "models_loaded") == 1)


def test_what_the_connection_refuses_is_counted(counted: Server) -> None:
    """No route ever saw it."""
    before = read(counted)
    with socket.create_connection(counted.address) as wrong:
        wrong.sendall(b"this is not HTTP\r\n\r\n")
        assert wrong.recv(100).startswith(b"HTTP/1.1 400")
    reply = requests.get(f"{counted.url}/ready", headers={f"x-{index}": "a" for index in range(100)}, timeout=60)

    assert 431 == reply.status_code
    after = read(counted)
    assert (1, 1) == tuple(
        value(after, "rejected_total", status=status) - value(before, "rejected_total", status=status)
        for status in ("400", "431")
    )


def test_models_come_and_go(counted: Server) -> None:
    """A load and an unload are counted, and a model's own series are there for as long as it is."""

    def is_alone() -> bool:
        """Whether one model is loaded, and every unload counted, which is when its memory is free."""
        now = read(counted)
        return value(now, "models_loaded") == value(now, "model_loads_total") - value(now, "model_evictions_total") == 1

    assert wait_until(is_alone)  # another test may have loaded one too
    before = read(counted)
    counted.classify("a", "org/distilbert")
    assert wait_until(is_alone)
    after = read(counted)

    for name in ("model_loads_total", "model_evictions_total"):
        assert 1 == value(after, name) - value(before, name)
    assert 0 == value(after, "model_load_failures_total")
    own = [labels for name, labels in after if name.startswith("labeld_model_")]
    assert {"org/bert"} == {one for labels in own for label, one in labels if label == "model"}
    assert value(after, "model_bytes", model="org/bert") > 0
    assert 1 == value(after, "model_info", model="org/bert", precision="float32")


def test_the_status_says_what_runs(counted: Server) -> None:
    """Models, queues, memory, cache and limits as JSON; no path and no secret."""
    counted.classify("a")
    reply = counted.get("/status")
    status = reply.json()
    [model] = [one for one in status["models"] if one["model_id"] == "org/bert"]

    assert "application/json" == reply.headers["content-type"]
    assert {
        "architecture": "BertForSequenceClassification",
        "precision": "float32",
        "precision_choice": None,
        "leases": 0,
        "waiting": {"texts": 0, "tokens": 0},
    }.items() <= model.items()
    assert counted.get("/info").json()["model_sha"] == model["sha"]
    assert min(model["bytes"], model["texts"], model["tokens"], status["uptime"]) > 0
    assert model["idle"] < status["uptime"]
    assert 0 < status["memory"]["used"] < status["memory"]["budget"]
    assert (True, "org/bert", {"count": 1}) == tuple(status[name] for name in ("ready", "default_model", "workers"))
    assert status["cache"]["answers"] > 0
    assert {"in_flight": 0, "waiting_for_models": 0} == status["requests"]
    assert 1 == status["settings"]["queue"]["max_in_flight"]
    assert "hf_secret" not in reply.text
    assert "/" not in reply.text.replace("org/bert", "")


def test_several_workers_say_so(tmp_path: Path) -> None:
    """The list of workers has each, by its process id."""
    with serving(tmp_path, "--workers", "2") as running:
        status = requests.get(f"{running.url}/status", timeout=60).json()

        assert status["pid"] in running.processes()
        assert 2 == status["workers"]["count"]
        assert status["pid"] in {one["pid"] for one in status["workers"]["processes"]}
        assert 2 == value(read(running), "workers")


def test_answers_of_the_shared_store_are_counted_apart() -> None:
    """Those that this process did not have itself."""

    class Shared:
        """Another server's answers."""

        async def open(self) -> None:
            """Is ready."""

        async def get(self, keys: Iterable[bytes]) -> Mapping[bytes, Answer]:
            """It has the second of those asked for."""
            return dict.fromkeys(list(keys)[1:2], Answer(b"[]", 1.0))

        def put(self, answers: Mapping[bytes, Answer]) -> None:
            """Takes none."""

        async def close(self) -> None:
            """Has nothing to end."""

    async def look() -> list[int]:
        cache = AnswerCache(MemoryStore(MIB, 60.0), Shared())
        request = ClassifyRequest((Text("a"), Text("b"), Text("c")))
        found = []
        for _ in range(2):
            found.append(cache.look_up(Identity("0" * 40, "float32", 128, 1000), request))
            await cache.read_shared(found[-1])
        return [one.from_shared for one in found] + [one.answers.count(None) for one in found]

    assert [1, 1, 2, 1] == asyncio.run(look())


def test_two_services_count_apart(tmp_path: Path) -> None:
    """Nothing is global: each observer sees its own service only."""
    settings = Settings(residency=Residency(load_grace=60))

    async def ask(service: Service) -> None:
        await classify(service, None, ClassifyRequest((Text("good"),)))

    async def both() -> list[float]:
        first, second = Metrics(), Metrics()
        async with open_service(settings, Hosting(first)) as one, open_service(settings, Hosting(second)) as other:
            await ask(one)
            await ask(other)
            await ask(one)
        series = [parsed(one.exposition().decode()) for one in (first, second)]
        return [value(one, "cache_texts_total", result="memory") for one in series]

    assert [1, 0] == asyncio.run(both())


def test_the_status_is_json_of_plain_values(counted: Server) -> None:
    """A machine may rely on its names."""
    names = ["version", "uptime", "ready", "pid", "workers", "default_model", "models", "loading", "counts", "memory"]

    assert [*names, "requests", "cache", "splits", "shadows", "settings", "recent", "history"] == list(
        json.loads(counted.get("/status").content)
    )
