"""Likes, bookmarks and shares: a row, a journal entry and an outbox record in one transaction.

Counters are never read, added to and written back: an action inserts its increment into `counter_journal` only when
its own row changed, and the flusher (counters.py) moves journal rows into totals in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from foundation.ids import UserId, VideoId
from foundation.stores.outbox import append
from foundation.stores.postgres import Connection, Shards, affected
from foundation.stores.shard_map import Family, shard_of

ENGAGED = "engagement.changed"
SHARED = "engagement.shared"

# Row, journal entry and outbox record in one statement: a like is one round trip inside its transaction. The video's
# row lock orders it with a delete of the video; the record is made of the changed row, so records of one engagement
# leave in the order of its changes.
_COUNTED = """counted as (
    insert into counter_journal (video_id, shard, likes, bookmarks)
    select $1, $4, $7::int * ($3 = 'like')::int, $7::int * ($3 = 'bookmark')::int from changed),
told as (insert into outbox (topic, key, payload) select 'engagement.changed', $5, $6::jsonb from changed)
select count(*) from changed"""
_ENGAGE = f"""
with alive as (select 1 from videos where id = $1 and state = 'ready' for key share),
changed as (
    insert into engagements (video_id, user_id, kind, shard) select $1, $2, $3, $4 from alive
    on conflict do nothing returning 1),
{_COUNTED}"""  # noqa: S608
_DISENGAGE = f"""
with alive as (select 1 from videos where id = $1 for key share),
changed as (
    delete from engagements e
    where (select count(*) from alive) >= 0 and e.video_id = $1 and e.user_id = $2 and e.kind = $3 and e.shard = $4
    returning 1),
{_COUNTED}"""  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class Mine:
    """What the viewer has done to some videos."""

    liked: frozenset[VideoId] = field(default_factory=frozenset)
    bookmarked: frozenset[VideoId] = field(default_factory=frozenset)


class EngagementStore:
    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def set(self, video_id: VideoId, user_id: UserId, *, kind: str, on: bool, owner_id: UserId) -> bool:
        """Like or bookmark (`kind` "like" or "bookmark"), or take it back; True if that changed anything."""
        change = {
            "videoId": str(video_id),
            "userId": str(user_id),
            "ownerId": str(owner_id),
            "kind": kind,
            "on": on,
        }
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            changed = await connection.fetchval(
                _ENGAGE if on else _DISENGAGE,
                video_id,
                user_id,
                kind,
                shard_of(Family.VIDEO, video_id),
                f"{user_id}:{kind}:{video_id}",
                msgspec.json.encode(change).decode(),
                1 if on else -1,
            )
        return bool(changed)

    async def has(self, video_id: VideoId, user_id: UserId, *, kind: str) -> bool:
        async with self._shards.read(Family.VIDEO, video_id) as connection:
            found = await connection.fetchval(
                "select true from engagements where video_id = $1 and kind = $2 and user_id = $3",
                video_id,
                kind,
                user_id,
            )
        return bool(found)

    async def share(self, share_id: int, video_id: VideoId, user_id: UserId, *, channel: str, key: str) -> None:
        """Count a share; the same `key` of the same user counts once ("": every call counts)."""
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            status = await connection.execute(
                """insert into shares (id, video_id, user_id, shard, channel, key)
                   values ($1, $2, $3, $4, $5, nullif($6, '')) on conflict do nothing""",
                share_id,
                video_id,
                user_id,
                shard_of(Family.VIDEO, video_id),
                channel,
                key,
            )
            if affected(status):
                await journal(connection, video_id, shares=1)
                await append(
                    connection,
                    topic=SHARED,
                    key=str(video_id),
                    payload={"videoId": str(video_id), "userId": str(user_id), "channel": channel},
                )

    async def of_viewer(self, viewer: UserId | None, video_ids: list[VideoId]) -> Mine:
        """Likes and bookmarks of the viewer among `video_ids`, from the primaries: own actions show at once."""
        if viewer is None or not video_ids:
            return Mine()
        groups = self._shards.by_server(Family.VIDEO, video_ids)

        async def ask(name: str, connection: Connection) -> list[Any]:
            if name not in groups:
                return []
            return list(
                await connection.fetch(
                    "select video_id, kind from engagements where user_id = $1 and video_id = any($2)",
                    viewer,
                    groups[name],
                )
            )

        scattered = await self._shards.scatter(ask, family=Family.VIDEO, fresh=True)
        rows = [row for rows in scattered.answers for row in rows]
        return Mine(
            liked=frozenset(VideoId(row["video_id"]) for row in rows if row["kind"] == "like"),
            bookmarked=frozenset(VideoId(row["video_id"]) for row in rows if row["kind"] == "bookmark"),
        )


async def journal(
    connection: Connection,
    video_id: VideoId,
    *,
    likes: int = 0,
    comments: int = 0,
    shares: int = 0,
    bookmarks: int = 0,
) -> None:
    """Note an increment in the transaction of its cause."""
    await connection.execute(
        """insert into counter_journal (video_id, shard, likes, comments, shares, bookmarks)
           values ($1, $2, $3, $4, $5, $6)""",
        video_id,
        shard_of(Family.VIDEO, video_id),
        likes,
        comments,
        shares,
        bookmarks,
    )
