"""Shards move to another database while people act: nobody sees an error, nothing is lost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from foundation.settings import Secret
from foundation.stores.postgres import PoolLimits, Shards
from foundation.stores.shard_map import Family, PostgresServer, shard_of
from origin.shards import ShardMover
from popreel.embedded.object_store import ObjectStoreAccess
from tests.origin_harness import OPERATOR, SERVICE, Origin, origin_settings, quick_encoder, running


@pytest.fixture
def databases(postgres_database: Callable[[], str]) -> tuple[str, str]:
    return postgres_database(), postgres_database()


async def test_moving_shards_under_load_loses_nothing_and_fails_nobody(
    tmp_path: Path, databases: tuple[str, str], valkey_url: str, object_store: ObjectStoreAccess
) -> None:
    servers = (
        PostgresServer(name="old", dsn=Secret(databases[0]), videos="0-63", users="0-31"),
        PostgresServer(name="new", dsn=Secret(databases[1])),
    )
    settings = origin_settings(tmp_path, servers, valkey_url, object_store, pool_size=20)
    async with running(settings, encoder=quick_encoder) as origin:
        people = [await origin.person() for _ in range(6)]
        videos = [await origin.published(person, title="moving", hashtags=["move"]) for person in people]
        likes: dict[tuple[str, str], bool] = {}
        comments: dict[str, int] = dict.fromkeys(videos, 0)
        views: dict[str, int] = dict.fromkeys(videos, 0)
        follows: set[tuple[str, str]] = set()
        stop = asyncio.Event()

        async def act(index: int) -> None:
            person, number = people[index], 0
            while not stop.is_set():
                number += 1
                video, other = random.choice(videos), people[(index + 1) % len(people)]
                on = random.random() < 0.6
                await origin.ok("POST" if on else "DELETE", f"/api/v1/videos/{video}/like", person)
                likes[person.id, video] = on
                assert (await origin.ok("GET", f"/api/v1/videos/{video}", person))["liked"] is on
                if number % 5 == 0:
                    await origin.ok("POST", f"/api/v1/videos/{video}/comment", person, json={"text": "hi"})
                    comments[video] += 1
                if number == 10:
                    await origin.ok("POST", f"/api/v1/users/{other.id}/follow", person)
                    follows.add((person.id, other.id))
                await watch(origin, f"{index}-{number}", video)
                views[video] += 1

        async with asyncio.TaskGroup() as tasks:
            for index in range(len(people)):
                tasks.create_task(act(index))
            await move_all(origin, videos[:3], people[0].id)
            fresh = await origin.published(people[0], title="after the move")
            stop.set()

        for video in videos:
            seen = await origin.ok("GET", f"/api/v1/videos/{video}")
            expected = sum(on for (_, liked), on in likes.items() if liked == video)
            assert (seen["likeCount"], seen["commentCount"], seen["viewCount"]) == (
                expected,
                comments[video],
                views[video],
            )
        found = await origin.ok("GET", "/api/v1/hashtag/move/videos?limit=50")
        assert {entry["id"] for entry in found["videos"]} == set(videos)
        assert fresh
        await nothing_left_behind(databases[0], videos[:3])


async def watch(origin: Origin, event_id: str, video: str) -> None:
    """As a PoP does: the same batch again until it is taken."""
    event = {
        "eventId": event_id,
        "viewer": "d:x",
        "popId": "p",
        "receivedAtMs": int(time.time() * 1000),
        "report": {"videoId": video, "watchDuration": 1000, "totalDuration": 1000},
    }

    async def taken() -> bool:
        body = {"batchId": "b", "events": [event]}
        return (await origin.call("POST", "/internal/v1/events", SERVICE, json=body))[0] == 200

    await origin.eventually(taken)


async def move_all(origin: Origin, videos: list[str], person: str) -> None:
    """The shards of all these, as `popreel shards move` does."""
    shards = Shards(origin.settings.postgres, limits=PoolLimits(size=2))
    await shards.open()
    try:
        mover = ShardMover(shards)
        for shard in sorted({shard_of(Family.VIDEO, int(video)) for video in videos}):
            await mover.move(Family.VIDEO, shard, "new")
        await mover.move(Family.USER, shard_of(Family.USER, int(person)), "new")
    finally:
        await shards.close()


async def nothing_left_behind(dsn: str, videos: list[str]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        ids = [int(video) for video in videos]
        for table in ("video_counters", "engagements", "comments", "watch_events", "counter_journal"):
            count = await connection.fetchval(f"select count(*) from {table} where video_id = any($1)", ids)
            assert count == 0, table
    finally:
        await connection.close()


async def test_rows_that_a_broken_move_left_behind_stop_an_erasure_until_they_are_gone(
    tmp_path: Path, databases: tuple[str, str], valkey_url: str, object_store: ObjectStoreAccess
) -> None:
    servers = (
        PostgresServer(name="one", dsn=Secret(databases[0]), videos="0-63", users="0-15"),
        PostgresServer(name="two", dsn=Secret(databases[1]), users="16-31"),
    )
    settings = origin_settings(tmp_path, servers, valkey_url, object_store, job_tries=1000)
    async with running(settings, encoder=quick_encoder) as origin:
        leaver, follower = await origin.person(), await origin.person()
        await origin.ok("POST", f"/api/v1/users/{leaver.id}/follow", follower)
        own, other = databases if shard_of(Family.USER, int(follower.id)) < 16 else databases[::-1]
        truth, copy = await asyncpg.connect(own), await asyncpg.connect(other)
        try:
            row = await truth.fetchrow("select * from follows where follower_id = $1", int(follower.id))
            assert row is not None
            await copy.copy_records_to_table("follows", records=[tuple(row.values())], columns=list(row.keys()))
            await origin.ok("POST", "/api/v1/users/me/delete", leaver, json={})

            async def stopped() -> bool:
                query = "select count(*) from jobs where kind = 'erase-user' and error like '%shard that moved away%'"
                return await truth.fetchval(query) + await copy.fetchval(query) == 1

            await origin.eventually(stopped)
            assert not await truth.fetchval("select count(*) from follows where followee_id = $1", int(leaver.id))
            await copy.execute("delete from follows where followee_id = $1", int(leaver.id))

            async def erased() -> bool:
                state = await origin.ok("GET", f"/api/v1/admin/users/{leaver.id}/erasure", OPERATOR)
                return state["state"] == "erased"

            await origin.eventually(erased)
        finally:
            await truth.close()
            await copy.close()
