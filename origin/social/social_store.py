"""Follows, blocks, mutes, notifications. The follower's row is the truth; the followee's is a copy."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from foundation.ids import UserId
from foundation.stores.outbox import append
from foundation.stores.postgres import Connection, Shards, affected
from foundation.stores.shard_map import Family, shard_of
from origin.consumers import FOLLOW_CHANGED, NOTIFY


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One entry of a list of people; `at` is the sort key, newest first."""

    user_id: UserId
    at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    id: int
    kind: str
    payload: str
    created_at: dt.datetime
    read_at: dt.datetime | None


class SocialStore:
    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def is_following(self, follower: UserId, followee: UserId) -> bool:
        """True also while a private account has not answered."""
        async with self._shards.read(Family.USER, follower) as connection:
            found = await connection.fetchval(
                "select true from follows where follower_id = $1 and followee_id = $2", follower, followee
            )
        return bool(found)

    async def follow(self, follower: UserId, followee: UserId, *, accepted: bool) -> bool:
        """Strongly consistent: committed on the follower's shard on return. True if that changed anything."""
        async with self._shards.write(Family.USER, follower) as connection:
            await _lock(connection, follower)
            status = await connection.execute(
                """insert into follows (follower_id, followee_id, shard, accepted) values ($1, $2, $3, $4)
                   on conflict do nothing""",
                follower,
                followee,
                shard_of(Family.USER, follower),
                accepted,
            )
            if not affected(status):
                return False
            if accepted:
                await _followed(connection, follower, followee, on=True)
            else:
                await _tell(connection, followee, "follow-request", {"userId": str(follower)})
            return True

    async def unfollow(self, follower: UserId, followee: UserId) -> bool:
        async with self._shards.write(Family.USER, follower) as connection:
            await _lock(connection, follower)
            accepted = await connection.fetchval(
                "delete from follows where follower_id = $1 and followee_id = $2 returning accepted", follower, followee
            )
            if accepted:
                await _followed(connection, follower, followee, on=False)
            return accepted is not None

    async def accept(self, follower: UserId, followee: UserId) -> bool:
        """The private account's yes; True if there was a request."""
        async with self._shards.write(Family.USER, follower) as connection:
            await _lock(connection, follower)
            status = await connection.execute(
                "update follows set accepted = true where follower_id = $1 and followee_id = $2 and not accepted",
                follower,
                followee,
            )
            if not affected(status):
                return False
            await _followed(connection, follower, followee, on=True)
            await _tell(connection, follower, "follow-accepted", {"userId": str(followee)})
            return True

    async def following(self, user_id: UserId, *, before: tuple[int, int] | None, limit: int) -> list[Edge]:
        async with self._shards.read(Family.USER, user_id) as connection:
            rows = await connection.fetch(
                """select followee_id as user_id, created_at as at from follows
                   where follower_id = $1 and accepted and (created_at, followee_id) < ($2, $3)
                   order by created_at desc, followee_id desc limit $4""",
                user_id,
                *_before(before),
                limit,
            )
        return [Edge(**dict(row)) for row in rows]

    async def followers(self, user_id: UserId, *, before: tuple[int, int] | None, limit: int) -> list[Edge]:
        async with self._shards.read(Family.USER, user_id) as connection:
            rows = await connection.fetch(
                """select follower_id as user_id, created_at as at from followers
                   where followee_id = $1 and (created_at, follower_id) < ($2, $3)
                   order by created_at desc, follower_id desc limit $4""",
                user_id,
                *_before(before),
                limit,
            )
        return [Edge(**dict(row)) for row in rows]

    async def restrict(self, user_id: UserId, target: UserId, *, kind: str, on: bool) -> None:
        """Block or mute, or lift it. A block ends following in both directions. Idempotent."""
        async with self._shards.write(Family.USER, user_id) as connection:
            await connection.execute(
                """insert into restrictions (user_id, target_id, kind, shard) values ($1, $2, $3, $4)
                   on conflict do nothing"""
                if on
                else "delete from restrictions where user_id = $1 and target_id = $2 and kind = $3 and shard = $4",
                user_id,
                target,
                kind,
                shard_of(Family.USER, user_id),
            )
        if kind == "block" and on:
            await self.unfollow(user_id, target)
            await self.unfollow(target, user_id)

    async def restrictions(self, user_id: UserId) -> list[tuple[UserId, str]]:
        async with self._shards.read(Family.USER, user_id) as connection:
            rows = await connection.fetch(
                "select target_id, kind from restrictions where user_id = $1 order by created_at desc limit 1000",
                user_id,
            )
        return [(UserId(row["target_id"]), row["kind"]) for row in rows]

    async def notifications(self, user_id: UserId, *, before: int, limit: int) -> list[Notification]:
        async with self._shards.read(Family.USER, user_id) as connection:
            rows = await connection.fetch(
                """select id, kind, payload, created_at, read_at from notifications n
                   where user_id = $1 and id < $2 and not exists (select 1 from restrictions r
                       where r.user_id = $1 and r.target_id = (n.payload ->> 'userId')::bigint)
                   order by id desc limit $3""",
                user_id,
                before,
                limit,
            )
        return [Notification(**dict(row)) for row in rows]

    async def mark_read(self, user_id: UserId, *, up_to: int) -> None:
        async with self._shards.write(Family.USER, user_id) as connection:
            await connection.execute(
                "update notifications set read_at = now() where user_id = $1 and id <= $2 and read_at is null",
                user_id,
                up_to,
            )


async def _lock(connection: Connection, user_id: UserId) -> None:
    """Serialises one user's follows, so that outbox records of a pair leave in the order of its changes."""
    await connection.execute("select 1 from users where id = $1 for no key update", user_id)


async def _followed(connection: Connection, follower: UserId, followee: UserId, *, on: bool) -> None:
    await connection.execute("update users set following = following + $2 where id = $1", follower, 1 if on else -1)
    await append(
        connection,
        topic=FOLLOW_CHANGED,
        key=f"{follower}:{followee}",
        payload={"followerId": str(follower), "followeeId": str(followee), "on": on},
    )


async def _tell(connection: Connection, user_id: UserId, kind: str, payload: dict[str, Any]) -> None:
    await append(
        connection, topic=NOTIFY, key=str(user_id), payload={"userId": str(user_id), "kind": kind, "payload": payload}
    )


def _before(cursor: tuple[int, int] | None) -> tuple[dt.datetime, int]:
    """Cursor (microseconds, id) as a row value; the first page begins at the end of time."""
    if cursor is None:
        return dt.datetime(9999, 1, 1, tzinfo=dt.UTC), 2**63 - 1
    return dt.datetime.fromtimestamp(0, tz=dt.UTC) + dt.timedelta(microseconds=cursor[0]), cursor[1]


def edge_cursor(edge: Edge) -> tuple[int, int]:
    return (edge.at - dt.datetime.fromtimestamp(0, tz=dt.UTC)) // dt.timedelta(microseconds=1), edge.user_id
