"""Valkey (or Redis 7+): hot state that may be lost without losing truth. Key map in docs/origin.md.

Rate limits are one atomic script per request: a token bucket for bursts (GCRA) and a window by UTC date for daily
quotas. A window's expiry is set once, when the key is made, never pushed out by a hit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from foundation.stores.errors import HotStateUnavailable

_PREFIX = "pr:"

# KEYS[1] window key; ARGV limit, cost, ttl seconds -> {allowed, used}
_WINDOW = """
local used = tonumber(redis.call('GET', KEYS[1]) or '0')
local limit, cost = tonumber(ARGV[1]), tonumber(ARGV[2])
if used + cost > limit then return {0, used} end
used = redis.call('INCRBY', KEYS[1], cost)
if used == cost then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
return {1, used}
"""

# GCRA. KEYS[1] theoretical arrival time, ms; ARGV interval ms per token, burst tokens, cost
# -> {allowed, remaining, wait ms}
_BUCKET = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local interval, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local next_tat = tat + interval * cost
local wait = next_tat - now - interval * burst
if wait > 0 then return {0, 0, math.ceil(wait)} end
redis.call('SET', KEYS[1], string.format('%.0f', next_tat), 'PX', math.ceil(next_tat - now) + 1000)
return {1, math.floor((interval * burst - (next_tat - now)) / interval), 0}
"""

# KEYS[1] window key. Never below zero, never a new key
_GIVE_BACK = """
if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then return {redis.call('DECR', KEYS[1])} end
return {0}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Answer of a limit, for RateLimit headers. `reset_s`: until the window ends or one more request would pass."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: int
    window_s: int


@asynccontextmanager
async def open_valkey(url: str, *, connections: int = 64) -> AsyncIterator[Redis]:
    """A client with a bounded pool and two retries; closed on leaving. Does not connect until used."""
    pool = BlockingConnectionPool.from_url(
        str.__str__(url),
        max_connections=connections,
        timeout=2,
        socket_timeout=5,
        socket_connect_timeout=2,
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), retries=2),
    )
    client = Redis(connection_pool=pool)
    try:
        yield client
    finally:
        await client.aclose()
        await pool.disconnect()


def _quota_key(what: str, who: str, now_s: float) -> str:
    return f"{_PREFIX}quota:{what}:{who}:{int(now_s) // 86_400}"


def _until_tomorrow_s(now_s: float) -> int:
    return 86_400 - int(now_s) % 86_400


def _of_day(*, limit: int, used: int, allowed: bool, now_s: float) -> Verdict:
    return Verdict(
        allowed=allowed,
        limit=limit,
        remaining=max(0, limit - used),
        reset_s=_until_tomorrow_s(now_s),
        window_s=86_400,
    )


class RateLimiter:
    """Limits shared by every origin process. All methods raise HotStateUnavailable."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._window = client.register_script(_WINDOW)
        self._bucket = client.register_script(_BUCKET)
        self._give_back = client.register_script(_GIVE_BACK)

    async def take_daily(self, *, what: str, who: str, limit: int, now_s: float, cost: int = 1) -> Verdict:
        """Count `cost` against today's (UTC) quota; nothing is counted when it does not fit."""
        allowed, used = await self._run(
            self._window, _quota_key(what, who, now_s), limit, cost, _until_tomorrow_s(now_s) + 3600
        )
        return _of_day(limit=limit, used=used, allowed=bool(allowed), now_s=now_s)

    async def look_daily(self, *, what: str, who: str, limit: int, now_s: float) -> Verdict:
        """Today's quota as it stands, nothing counted."""
        try:
            used = int(await self._client.get(_quota_key(what, who, now_s)) or 0)
        except RedisError as err:
            raise HotStateUnavailable("limits cannot be read right now, try again", retry_after_s=1) from err
        return _of_day(limit=limit, used=used, allowed=used < limit, now_s=now_s)

    async def give_back(self, *, what: str, who: str, now_s: float) -> None:
        """Undo one take of today (the request failed afterwards)."""
        await self._run(self._give_back, _quota_key(what, who, now_s))

    async def take_token(self, *, what: str, who: str, per_minute: int, burst: int, cost: int = 1) -> Verdict:
        """Take from a bucket that refills `per_minute` and holds `burst`."""
        key = f"{_PREFIX}rate:{what}:{who}"
        allowed, remaining, wait_ms = await self._run(self._bucket, key, 60_000 / per_minute, burst, cost)
        interval_s = 60 / per_minute
        reset_s = -(-wait_ms // 1000) if not allowed else max(1, round(interval_s))
        return Verdict(allowed=bool(allowed), limit=burst, remaining=remaining, reset_s=reset_s, window_s=60)

    async def _run(self, script: Any, key: str, *arguments: float) -> list[int]:
        try:
            return list(await script(keys=[key], args=list(arguments)))
        except RedisError as err:
            raise HotStateUnavailable("limits cannot be checked right now, try again", retry_after_s=1) from err
