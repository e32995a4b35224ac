"""Erasure of an account (GDPR, SPEC A5) and the export of its data.

Deleting is at once: the account is gone for everybody, its sessions end. The `erase-user` job then removes everything,
step by step; each step is idempotent and leaves a receipt in `erasures`, so a job that dies goes on where it stood.
Counters go down through the journal, in the transaction that removes the row.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from foundation.ids import UserId, VideoId
from foundation.stores.errors import ShardUnavailable
from foundation.stores.job_queue import Job, enqueue
from foundation.stores.objects import ObjectStore
from foundation.stores.outbox import append
from foundation.stores.postgres import Connection, Shards
from foundation.stores.shard_map import Family, shard_of
from foundation.wire import Wire
from origin.accounts.account_store import announce_change
from origin.accounts.avatar import avatar_prefix
from origin.accounts.session_store import EndReason, end_every_session
from origin.consumers import USER_ERASED
from origin.lifecycle.video_store import VideoStore
from origin.social.social_store import SocialStore

ERASE_USER_JOB = "erase-user"
_BATCH = 500

# On every server with video shards: rows of the user, and the counters they moved, in one statement each.
_VIDEO_ROWS = {
    "engagements": """
        with gone as (delete from engagements where user_id = $1 returning video_id, kind, shard),
        counted as (
            insert into counter_journal (video_id, shard, likes, bookmarks)
            select video_id, shard, -count(*) filter (where kind = 'like'), -count(*) filter (where kind = 'bookmark')
            from gone group by 1, 2)
        select count(*) from gone""",
    "comments": """
        with own as (select id from comments where user_id = $1),
        gone as (
            delete from comments where id in (select id from own) or parent_id in (select id from own)
            returning id, video_id, shard, parent_id, user_id, state),
        threads as (
            update comments c set replies = c.replies - g.n
            from (select parent_id, count(*) as n from gone where parent_id is not null and state = 'visible'
                  group by 1) g where c.id = g.parent_id and c.id not in (select id from own)),
        counted as (
            insert into counter_journal (video_id, shard, comments)
            select video_id, shard, -count(*) from gone where state = 'visible' group by 1, 2)
        select count(*) from gone""",
    "comment-likes": """
        with gone as (delete from comment_likes where user_id = $1 returning comment_id),
        fewer as (
            update comments c set likes = c.likes - g.n
            from (select comment_id, count(*) as n from gone group by 1) g where c.id = g.comment_id)
        select count(*) from gone""",
    "shares": "with gone as (delete from shares where user_id = $1 returning 1) select count(*) from gone",
    "watch-events": """
        with gone as (delete from watch_events where viewer = 'u:' || $1::bigint returning 1)
        select count(*) from gone""",
}
_USER_ROWS = ("notifications", "user_engagements", "idempotency_keys", "sessions")


class Receipt(Wire, frozen=True, kw_only=True):
    """One step of an erasure, done."""

    step: str
    done_at_ms: int
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    shards: Shards
    videos: VideoStore
    social: SocialStore
    objects: ObjectStore
    settle_s: float

    async def begin(self, user_id: UserId, *, now_ms: int) -> None:
        """Deleted for everybody on return; the job does the rest. Idempotent."""
        async with self.shards.write(Family.USER, user_id) as connection:
            changed = await connection.fetchval(
                """update users set state = 'deleted', deleted_at = now()
                   where id = $1 and state = 'active' returning true""",
                user_id,
            )
            if not changed:
                return
            await end_every_session(connection, user_id, EndReason.DELETED, now_ms=now_ms)
            await announce_change(connection, user_id, avatar=True)
            await enqueue(connection, kind=ERASE_USER_JOB, key=str(user_id), family=Family.USER, snowflake=user_id)
        async with self.shards.control() as connection:
            await connection.execute("update usernames set listed = false where user_id = $1", user_id)

    async def run(self, job: Job) -> None:
        """Every step that has no receipt yet, in order. Raises ShardUnavailable: the job comes again."""
        user_id = UserId(int(job.key))
        done = {receipt.step for receipt in await self.receipts(user_id)}
        for step, work in self._steps().items():
            if step not in done:
                await self._sign(user_id, step, await work(user_id))

    def _steps(self) -> dict[str, Callable[[UserId], Awaitable[int]]]:
        steps: dict[str, Callable[[UserId], Awaitable[int]]] = {"videos": self._videos}
        for name, sql in _VIDEO_ROWS.items():
            steps[name] = self._on_video_servers(sql)
        people = {"follows": self._follows, "followers": self._followers}
        return {**steps, **people, "avatar": self._avatar, "account": self._account}

    async def _videos(self, user_id: UserId) -> int:
        """Each video by its own delete: objects, versions, rows, catalogue, hashtags, purge orders."""

        async def ask(name: str, connection: Connection) -> list[int]:
            rows = await connection.fetch("select id from videos where owner_id = $1 and state <> 'deleted'", user_id)
            return [row["id"] for row in rows]

        scattered = await self.shards.scatter(ask, family=Family.VIDEO, fresh=True, timeout_s=30)
        self._all_answered(scattered.missing)
        found = [video_id for ids in scattered.answers for video_id in ids]
        for video_id in found:
            await self.videos.delete(VideoId(video_id), owner=None, settle_s=self.settle_s)
        return len(found)

    async def _avatar(self, user_id: UserId) -> int:
        """What caches hold goes with the purge order of the last step: it names everything of the user."""
        return await self.objects.delete_prefix(avatar_prefix(user_id))

    def _on_video_servers(self, sql: str) -> Callable[[UserId], Awaitable[int]]:
        async def work(user_id: UserId) -> int:
            total = 0
            for name in self.shards.map.servers(Family.VIDEO):
                numbers = self.shards.map.shards_on(Family.VIDEO, name)
                async with self.shards.write_many(Family.VIDEO, name, numbers) as connection:
                    total += int(await connection.fetchval(sql, user_id))
            return total

        return work

    async def _follows(self, user_id: UserId) -> int:
        removed = 0
        while edges := await self.social.following(user_id, before=None, limit=_BATCH):
            for edge in edges:
                removed += await self.social.unfollow(user_id, edge.user_id)
        return removed

    async def _followers(self, user_id: UserId) -> int:
        """The follower's row is the truth, its removal takes the copy along. Unanswered requests go with it."""
        removed = 0
        while followers := await self._some_followers(user_id):
            ended = sum([await self.social.unfollow(follower, user_id) for follower in followers])
            if not ended:
                raise ShardUnavailable("a server still has rows of a shard that moved away; retry once they are gone")
            removed += ended
        return removed

    async def _some_followers(self, user_id: UserId) -> list[UserId]:
        async def ask(name: str, connection: Connection) -> list[UserId]:
            rows = await connection.fetch(
                "select follower_id from follows where followee_id = $1 limit $2", user_id, _BATCH
            )
            return [UserId(row["follower_id"]) for row in rows]

        scattered = await self.shards.scatter(ask, family=Family.USER, fresh=True, timeout_s=30)
        self._all_answered(scattered.missing)
        return [follower for found in scattered.answers for follower in found]

    async def _account(self, user_id: UserId) -> int:
        async with self.shards.write(Family.USER, user_id) as connection:
            for table in _USER_ROWS:
                await connection.execute(f"delete from {table} where user_id = $1", user_id)  # noqa: S608
            await connection.execute("delete from restrictions where user_id = $1 or target_id = $1", user_id)
            await connection.execute(
                """update users set state = 'erased', username = 'erased-' || id, display_name = '', bio = '',
                       avatar_key = null, password_hash = null, birthdate = null, followers = 0, following = 0,
                       likes = 0
                   where id = $1""",
                user_id,
            )
            # caches and taste vectors at PoPs, and whoever else follows the stream
            await append(connection, topic=USER_ERASED, key=str(user_id), payload={"userId": str(user_id)})
        return 1

    def _all_answered(self, missing: tuple[str, ...]) -> None:
        if missing:
            raise ShardUnavailable(f"servers {', '.join(missing)} are away; the erasure goes on when they are back")

    async def _sign(self, user_id: UserId, step: str, count: int) -> None:
        async with self.shards.write(Family.USER, user_id) as connection:
            await connection.execute(
                """insert into erasures (subject, step, shard, detail) values ($1, $2, $3, $4)
                   on conflict do nothing""",
                f"user:{user_id}",
                step,
                shard_of(Family.USER, user_id),
                msgspec.json.encode({"count": count}).decode(),
            )

    async def receipts(self, user_id: UserId) -> tuple[Receipt, ...]:
        async with self.shards.read(Family.USER, user_id) as connection:
            rows = await connection.fetch(
                "select step, done_at, detail from erasures where subject = $1 order by done_at", f"user:{user_id}"
            )
        return tuple(
            Receipt(
                step=row["step"],
                done_at_ms=int(row["done_at"].timestamp() * 1000),
                detail=msgspec.json.decode(row["detail"]),
            )
            for row in rows
        )


