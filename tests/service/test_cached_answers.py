"""The cache in the service and over HTTP: headers, options, parameters, failures, replaced models."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from labeld.checkpoint.revision import folder_revision
from labeld.config.load import load
from labeld.config.settings import InputLimits
from labeld.errors import FolderError, UnavailableError
from labeld.lifecycle.model import LoadOptions, load_model
from labeld.service.build import open_service
from labeld.service.service import Service
from labeld.types import ClassifyReply, ClassifyRequest
from tests.support.access_tokens import some_access_tokens
from tests.support.classify import classify
from tests.support.requests_read import parse_request
from tests.support.server_process import Server, serving, wait_until

MODEL = "/models/org/bert"


@pytest.fixture(scope="module")
def caching(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the small models with its cache as it is by default."""
    with serving(tmp_path_factory.mktemp("caching"), "org/bert", "--models-dir", str(models_dir)) as running:
        yield running


def ask(server: Server, inputs: Any, headers: dict[str, str] | None = None, **body: Any) -> requests.Response:
    """A good reply."""
    reply = server.post(MODEL, json={"inputs": inputs, **body}, headers=headers)
    assert 200 == reply.status_code, reply.text
    return reply


def cached(reply: requests.Response) -> bool:
    """Whether a reply says that it comes from the cache."""
    return reply.headers["x-compute-type"] == "cache"


def test_a_repeat_is_the_same_to_the_byte_and_says_what_it_is(caching: Server) -> None:
    """The headers of a recorded hit: the original's time and revision, and no x-compute-characters."""
    first, second = ask(caching, ["a", "good"]), ask(caching, ["a", "good"])

    assert ["cpu", "cache"] == [reply.headers["x-compute-type"] for reply in (first, second)]
    assert first.content == second.content
    for name in ("x-compute-time", "x-sha", "content-type", "content-length"):
        assert first.headers[name] == second.headers[name]
    assert "5" == first.headers["x-compute-characters"]
    assert "x-compute-characters" not in second.headers
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_texts_are_remembered_one_by_one(caching: Server) -> None:
    """A text alone, then among others, in another order and as part of a pair."""
    both = ask(caching, ["the film", {"text": "the film", "text_pair": "bad"}]).json()

    alone = ask(caching, "the film")
    half = ask(caching, [{"text": "the film", "text_pair": "bad"}, "the day", "the film"])
    whole = ask(caching, [{"text": "the film", "text_pair": "bad"}, "the day", "the film"])

    assert [True, False, True] == [cached(reply) for reply in (alone, half, whole)]
    assert (both[:1], [both[1], both[0]]) == (alone.json(), [half.json()[0], half.json()[2]])
    assert half.content == whole.content
    assert str(len("the filmbadthe daythe film")) == half.headers["x-compute-characters"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"top_k": 1},
        {"function_to_apply": "none"},
        {"truncation": True},
        {"max_length": 9},
        {"return_all_scores": False},
    ],
)
def test_other_parameters_are_another_question(caching: Server, parameters: dict[str, Any]) -> None:
    """Each is computed once by itself, also after the one without parameters."""
    text = f"with {parameters}"
    ask(caching, text)

    first, second = (ask(caching, text, parameters=parameters) for _ in range(2))

    assert ([False, True], first.content) == ([cached(first), cached(second)], second.content)


@pytest.mark.parametrize(
    "unused",
    [{"headers": {"x-use-cache": "false"}}, {"headers": {"X-Use-Cache": "0"}}, {"options": {"use_cache": False}}],
)
def test_a_request_may_do_without_the_cache_and_still_fills_it(caching: Server, unused: dict[str, Any]) -> None:
    """By header or in the body."""
    text = f"without {unused}"

    replies = [ask(caching, text, **unused), ask(caching, text), ask(caching, text, **unused)]

    assert [False, True, False] == [cached(reply) for reply in replies]


@pytest.mark.parametrize(
    ("text", "expected"), [("good " * 127, "is 129 tokens long"), ("x" * 32_001, "has 32001 characters")]
)
def test_a_wrong_text_is_named_by_its_place_in_the_request(caching: Server, text: str, expected: str) -> None:
    """Also when those before it are cached; a failure is not cached."""
    ask(caching, ["very", "good"])
    for _ in range(2):
        reply = caching.post(MODEL, json={"inputs": ["very", "good", text]})

        assert 400 == reply.status_code
        assert reply.json()["error"].startswith(f"Text 2 of `inputs` {expected}")


def test_ignored_parameters_are_warned_about_on_a_hit_too(caching: Server) -> None:
    """The warning is the request's, not the answer's."""
    ask(caching, "warned")
    reply = ask(caching, "warned", parameters={"padding": True})

    assert cached(reply)
    assert "padding" in reply.headers["x-hf-warning"]


def test_an_empty_list_is_no_hit(caching: Server) -> None:
    """There is nothing to remember of it."""
    assert [False, False] == [cached(ask(caching, [])) for _ in range(2)]


def test_models_do_not_share_answers(caching: Server) -> None:
    """Models do not share answers, except equal ones under two names, which have one revision."""
    ask(caching, "whose")
    assert caching.classify("whose", "org/distilbert") != caching.classify("whose", "org/bert")

    replies = [caching.post(f"/models/{name}/same", json={"inputs": "whose"}) for name in ("a", "a", "b", "b")]

    assert ["cpu", "cache", "cache", "cache"] == [reply.headers["x-compute-type"] for reply in replies]


