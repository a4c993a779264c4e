"""Finding a peer's dialect with few requests."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from labeld.comparison.address import read_address
from labeld.comparison.detection import FoundDialect, find_dialect
from labeld.comparison.errors import PeerLostError
from labeld.comparison.peer import HttpPeer
from labeld.types import Text
from tests.comparison.test_peer import GOOD, free_port
from tests.support.odd_peers import Reply, odd_peer
from tests.support.server_process import Server

MISSING = Reply(404, {"detail": "Not Found"})


def find(url: str) -> FoundDialect:
    """The dialect of a server."""

    async def ask() -> FoundDialect:
        async with HttpPeer(read_address(url)) as peer:
            return await find_dialect(peer, "org/bert", Text("a film"))

    return asyncio.run(ask())


def serves(**replies: Any) -> Callable[..., Reply]:
    """A server with values at some paths, written with _ for /, and with nothing elsewhere."""
    paths = {name.replace("_", "/"): value for name, value in replies.items()}
    return lambda _method, path, *_: paths.get(path, MISSING)


@pytest.mark.parametrize(
    ("replies", "dialect", "model", "most"),
    [
        ({"_v2": Reply(value={"name": "triton", "version": "2", "extensions": []})}, "open-inference", None, 1),
        ({"_info": Reply(value={"model_id": "m", "model_type": {"classifier": {}}})}, "tei", None, 2),
        ({"_v1_models": Reply(value={"models": ["m"]})}, "kserve", "m", 3),
        ({"_v1_models": Reply(value={"data": [{"id": "m", "owned_by": "vllm"}]})}, "vllm", "m", 3),
        ({"_models": Reply(value={"data": [{"id": "m", "owned_by": "infinity"}]})}, "infinity", "m", 4),
        ({"_ping": Reply(value={})}, "sagemaker", None, 5),
        ({"_models_org_bert": GOOD}, "hosted", None, 6),
        ({"_": GOOD}, "endpoint", None, 7),
    ],
)
def test_a_server_is_known_by_what_it_says_of_itself(
    replies: dict[str, Reply], dialect: str, model: str | None, most: int
) -> None:
    """With few GETs, and one text only where they say nothing."""
    with odd_peer(serves(**replies)) as peer:
        found = find(peer.url)

    assert (dialect, model) == (found.dialect.name, found.model)
    assert most == len(peer.asked)


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/predict", "tei"),
        ("/x/classify", "vllm"),
        ("/v2/models/a/infer", "open-inference"),
        ("/v1/models/a:predict", "kserve"),
        ("/hf-inference/models/a/b", "hosted"),
        ("/invocations", "sagemaker"),
        ("/vertex", "vertex"),
    ],
)
def test_a_path_says_its_dialect(path: str, dialect: str) -> None:
    """Without a request."""
    with odd_peer(lambda *_: MISSING) as peer:
        found = find(peer.url + path)

    assert (dialect, []) == (found.dialect.name, peer.asked)


def test_another_path_is_asked_for_one_text() -> None:
    """As the hosted API is at one path."""
    with odd_peer(serves(_my_own=GOOD)) as peer:
        found = find(f"{peer.url}/my/own")

    assert ("endpoint", 1) == (found.dialect.name, len(peer.asked))


def test_labeld_is_known(server: Server) -> None:
    """It speaks all of them, of which its own is taken."""
    found = find(server.url)

    assert ("hosted", "since GET /v2 says that it is labeld") == (found.dialect.name, found.how)


@pytest.mark.parametrize(
    "replies",
    [
        {},
        {"_v2": Reply(value=[]), "_info": Reply(value={"model_type": 1}), "_v1_models": Reply(value={"data": [1]})},
        {"_v1_models": Reply(value={"models": [{}]}), "_models": Reply(value={"data": {}}), "_": Reply(value={})},
        {"_ping": Reply(content=b"<p>", content_type="text/html"), "_v2": Reply(content=b"{")},
    ],
)
def test_a_server_of_no_dialect_is_a_sentence(replies: dict[str, Reply]) -> None:
    """That names the way out; two texts were sent at most."""
    with odd_peer(serves(**replies)) as peer, pytest.raises(PeerLostError, match="--dialect, or its request with --bo"):
        find(peer.url)

    assert len(peer.posts()) <= 2
    assert len(peer.asked) <= 7


def test_nobody_at_the_address_is_a_sentence() -> None:
    """Without anything about dialects."""
    with pytest.raises(PeerLostError, match="cannot be reached: is it running"):
        find(f"http://127.0.0.1:{free_port()}")


def test_a_server_that_wants_a_token_is_a_sentence() -> None:
    """The first text shows it."""
    with odd_peer(lambda *_: Reply(401, {"error": "no"})) as peer, pytest.raises(PeerLostError, match="a token by"):
        find(peer.url)
