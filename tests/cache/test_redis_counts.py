"""Requests per minute that servers count together in a real Redis; one that is gone is no error."""

import asyncio
from pathlib import Path

import pytest
import redis

from labeld.auth.errors import RateLimitedError
from labeld.cache import redis_counts, redis_link
from labeld.cache.redis_counts import RedisCounts
from labeld.config.load import load
from labeld.service.build import open_authenticator
from tests.support.redis_process import proxy_before


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no faulty Redis."""
    for module in (redis_link, redis_counts):
        monkeypatch.setattr(module, "LIMIT", 10.0)


async def opened(redis_url: str) -> RedisCounts:
    """Counts that are connected."""
    counts = RedisCounts(redis_url)
    await counts.open()
    return counts


@pytest.mark.usefixtures("_patient")
def test_servers_count_one_window_together(redis_url: str) -> None:
    """Each number is given once, whoever asks, also when all ask at once; the window ends for all at the same time."""

    async def main() -> None:
        one, other = await opened(redis_url), await opened(redis_url)
        asked = [source.count("a", 60.0) for _ in range(50) for source in (one, other)]
        found = await asyncio.gather(*asked)
        numbers = sorted(each[0] for each in found if each)
        assert list(range(1, 101)) == numbers
        assert all(each and 50 < each[1] <= 60 for each in found)
        assert 1 == (await other.count("b", 0.05) or (9,))[0]
        await asyncio.sleep(0.06)
        assert 1 == (await one.count("b", 0.05) or (9,))[0]
        for each in (one, other):
            await each.close()

    asyncio.run(main())
    with redis.Redis.from_url(redis_url) as client:
        assert all(0 < client.pttl(name) <= 60_000 for name in client.scan_iter())


@pytest.mark.parametrize("fault", ["stall", "reset", "close", "half", "garbage"])
def test_a_faulty_redis_counts_nothing_and_is_used_again_when_it_is_mended(redis_url: str, fault: str) -> None:
    """Nothing is raised, hardly anybody waits, and later it counts on."""

    async def main() -> None:
        async with proxy_before(redis_url) as (proxy, address), asyncio.timeout(20):
            counts = await opened(address)
            assert await counts.count("a", 60.0)
            proxy.mode = fault
            assert {None} == {await counts.count("a", 60.0) for _ in range(100)}
            proxy.mode = "pass"
            while not (counted := await counts.count("a", 60.0)):
                await asyncio.sleep(0.02)
            assert counted[0] >= 2
            await counts.close()

    asyncio.run(main())


@pytest.mark.usefixtures("_patient")
def test_two_servers_with_one_cache_share_a_limit(redis_url: str, tmp_path: Path) -> None:
    """A token may send its requests to either of them, and no more in all."""

    async def main() -> None:
        settings = load({"tokens_db": str(tmp_path / "tokens.sqlite3"), "cache": redis_url}, {})
        async with open_authenticator(settings) as one, open_authenticator(settings) as other:
            limited, _ = await one.create("limited", per_minute=3)
            for source in (one, other, one):
                await source.admit(limited)
            for source in (one, other):
                with pytest.raises(RateLimitedError, match="may send 3 requests per minute"):
                    await source.admit(limited)

    asyncio.run(main())
