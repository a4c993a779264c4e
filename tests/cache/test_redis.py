"""Answers shared through a real Redis; one that is slow, dead, full or lying is no error and no wrong answer."""

import asyncio
import random
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import redis
import requests

from labeld.cache.redis import MOST_WAITING, RedisStore
from labeld.config.load import load
from labeld.errors import SettingsError
from labeld.service.build import open_cache
from labeld.types import Answer
from tests.support.redis_process import proxy_before, redis_server
from tests.support.server_process import Server, serving

FAULTS = ["slow", "late", "stall", "reset", "close", "half", "garbage"]


def key(number: int) -> bytes:
    """A key."""
    return number.to_bytes(32, "big")


def answer(number: int) -> Answer:
    """An answer with this number in it."""
    return Answer(b'[{"label":"%d","score":1.0}]' % number, number / 4)


async def until(question: Callable[[], Awaitable[object]]) -> None:
    """Asks until the answer is true."""
    async with asyncio.timeout(20):
        while not await question():
            await asyncio.sleep(0.02)


async def found(store: RedisStore, *numbers: int) -> dict[bytes, Answer]:
    """What a store has of these keys: asked again while it has nothing, since a busy machine is a slow Redis, too."""
    answers: dict[bytes, Answer] = {}

    async def asked() -> bool:
        answers.update(await store.get(map(key, numbers)))
        return bool(answers)

    await until(asked)
    return answers


async def opened(redis_url: str, secret: str = "", ttl: float = 60.0) -> RedisStore:
    """A store that is connected."""
    store = RedisStore(redis_url, secret, ttl)
    await store.open()
    return store


async def kept(store: RedisStore, *numbers: int) -> None:
    """Puts answers until they are there."""

    async def there() -> bool:
        store.put({key(number): answer(number) for number in numbers})
        return len(await store.get(map(key, numbers))) == len(numbers)

    await until(there)


def test_what_one_keeps_another_finds(redis_url: str) -> None:
    """Byte for byte, and only what is there; Redis forgets it in time."""

    async def main() -> None:
        one, other = await opened(redis_url, ttl=60.0), await opened(redis_url)
        await kept(one, 1, 2)

        assert {key(1): answer(1), key(2): answer(2)} == await found(other, 1, 2, 3)
        for store in (one, other):
            await store.close()

    asyncio.run(main())
    with redis.Redis.from_url(redis_url) as client:
        assert all(0 < client.pttl(name) <= 60_000 for name in client.scan_iter())


def test_a_value_that_was_tampered_with_is_a_miss(redis_url: str) -> None:
    """Swapped, cut, changed, of another type, or signed with another secret; the rest is found."""

    async def main() -> None:
        store, other = await opened(redis_url, "ours"), await opened(redis_url, "theirs")
        await kept(other, 6)
        await kept(store, 1, 2, 3, 4, 5)
        with redis.Redis.from_url(redis_url) as client:
            names = [f"labeld:{key(number).hex()}" for number in range(1, 7)]
            values = client.mget(names)
            client.set(names[0], values[1])
            client.set(names[1], values[1][:-1])
            client.set(names[2], values[2].replace(b'"3"', b'"9"'))
            client.delete(names[3])
            client.rpush(names[3], values[3])

        assert {key(5): answer(5)} == await found(store, *range(1, 7))
        assert {key(6): answer(6)} == await found(other, *range(1, 7))
        for one in (store, other):
            await one.close()

    asyncio.run(main())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_redis_is_a_miss_and_is_used_again_when_it_is_mended(redis_url: str, fault: str) -> None:
    """Nothing is raised and nothing wrong is answered; while it is faulty hardly anybody asks it."""

    async def main() -> None:
        async with proxy_before(redis_url) as (proxy, address):
            store = await opened(address)
            await kept(store, 1)
            proxy.mode = fault
            waited = 0
            for _ in range(200):
                asked = asyncio.create_task(store.get([key(1)]))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                waited += not asked.done()
                assert {} == await asked
                store.put({key(2): answer(2)})
            assert 1 <= waited <= 3
            proxy.mode = "pass"

            assert {key(1): answer(1)} == await found(store, 1)
            await store.close()

    asyncio.run(main())


def test_a_redis_that_is_not_there_is_found_when_it_comes(redis_url: str) -> None:
    """At the start, and all the while that it refuses connections."""

    async def main() -> None:
        async with proxy_before(redis_url) as (proxy, address):
            proxy.mode = "reset"
            store = await opened(address)
            assert {} == await store.get([key(1)])
            proxy.mode = "pass"

            await kept(store, 1)
            await store.close()

    asyncio.run(main())


def test_nobody_gets_another_ones_answer(redis_url: str) -> None:
    """Hundreds of askers, half of whom leave at any moment, through a Redis that answers late or not at all."""

    async def main() -> tuple[int, int]:
        right = wrong = 0

        async def ask(store: RedisStore, number: int) -> None:
            nonlocal right, wrong
            found = await store.get([key(number)])
            right += found == {key(number): answer(number)}
            wrong += found not in ({}, {key(number): answer(number)})

        async with proxy_before(redis_url) as (proxy, address):
            store = await opened(address)
            await kept(store, *range(50))
            for turn in range(400):
                if turn >= 40 and right > 50:  # a busy machine makes Redis late by itself
                    break
                proxy.mode = random.Random(turn).choice(["pass"] * 6 + ["late", "half"])
                tasks = [asyncio.create_task(ask(store, number)) for number in range(50)]
                await asyncio.sleep(random.random() / 200)
                for task in tasks[::2]:
                    task.cancel()
                await asyncio.wait(tasks)
                await asyncio.sleep(0.02)
            await store.close()
        return right, wrong

    right, wrong = asyncio.run(main())
    assert right > 50
    assert 0 == wrong


