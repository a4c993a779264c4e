"""Asking a server that does not do as it should: politely, in bounded time, and with one sentence each."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
import trustme

from labeld.comparison.address import read_address
from labeld.comparison.answers import Pass, PeerScore, Row
from labeld.comparison.dialects import DIALECTS, Asking
from labeld.comparison.errors import PeerLostError, TextFailedError
from labeld.comparison.load import GIVE_UP, run_pass
from labeld.comparison.peer import AskedPeer, HttpPeer
from labeld.errors import InvalidRequestError
from labeld.types import Text
from tests.support.odd_peers import OddPeer, Reply, odd_peer

GOOD = Reply(value=[[{"label": "a", "score": 0.75}, {"label": "b", "score": 0.25}]])
TOKEN = "hf_a-secret-of-the-operator"


def asked(peer: OddPeer, texts: int = 1, connections: int = 1, seconds: float = 30.0, **options: Any) -> Pass:
    """A pass over so many texts."""

    async def ask() -> Pass:
        async with HttpPeer(read_address(peer.url), connections=connections, **options) as client:
            client.deadline = time.monotonic() + seconds
            rows = {number: Row("f", number + 1, Text(f"text {number}")) for number in range(texts)}
            one = AskedPeer(client, DIALECTS["hosted"], Asking("org/model"))
            return await run_pass("The peer", one, rows, connections, seconds=seconds, on_done=lambda: None)

    return asyncio.run(ask())


def first_then(first: Reply, then: Reply = GOOD, times: int = 1) -> Callable[..., Reply]:
    """So many first replies, then others."""
    return lambda _method, _path, _value, before: first if before < times else then


def always(reply: Reply) -> Callable[..., Reply]:
    """One reply for all."""
    return lambda *_: reply


def test_each_text_is_asked_for_once() -> None:
    """In order, one text a request, with all labels, past the answer cache."""
    with odd_peer(always(GOOD)) as peer:
        done = asked(peer, texts=3)

    assert [PeerScore("a", 0.75), PeerScore("b", 0.25)] == list(done.answers[2].ranking)
    assert (3, {}, None) == (len(done.answers), done.failures, done.stopped)
    assert [{"inputs": f"text {number}", "parameters": {"top_k": None}} for number in range(3)] == peer.posts()
    assert {"/models/org/model"} == {path for _, path, _, _ in peer.asked}
    assert {"false"} == {headers["x-use-cache"] for _, _, headers, _ in peer.asked}


def test_never_more_connections_than_asked_for() -> None:
    """However many texts wait."""
    busy = most = 0

    def answer(*_: Any) -> Reply:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        time.sleep(0.02)
        busy -= 1
        return GOOD

    with odd_peer(answer) as peer:
        done = asked(peer, texts=30, connections=3)

    assert (30, 3) == (len(done.answers), most)


def test_a_model_that_loads_is_waited_for() -> None:
    """And the wait is not in the latency."""
    loading = Reply(503, {"error": "Model org/model is currently loading", "estimated_time": 0.2})
    with odd_peer(first_then(loading)) as peer:
        began = time.monotonic()
        done = asked(peer)

    assert 2 == len(peer.asked)
    assert done.answers[0].seconds < 0.9 < time.monotonic() - began


def test_another_503_is_not_repeated() -> None:
    """It is this text's failure."""
    with odd_peer(always(Reply(503, {"error": "overloaded"}))) as peer:
        done = asked(peer)

    assert 1 == len(peer.asked)
    assert {0: "The peer answers with status 503: overloaded."} == done.failures


def test_retry_after_is_respected_on_all_connections() -> None:
    """Nobody asks before it is over."""
    moments: list[float] = []

    def answer(_method: str, _path: str, _value: Any, before: int) -> Reply:
        moments.append(time.monotonic())
        return Reply(429, {"error": "slow down"}, {"retry-after": "1"}) if before == 0 else GOOD

    with odd_peer(answer) as peer:
        done = asked(peer, texts=4, connections=2)

    later = [moment - moments[0] for moment in moments]
    assert 4 == len(done.answers)
    assert [] == [moment for moment in later[3:] if moment < 0.9]  # the second connection may have asked already


def test_a_wait_that_is_too_long_ends_the_pass() -> None:
    """With what was answered before it."""
    with odd_peer(lambda *asked: GOOD if asked[3] < 2 else Reply(429, {}, {"retry-after": "3600"})) as peer:
        done = asked(peer, texts=9)

    assert (2, 3) == (len(done.answers), len(peer.asked))
    assert done.stopped == (
        "The peer has too many requests (429) and asks to wait 3600 s, which is longer than is left of --max-seconds."
    )


