"""Copies by batches come to what they come to one record at a time, however often a batch is handled again."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg
import msgspec
import pytest

from foundation.settings import Secret
from foundation.stores.outbox import Record
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family, PostgresServer, shard_of
from origin.consumers import FOLLOW_CHANGED, NOTIFY, USER_LIKES
from origin.copies import Copies, fold
from origin.engagement.engagement_store import ENGAGED
from origin.lifecycle.announcements import VIDEO_FAILED, VIDEO_READY, VIDEO_STATE
from origin.migrate import migrate_all

PEOPLE = range(1, 9)
NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)


def record(seq: int, topic: str, **body: Any) -> Record:
    return Record(seq=seq, topic=topic, key="k", payload=msgspec.json.encode(body).decode(), created_at=NOW)


def random_records(count: int, *, seed: int) -> list[Record]:
    """Few people and few videos, so that records meet again and again."""
    rng, versions = random.Random(seed), dict.fromkeys(range(100, 106), 0)
    records = []
    for seq in range(1, count + 1):
        user, other, video = str(rng.choice(PEOPLE)), str(rng.choice(PEOPLE)), rng.choice(list(versions))
        owner, on = str(video % len(PEOPLE) + 1), rng.random() < 0.6
        match rng.choice((ENGAGED, FOLLOW_CHANGED, USER_LIKES, VIDEO_STATE, VIDEO_READY, VIDEO_FAILED, NOTIFY)):
            case "engagement.changed" as topic:
                kind = rng.choice(("like", "bookmark"))
                body = {"userId": user, "videoId": str(video), "kind": kind, "ownerId": owner, "on": on}
            case "follow.changed" as topic:
                body = {"followerId": user, "followeeId": other, "on": on}
            case "user.likes" as topic:
                body = {"userId": user, "likes": rng.randint(-3, 5)}
            case "video.state" as topic:
                versions[video] += 1
                state, visibility = rng.choice(("processing", "ready", "deleted")), rng.choice(("public", "private"))
                body = {"ownerId": owner, "videoId": str(video), "state": state, "visibility": visibility}
                body |= {"version": versions[video], "soundId": str(video % 2 + 500)}
            case "notify" as topic:
                body = {"userId": user, "kind": "follow-request", "payload": {"userId": other}}
            case topic:
                body = {"ownerId": owner, "videoId": str(video), "title": "t", "reason": "r"}
        records.append(record(seq, topic, **body))
    return records


TABLES = {
    "users": "select id, videos, followers, likes, likes_seq from users",
    "user_videos": "select * from user_videos",
    "followers": "select followee_id, follower_id from followers",
    "user_engagements": "select user_id, kind, video_id from user_engagements",
    "notifications": "select id, user_id, kind, payload from notifications",
    "sounds": "select id, uses from sounds",
    "sound_uses": "select * from sound_uses",
}


async def outcome(dsn: str, batches: Sequence[Sequence[Record]]) -> dict[str, set[tuple[Any, ...]]]:
    """The tables of a fresh database after these batches."""
    servers = (PostgresServer(name="pg1", dsn=Secret(dsn)),)
    await migrate_all(servers)
    connection = await asyncpg.connect(dsn)
    shards = Shards(servers)
    await shards.open()
    try:
        rows = [(user, shard_of(Family.USER, user), f"u{user}", f"u{user}") for user in PEOPLE]
        await connection.copy_records_to_table(
            "users", records=rows, columns=["id", "shard", "username", "display_name"]
        )
        await connection.copy_records_to_table("sounds", records=[(500, "a"), (501, "b")], columns=["id", "title"])
        copies = Copies(shards)
        for batch in batches:
            await copies.handle(batch)
        return {name: {tuple(row.values()) for row in await connection.fetch(query)} for name, query in TABLES.items()}
    finally:
        await shards.close()
        await connection.close()


@pytest.fixture
def dsns(postgres_database: Callable[[], str]) -> list[str]:
    return [postgres_database() for _ in range(3)]


@pytest.mark.parametrize("seed", [1, 2])
async def test_batches_singles_and_repeats_come_to_the_same(dsns: list[str], seed: int) -> None:
    records = random_records(400, seed=seed)
    singly = await outcome(dsns[0], [[one] for one in records])
    assert all(singly.values()), "the records must touch every table"
    assert await outcome(dsns[1], [records[:150], records[150:]]) == singly
    # a batch that broke off half-way is handled again whole
    repeated = [records[:150], records[:150], records[150:160], records[150:], records[150:]]
    assert await outcome(dsns[2], repeated) == singly


def test_a_batch_folds_to_the_last_state_and_tells_every_like() -> None:
    like = {"userId": "1", "videoId": "100", "kind": "like", "ownerId": "2"}
    states = (True, False, True)
    records = [record(seq, ENGAGED, **like, on=on) for seq, on in enumerate(states, start=1)]
    changes = fold(records, lambda user: f"pg{user}")
    assert changes.users["pg1"].engagements == {(1, "like", 100): NOW}
    assert [seq for _, seq, _, _ in changes.users["pg2"].notes] == [1, 3]
    assert fold([record(1, "another.topic", x=1)], lambda user: "pg1").users == {}