def test_a_full_redis_still_answers(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """It refuses to keep more, which is said once, and is read."""

    async def main() -> None:
        store = await opened(redis_url)
        await kept(store, 1)
        with redis.Redis.from_url(redis_url) as client:
            client.config_set("maxmemory", 1)
            for number in range(2, 5):
                store.put({key(number): answer(number)})
                await until(lambda: store.get([key(1)]))
            client.config_set("maxmemory", 0)
        assert {} == await store.get([key(2)])
        await kept(store, 2)
        await store.close()

    asyncio.run(main())
    assert 1 == caplog.text.count("keeps no answers")


def test_what_waits_to_be_kept_is_bounded(redis_url: str) -> None:
    """More than the bound at once: the rest is dropped, and the store goes on."""

    async def main() -> None:
        store = await opened(redis_url)
        big = Answer(b"x" * (MOST_WAITING // 4), 1.0)
        store.put({key(number): big for number in range(100, 110)})
        await kept(store, 1)
        await store.close()

    asyncio.run(main())
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() <= 4


@pytest.mark.parametrize("address", ["http://127.0.0.1", "127.0.0.1:6379", "redis://:hf_secret@host:port/0", ""])
def test_an_address_that_is_none_stops_the_start(address: str) -> None:
    """With the setting's name, and without what it is."""
    with pytest.raises(SettingsError, match=r"^The setting cache is not the address of a Redis") as refused:
        asyncio.run(open_cache(load({"cache": address}, {}).answers))

    assert "hf_secret" not in str(refused.value)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """redis-py is needed only by those who use it."""
    monkeypatch.delitem(sys.modules, "labeld.cache.redis")
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)

    asyncio.run(open_cache(load({}, {}).answers))
    with pytest.raises(SettingsError, match=re.escape("pip install 'labeld[redis]'")):
        asyncio.run(open_cache(load({"cache": "redis://127.0.0.1"}, {}).answers))


def ask(server: Server, text: str) -> requests.Response:
    """A reply for a text, with a token."""
    headers = {"Authorization": "Bearer hf_canary"}
    reply = server.post("/models/org/bert", json={"inputs": text}, headers=headers)
    assert 200 == reply.status_code, reply.text
    return reply


def computed(reply: requests.Response) -> bool:
    """Whether a reply was computed."""
    return reply.headers["x-compute-type"] != "cache"


@pytest.mark.redis
def test_two_servers_share_answers_through_redis(models_dir: Path, tmp_path: Path) -> None:
    """The second answers what the first has computed; when Redis dies both go on; nothing is there in the clear."""
    arguments = ("org/bert", "--models-dir", str(models_dir), "--threads", "1")
    for name in ("redis", "a", "b"):
        (tmp_path / name).mkdir()
    with redis_server(tmp_path / "redis") as redis_url:
        secret = {"LABELD_CACHE": redis_url.replace("//", "//:@"), "LABELD_CACHE_SECRET": "canary"}
        with serving(tmp_path / "a", *arguments, **secret) as one, serving(tmp_path / "b", *arguments, **secret) as two:
            texts = iter(f"canary {number}" for number in range(50))
            for text in texts:  # NOTE: on a busy machine an exchange may come too late once
                first, second = ask(one, text), ask(two, text)
                if not computed(second):
                    break
            assert [True, False] == [computed(first), computed(second)]
            assert (first.content, first.headers["x-sha"]) == (second.content, second.headers["x-sha"])
            assert first.headers["x-compute-time"] == second.headers["x-compute-time"]
            assert 'labeld_cache_texts_total{result="redis"} 1.0' in two.get("/metrics").text
            with redis.Redis.from_url(redis_url) as client:
                dump = b"".join(name + client.get(name) for name in client.scan_iter())
                assert b"label" in dump
                assert b"canary" not in dump
                client.flushall()
            assert not computed(ask(two, text))

            with redis.Redis.from_url(redis_url) as client:
                client.shutdown(nosave=True)

            assert [True, False] == [computed(ask(two, "after")), computed(ask(two, "after"))]
            assert not computed(ask(one, text))
            logs = one.log.read_text() + two.log.read_text()
            assert "Traceback" not in logs
            assert "hf_canary" not in logs


def test_a_dead_redis_does_not_stop_the_start(models_dir: Path, tmp_path: Path) -> None:
    """One warning without the password, and requests are answered and cached."""
    dead = {"LABELD_CACHE": "redis://:canary@127.0.0.1:1/0"}
    with serving(tmp_path, "org/bert", "--models-dir", str(models_dir), **dead) as server:
        assert [True, False] == [computed(ask(server, "a")), computed(ask(server, "a"))]

    assert 1 == server.log.read_text().count("The shared answer cache fails (ConnectionError)")
    assert "canary" not in server.log.read_text()