def test_a_date_says_how_long_to_wait() -> None:
    """As RFC 9110 has it, too; one that is over is no wait, and what is neither is a second."""
    later = formatdate(time.time() + 3600, usegmt=True)
    for value, sentence in ((later, " asks to wait 3"), (formatdate(0, usegmt=True), ""), ("soon", "")):
        with odd_peer(first_then(Reply(429, {}, {"retry-after": value}))) as peer:
            done = asked(peer)
        assert sentence in (done.stopped or "")
        assert bool(sentence) != bool(done.answers)


def test_a_certificate_that_nobody_trusts_is_a_sentence() -> None:
    """With the way out."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with odd_peer(always(GOOD), context) as peer:
        done = asked(peer)

    assert (0, []) == (len(done.answers), peer.asked)
    assert done.stopped is not None
    assert "has no certificate that this machine trusts: name its authority's file in SSL_CERT_FILE." in done.stopped


def test_refusals_without_end_are_a_failure() -> None:
    """One text is refused five times at most."""
    with odd_peer(always(Reply(429, {"error": "no"}, {"retry-after": "0"}))) as peer:
        done = asked(peer)

    assert ({0: "The peer answers with status 429: no."}, 6) == (done.failures, len(peer.asked))


def test_a_server_that_fails_again_and_again_is_left_alone() -> None:
    """After five failures in a row; a single one does no harm."""
    bad = Reply(500, {"error": {"message": "out of\nmemory"}})
    with odd_peer(lambda *asked: bad if asked[3] == 0 or asked[3] > 2 else GOOD) as peer:
        done = asked(peer, texts=100)

    assert (2, 1 + GIVE_UP, 3 + GIVE_UP) == (len(done.answers), len(done.failures), len(peer.asked))
    assert done.stopped == (
        "The peer failed 5 times in a row and is not asked any more: The peer answers with status 500: out of\\nmemory."
    )


def test_a_server_that_refuses_long_texts_is_not_left_alone() -> None:
    """Once it has answered one: then ten in a row are just such texts. One that refuses all is."""
    long = Reply(422, {"error": "too long"})
    with odd_peer(lambda *asked: GOOD if asked[3] in {0, 11} else long) as peer:
        done = asked(peer, texts=12)
    assert ([0, 11], 10, None) == (list(done.answers), len(done.failures), done.stopped)

    with odd_peer(always(long)) as peer:
        done = asked(peer, texts=12)
    assert (GIVE_UP, GIVE_UP) == (len(peer.asked), len(done.failures))
    assert done.stopped is not None


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(400, {"error": "too long"}), "The peer answers with status 400: too long."),
        (Reply(500, content=b"<h1>Oops", content_type="text/html"), "The peer answers with status 500."),
        (
            Reply(content=b"<h1>Hi", content_type="text/html"),
            "The reply is HTML, not JSON: give the address of the API.",
        ),
        (Reply(content=b"{"), "The reply is no JSON."),
        (Reply(content=b"[" * 100_000), "The reply is no JSON."),
        (Reply(content=b"\xff"), "The reply is no JSON."),
        (Reply(value={"ok": True}), 'The reply has no list of {"label", "score"}.'),
        (Reply(value=[], closes=True), "The peer breaks off the connection before its reply is whole."),
        (Reply(value=[], headers={"content-encoding": "gzip"}), "The peer sends a reply whose compression is broken."),
        (Reply(hangs=True), "The peer gives no answer within 0.3 s (--timeout)."),
        (Reply(content=b" " * 16_000_001), "The peer sends more than 16000000 bytes for one text."),
    ],
)
def test_a_text_that_is_not_answered_is_one_sentence(reply: Reply, sentence: str) -> None:
    """And the next text is asked for."""
    with odd_peer(first_then(reply)) as peer:
        done = asked(peer, texts=2, timeout=0.3 if reply.hangs else 30.0)

    assert ([0], [1], None) == (list(done.failures), list(done.answers), done.stopped)
    assert done.failures[0].startswith(sentence)


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(401, {"error": "who?"}), "The peer does not let this in (401): who?: give a token by --against-token"),
        (Reply(403, {}), "The peer does not let this in (403): give a token by --against-token-file."),
        (Reply(404, {"detail": "Not Found"}), "The peer does not answer at this address (404): Not Found."),
        (Reply(302, {}, {"location": "http://[::1"}), "The peer redirects to what is no address: give that address."),
        (Reply(307, {}, {"location": "https://u:p@else.example/x?key=1"}), "The peer redirects to https://else.exam"),
    ],
)
def test_a_server_that_answers_nobody_is_asked_once(reply: Reply, sentence: str) -> None:
    """Whatever the number of texts."""
    with odd_peer(always(reply)) as peer:
        done = asked(peer, texts=9)

    assert (1, {}) == (len(peer.asked), done.answers)
    assert done.stopped is not None
    assert done.stopped.startswith(sentence)
    assert "key" not in done.stopped
    assert "u:p" not in done.stopped


def test_a_token_goes_to_the_peer_and_into_no_sentence() -> None:
    """Not even if the peer repeats it; and not where it redirects to."""
    with odd_peer(always(Reply(500, {"error": f"bad {TOKEN}"}))) as peer:
        done = asked(peer, token=TOKEN)
    assert {f"Bearer {TOKEN}"} == {headers["authorization"] for _, _, headers, _ in peer.asked}
    assert {0: "The peer answers with status 500: bad …."} == done.failures

    with odd_peer(always(GOOD)) as elsewhere:
        location = {"location": f"{elsewhere.url}/models/org/model"}
        with odd_peer(always(Reply(308, {}, location))) as peer:
            asked(peer, token=TOKEN)
    assert [] == elsewhere.asked


def test_a_slow_server_ends_with_its_time() -> None:
    """And keeps what was answered; nothing goes on in the background."""

    def answer(_method: str, _path: str, _value: Any, before: int) -> Reply:
        time.sleep(0.0 if before < 3 else 0.4)
        return GOOD

    with odd_peer(answer) as peer:
        done = asked(peer, texts=50, seconds=0.9)
        count = len(peer.asked)
        time.sleep(0.5)

    assert count == len(peer.asked)
    assert 3 <= len(done.answers) < 10
    assert done.stopped == ("The peer could not answer all texts within --max-seconds: raise that, or lower --limit.")


def test_a_server_that_dies_ends_the_pass() -> None:
    """Its answers so far are kept."""
    with odd_peer(lambda *_: GOOD) as peer:

        async def ask() -> Pass:
            async with HttpPeer(read_address(peer.url)) as client:
                one = AskedPeer(client, DIALECTS["hosted"], Asking("m"))
                answer = await one(Text("a"))
                assert answer.ranking
                gone = AskedPeer(HttpPeer(read_address(f"http://127.0.0.1:{free_port()}")), one.dialect, one.asking)
                return await run_pass(
                    "The peer", gone, {0: Row("f", 1, Text("a"))}, 1, seconds=5.0, on_done=lambda: None
                )

        done = asyncio.run(ask())

    assert done.stopped is not None
    assert done.stopped.endswith(" cannot be reached: is it running?")


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_an_error_of_asking_is_of_a_text_or_of_all() -> None:
    """The two kinds that a pass knows."""
    assert not issubclass(PeerLostError, TextFailedError)
    assert not issubclass(TextFailedError, PeerLostError)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8080",
        "ftp://host/",
        "htp://host:8000",
        "http://",
        "http://host:99999",
        "http://user:word@host",
        "http://host/?key=1",
        "http://host/#x",
        "http://a b/",
        "",
    ],
)
def test_an_address_that_is_none_is_a_sentence(url: str) -> None:
    """Secrets in it are refused, too."""
    with pytest.raises(InvalidRequestError, match=r"^--against "):
        read_address(url)


@pytest.mark.parametrize(
    ("url", "dialect", "expected"),
    [
        ("http://h", "hosted", "http://h:80/models/org/m"),
        ("https://h/", "endpoint", "https://h:443/"),
        ("http://[::1]:8/x/", "tei", "http://[::1]:8/x/predict"),
        ("http://h/x/predict", "tei", "http://h:80/x/predict"),
        ("http://h/hf-inference/models/a/b", "hosted", "http://h:80/hf-inference/models/a/b"),
        ("http://h/my/own", "endpoint", "http://h:80/my/own"),
        ("http://h/v2/models/a/infer", "open-inference", "http://h:80/v2/models/a/infer"),
        ("http://h", "kserve", "http://h:80/v1/models/org/m:predict"),
    ],
)
def test_a_dialect_has_its_own_path(url: str, dialect: str, expected: str) -> None:
    """It is added to the address, unless it is there already."""
    assert expected == read_address(url).url_of(DIALECTS[dialect], "org/m")
