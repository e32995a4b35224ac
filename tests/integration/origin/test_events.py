"""Batches of watch events while a part of the database cannot take them: the rest is stored, nothing counts twice."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from foundation.stores.shard_map import Family, shard_of
from tests.origin_harness import SERVICE, Json, Origin

pytestmark = pytest.mark.asyncio(loop_scope="module")


def event(event_id: str, video: str) -> Json:
    return {
        "eventId": event_id,
        "viewer": "d:someone",
        "popId": "p",
        "receivedAtMs": int(time.time() * 1000),
        "report": {"videoId": video, "watchDuration": 1000, "totalDuration": 2000},
    }


async def two_shards(origin: Origin) -> tuple[str, str]:
    """Two videos of different shards."""
    ada = await origin.person()
    first = await origin.published(ada, title="first")
    while True:
        second = await origin.published(ada, title="second")
        if shard_of(Family.VIDEO, int(first)) != shard_of(Family.VIDEO, int(second)):
            return first, second


@asynccontextmanager
async def being_moved(origin: Origin, video: str) -> AsyncIterator[None]:
    """The video's shard is locked as ShardMover locks it while it copies."""
    connection = await asyncpg.connect(str.__str__(origin.settings.postgres[0].dsn))
    shard = shard_of(Family.VIDEO, int(video))
    try:
        await connection.execute("select pg_advisory_lock(7701, $1)", shard)
        yield
        await connection.execute("select pg_advisory_unlock(7701, $1)", shard)
    finally:
        await connection.close()


async def views(origin: Origin, video: str) -> int:
    return int((await origin.ok("GET", f"/api/v1/videos/{video}"))["viewCount"])


async def test_while_a_shard_moves_the_others_are_stored_and_its_events_are_named(origin: Origin) -> None:
    still, moving = await two_shards(origin)
    events = [event("a", moving), event("b", still), event("c", moving), event("d", still)]
    body = {"batchId": "b1", "events": events, "partly": True}
    async with being_moved(origin, moving):
        receipt = await origin.ok("POST", "/internal/v1/events", SERVICE, json=body)
        assert receipt == {"accepted": 2, "duplicates": 0, "waiting": [0, 2]}
        whole = {"batchId": "b2", "events": events}
        status, problem = await origin.call("POST", "/internal/v1/events", SERVICE, json=whole)
        assert (status, problem["code"]) == (503, "shard-unavailable")  # a sender that does not read `waiting`
    receipt = await origin.ok("POST", "/internal/v1/events", SERVICE, json=body)
    assert receipt == {"accepted": 2, "duplicates": 2, "waiting": []}

    async def counted() -> bool:
        return (await views(origin, still), await views(origin, moving)) == (2, 2)

    await origin.eventually(counted)