_EXPORT_USER = {
    "profile": """select id, username, display_name, bio, birthdate, tier, private, created_at from users
        where id = $1""",
    "follow": "select followee_id, accepted, created_at from follows where follower_id = $1",
    "restriction": "select target_id, kind, created_at from restrictions where user_id = $1",
    "session": "select id, device, created_at, ended_at, end_reason from sessions where user_id = $1",
    "notification": "select kind, payload, created_at, read_at from notifications where user_id = $1",
}
_EXPORT_VIDEO = {
    "video": """select id, state, title, description, hashtags, visibility, created_at, published_at from videos
        where owner_id = $1 and state <> 'deleted'""",
    "engagement": "select video_id, kind, created_at from engagements where user_id = $1",
    "comment": "select id, video_id, body, created_at from comments where user_id = $1 and state <> 'deleted'",
    "share": "select video_id, channel, created_at from shares where user_id = $1",
    "watch-event": """select video_id, received_at, watch_ms, total_ms, source, device from watch_events
        where viewer = 'u:' || $1::bigint""",
}


async def export(shards: Shards, user_id: UserId) -> AsyncIterator[bytes]:
    """Everything kept about a user, as NDJSON; `record` names the kind. Raises ShardUnavailable if a server is away."""
    name = shards.map.server(Family.USER, shard_of(Family.USER, user_id))
    async for line in _export(shards, name, _EXPORT_USER, user_id):
        yield line
    for name in shards.map.servers(Family.VIDEO):
        async for line in _export(shards, name, _EXPORT_VIDEO, user_id):
            yield line


async def _export(shards: Shards, name: str, queries: dict[str, str], user_id: UserId) -> AsyncIterator[bytes]:
    async with shards.servers[name].reader(fresh=True) as connection, connection.transaction(readonly=True):
        for kind, sql in queries.items():
            # to_jsonb names the columns and renders ids as numbers: a person's own copy, not the API
            async for row in connection.cursor(
                f"select (jsonb_build_object('record', $2::text) || to_jsonb(found))::text as line from ({sql}) found",  # noqa: S608
                user_id,
                kind,
            ):
                yield row["line"].encode() + b"\n"