def request(text: str) -> ClassifyRequest:
    """A request as it comes in."""
    return parse_request(b'{"inputs": "%s"}' % text.encode(), {}, "", InputLimits())


async def answered(service: Service, text: str = "good", scope: str = "") -> ClassifyReply:
    """A reply of the only model."""
    return await classify(service, "org/bert", request(text), scope)


def is_cached(service: Service, text: str = "good") -> bool:
    """Whether the answer to this text comes without loading a model and without waiting."""
    model = service.resolve("org/bert")
    return service.get_cached(model, service.look_up(model, request(text))) is not None


def test_a_remembered_answer_needs_no_model(models_dir: Path, tmp_path: Path) -> None:
    """It comes although nothing can be computed any more."""

    async def main() -> None:
        flags = {"models_dir": models_dir, "cache_dir": tmp_path, "threads": 1}
        async with open_service(load(flags, {})) as service:
            first = await answered(service)
            service.give_up()

            assert first.answers == (await answered(service)).answers
            assert [True, False] == [is_cached(service, text) for text in ("good", "new")]
            with pytest.raises(UnavailableError):
                await answered(service, "new")

    asyncio.run(main())


def test_the_scope_token_keeps_clients_apart(models_dir: Path, tmp_path: Path) -> None:
    """Another token is another client, and so is none."""

    async def main() -> None:
        flags = {"models_dir": models_dir, "cache_dir": tmp_path, "threads": 1, "cache_scope": "token"}
        scopes = ["0123456789ab", "ba9876543210", ""]
        async with open_service(load(flags, {})) as service:
            types = [(await answered(service, scope=scope)).compute_type for scope in (*scopes, *scopes)]

        assert ["cpu"] * 3 + ["cache"] * 3 == types

    asyncio.run(main())


def from_cache(server: Server, authorization: str | None) -> bool:
    """Whether the answer to one and the same text comes from the cache for a request with this header."""
    headers = {} if authorization is None else {"authorization": authorization}
    reply = server.post("/models/labeld/sentiment-en", json={"inputs": "good"}, headers=headers)
    assert 200 == reply.status_code, reply.text
    return cached(reply)


def test_with_the_scope_token_answers_are_those_of_the_token_and_not_of_the_header(tmp_path: Path) -> None:
    """Another token computes anew; another spelling of the header does not, nor does the token's successor."""
    access_tokens = some_access_tokens(tmp_path)
    with serving(tmp_path, LABELD_TOKENS_DB=str(access_tokens.path), LABELD_CACHE_SCOPE="token") as server:
        user, admin = (access_tokens.tokens[name] for name in ("user", "admin"))
        headers = [f"Bearer {user}", f"Bearer {admin}", f"bearer: {user} "]
        assert [False, False, True] == [from_cache(server, one) for one in headers]
        with access_tokens.store() as store:
            _, successor = store.rotate(access_tokens.ids["user"])
        assert from_cache(server, f"Bearer {successor}")


def test_with_the_scope_token_an_open_server_has_one_scope(tmp_path: Path) -> None:
    """Where no token was ever made, what is sent as one means nothing."""
    with serving(tmp_path, LABELD_CACHE_SCOPE="token") as server:
        assert [False, True, True] == [from_cache(server, one) for one in (None, "Bearer hf_a", "Bearer hf_b")]


def test_a_replaced_model_is_not_answered_from_the_old(models_dir: Path, tmp_path: Path, redis_url: str) -> None:
    """Neither by the process that knew it nor, through Redis, by the next one, which does know it unreplaced."""
    folder = tmp_path / "models/org/bert"
    shutil.copytree(models_dir / "org/bert", folder)

    async def main(url: str) -> None:
        flags = {"models_dir": tmp_path / "models", "cache_dir": tmp_path, "threads": 1, "cache": url}
        async with open_service(load(flags, {})) as service:
            old = await answered(service)
            while (await answered(service, "a")).compute_type != "cache":
                pass
            async with open_service(load(flags, {})) as other:
                texts = (f"shared {number}" for number in range(50))
                while True:  # NOTE: on a busy machine an exchange with Redis may come too late once
                    text = next(texts)
                    await answered(service, text)
                    if (await answered(other, text)).compute_type == "cache":
                        break

            folder.rename(tmp_path / "old")
            shutil.copytree(models_dir / "org/multi-label", folder)

            assert await asyncio.to_thread(wait_until, lambda: not is_cached(service)), "the change goes unnoticed"
        async with open_service(load(flags, {})) as other:
            new = await answered(other)
            assert ("cpu", True) == (new.compute_type, new.revision != old.revision)
            assert [one.encoded for one in new.answers] != [one.encoded for one in old.answers]
            assert "cpu" == (await answered(other, text)).compute_type

    asyncio.run(main(redis_url))


def test_a_folder_that_changes_while_it_is_loaded_is_refused(
    models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its revision would not be that of its weights, and answers would be cached under the wrong one."""
    folder = tmp_path / "bert"
    shutil.copytree(models_dir / "org/bert", folder)

    def change_and_hash(changing: Path, cache_dir: Path) -> str:
        (changing / "added_tokens.json").write_text("{}")
        return folder_revision(changing, cache_dir)

    monkeypatch.setattr("labeld.lifecycle.model.folder_revision", change_and_hash)
    with pytest.raises(FolderError, match="has changed while the model was loaded"):
        load_model("bert", folder, LoadOptions(1, 1, 1000, 4096, tmp_path))
