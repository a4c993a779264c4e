"""Clients that ask several models the same texts at once, leave in between, and check whose answers they get."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.lib.known import BAR, Scores

ANSWERS_WITHIN = 60.0
LEAVE_BEFORE, LEAVE_WITHIN = 0.10, 0.05
"""Shares of the requests whose client leaves before the answer, and within its own body."""
UNCACHED = 0.25
HOT = 24
"""Texts that most requests are about, so that the same ones are asked at the same time."""
MOST_TEXTS = 8


@dataclass
class Askers:
    """Clients of servers whose answers are known."""

    addresses: Sequence[tuple[str, int]]
    texts: Sequence[str]
    answers: Mapping[str, Sequence[Scores]]
    """Of each model to each text."""
    counts: Counter[str] = field(default_factory=Counter)
    """Texts answered `right`, `foreign` or `wrong`; requests that `failed`, were `refused`, or whose client `left`."""

    async def ask(self, dice: random.Random, address: tuple[str, int], requests: int) -> None:
        """One client, with so many requests on connections that it keeps where it can."""
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        for _ in range(requests):
            model, chosen, request = self._request(dice)
            try:
                async with asyncio.timeout(ANSWERS_WITHIN):
                    streams = streams or await asyncio.open_connection(*address)
                    if await _leaves(dice, streams[1], request):
                        self.counts["left"] += 1
                        streams[1].transport.abort()
                        streams = None
                        continue
                    streams[1].write(request)
                    status, body, is_last = await _reply(streams[0])
            except (OSError, EOFError, TimeoutError, ValueError):
                self.counts["failed"] += 1
                if streams:
                    streams[1].transport.abort()
                streams = None
                continue
            if is_last:
                streams[1].close()
                streams = None
            self._judge(model, chosen, status, body)
        if streams:
            streams[1].close()

    def _request(self, dice: random.Random) -> tuple[str, list[int], bytes]:
        model = dice.choice([*self.answers])
        among = min(HOT, len(self.texts)) if dice.random() < 0.7 else len(self.texts)
        chosen = [dice.randrange(among) for _ in range(dice.randint(1, MOST_TEXTS))]
        texts = [self.texts[index] for index in chosen]
        cache = "x-use-cache: 0\r\n" if dice.random() < UNCACHED else ""
        path, value = _spelling(dice, model, texts)
        body = json.dumps(value).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nx-wait-for-model: 1\r\n"
        return model, chosen, f"{head}{cache}content-length: {len(body)}\r\n\r\n".encode() + body

    def _judge(self, model: str, chosen: Sequence[int], status: int, body: bytes) -> None:
        if status in {429, 503}:
            self.counts["refused"] += 1
            return
        rankings = json.loads(body) if status == 200 else []
        if len(rankings) != len(chosen):
            self.counts["failed"] += 1
            return
        for index, ranking in zip(chosen, rankings, strict=True):
            found = {one["label"]: one["score"] for one in ranking}
            if _alike(found, self.answers[model][index]):
                self.counts["right"] += 1
            else:
                known = (one for answers in self.answers.values() for one in answers)
                self.counts["foreign" if any(_alike(found, one) for one in known) else "wrong"] += 1


def _spelling(dice: random.Random, model: str, texts: list[str]) -> tuple[str, Any]:
    """A path and a body by which a client asks for these texts' rankings."""
    kind = dice.random()
    if kind < 0.2:
        return "/predict", {"model": model, "inputs": [[text] for text in texts], "truncate": True}
    prefix = dice.choice(("/models/", "/hf-inference/models/", "/pipeline/text-classification/"))
    return f"{prefix}{model}", {"inputs": texts, "parameters": {"truncation": True}}


async def _leaves(dice: random.Random, writer: asyncio.StreamWriter, request: bytes) -> bool:
    """Whether this client leaves: within its request, or a moment after it."""
    chance = dice.random()
    if chance < LEAVE_WITHIN:
        writer.write(request[: len(request) - dice.randint(1, 20)])
    elif chance < LEAVE_WITHIN + LEAVE_BEFORE:
        writer.write(request)
    else:
        return False
    await asyncio.sleep(dice.random() / 200)
    return True


async def _reply(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length), b"\r\nconnection: close" in head


def _alike(found: Scores, expected: Scores) -> bool:
    return found.keys() == expected.keys() and all(abs(found[label] - expected[label]) <= BAR for label in expected)


def distinct(texts: Sequence[str], answers: Mapping[str, Sequence[Scores]]) -> list[int]:
    """Indexes of texts whose answers by all models differ from all others so far, well beyond the tolerance."""
    kept: list[int] = []
    seen: set[tuple[Any, ...]] = set()
    for index in range(len(texts)):
        keys = {
            tuple((label, round(score / (100 * BAR))) for label, score in sorted(its[index].items()))
            for its in answers.values()
        }
        near = {tuple((label, value + by) for label, value in key) for key in keys for by in (-1, 0, 1)}
        if len(keys) == len(answers) and not near & seen:
            kept.append(index)
            seen |= keys
    return kept
