"""Servers that are there: a second labeld in each dialect, and their processes."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from labeld.comparison.address import read_address
from labeld.comparison.answers import Answer
from labeld.comparison.detection import tensors_of
from labeld.comparison.dialects import DIALECTS, Asking
from labeld.comparison.labels import LabelMatch
from labeld.comparison.peer import AskedPeer, HttpPeer
from labeld.comparison.processes import listening_process, own_memory, seen_process
from labeld.types import Text
from tests.support.server_process import Server
from tests.support.tiny_models import NAMES, TEXTS

TEXT = TEXTS[0]
PAIR = (TEXT, "the market fell")
LONG = "film " * 600


def ask(server: Server, dialect: str, *texts: Text, truncation: bool = False, model: str = "org/bert") -> list[Answer]:
    """The answers of a server in a dialect, with the model's labels."""

    async def asking() -> list[Answer]:
        async with HttpPeer(read_address(server.url)) as peer:
            tensors = await tensors_of(peer, model)
            one = AskedPeer(peer, DIALECTS[dialect], Asking(model, truncation, tensors), LabelMatch(labels(), {}))
            return [await one(text) for text in texts]

    return asyncio.run(asking())


def labels() -> list[str]:
    """Those of org/bert, in the order of their ids."""
    return [NAMES[index] for index in sorted(NAMES)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_labeld_answers_in_each_dialect(server: Server, dialect: str, expected: Callable[..., Any]) -> None:
    """All labels with transformers' scores, with the tokens that were read."""
    texts = [one for one in TEXTS if one]
    found = ask(server, dialect, *map(Text, texts))

    for answer, (reference,) in zip(found, [expected("org/bert", [text]) for text in texts], strict=True):
        assert [one["label"] for one in reference] == [one.label for one in answer.ranking]
        assert [one.score for one in answer.ranking] == pytest.approx([one["score"] for one in reference], abs=1e-5)
        assert answer.tokens is not None
        assert answer.tokens > 2


@pytest.mark.parametrize("dialect", [name for name, one in DIALECTS.items() if one.takes_pairs])
def test_pairs_are_asked_for_as_pairs(server: Server, dialect: str, expected: Callable[..., Any]) -> None:
    """In each dialect that has any."""
    ((reference,), (answer,)) = (
        expected("org/bert", [{"text": PAIR[0], "text_pair": PAIR[1]}]),
        ask(server, dialect, Text(*PAIR)),
    )

    assert [one.score for one in answer.ranking] == pytest.approx([one["score"] for one in reference], abs=1e-5)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_long_texts_are_cut_where_that_is_asked_for(server: Server, dialect: str, expected: Callable[..., Any]) -> None:
    """To the model's own limit."""
    (reference,) = expected("org/bert", [LONG], truncation=True)
    (answer,) = ask(server, dialect, Text(LONG), truncation=True)

    assert [one.score for one in answer.ranking] == pytest.approx([one["score"] for one in reference], abs=1e-5)


def test_the_process_that_listens_is_found(server: Server) -> None:
    """With the memory of its workers, and the cores that it may use."""
    seen = listening_process(server.address[1])

    assert seen is not None
    assert seen.pid == server.process.pid
    assert seen.cores == len(os.sched_getaffinity(seen.pid))
    assert seen.memory is not None
    alone = seen_process(os.getpid())
    assert alone is not None
    assert seen.memory > 20_000_000


def test_nobody_listens_on_a_free_port() -> None:
    """No process is made up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        seen = listening_process(port)
        assert seen is not None
        assert seen.pid == os.getpid()

    assert listening_process(port) is None
    assert seen_process(2**22 + 1) is None


def test_memory_counts_what_a_process_has_started() -> None:
    """Of pages that both share each its part."""
    code = "import sys; block = bytearray(60_000_000); print(1, flush=True); sys.stdin.read()"
    before = seen_process(os.getpid())
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        after = seen_process(os.getpid())
        child.communicate()

    assert before is not None
    assert after is not None
    assert before.memory is not None
    assert after.memory is not None
    assert after.memory - before.memory > 50_000_000
    assert own_memory() > 0
