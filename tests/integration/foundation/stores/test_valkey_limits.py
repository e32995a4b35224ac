"""Limits are atomic: a crowd gets exactly what is allowed."""

from __future__ import annotations

import asyncio

from foundation.stores.valkey import RateLimiter, open_valkey


async def test_a_crowd_gets_exactly_the_days_quota_and_the_window_ends_by_date(valkey_url: str) -> None:
    async with open_valkey(valkey_url) as client:
        limiter = RateLimiter(client)
        noon_s = 20_000 * 86_400 + 43_200.0

        async def take(now_s: float = noon_s) -> bool:
            return (await limiter.take_daily(what="likes", who="1", limit=50, now_s=now_s)).allowed

        assert sum(await asyncio.gather(*(take() for _ in range(200)))) == 50
        verdict = await limiter.take_daily(what="likes", who="1", limit=50, now_s=noon_s)
        assert (verdict.allowed, verdict.remaining, verdict.reset_s) == (False, 0, 43_200)
        await limiter.give_back(what="likes", who="1", now_s=noon_s)
        assert [await take(), await take()] == [True, False]
        assert await take(noon_s + 43_200) is True
        lives = [await client.ttl(key) async for key in client.scan_iter("pr:quota:*")]
        assert all(0 < ttl <= 86_400 + 3_600 for ttl in lives)


async def test_a_bucket_allows_its_burst_then_its_rate(valkey_url: str) -> None:
    async with open_valkey(valkey_url) as client:
        limiter = RateLimiter(client)
        verdicts = await asyncio.gather(
            *(limiter.take_token(what="login", who="x", per_minute=60, burst=10) for _ in range(30))
        )
        assert sum(verdict.allowed for verdict in verdicts) in (10, 11)  # one more if a second passed
        refused = next(verdict for verdict in verdicts if not verdict.allowed)
        assert (refused.remaining, refused.limit) == (0, 10)
        assert 1 <= refused.reset_s <= 2
