"""What follows the log: rows on other shards, notifications, purge orders, Valkey streams. Each handler is idempotent.

The truth commits where it happens (a follow on the follower's shard, a video on its own); here its copies on other
shards are brought up to date, in log order, at least once. A copy is guarded so that applying it again changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from foundation.errors import Unavailable
from foundation.ids import UserId, VideoId
from foundation.settings import Secret
from foundation.stores.errors import HotStateUnavailable
from foundation.stores.outbox import Record
from foundation.stores.postgres import Shards, affected
from foundation.stores.shard_map import Family, shard_of
from foundation.wire.pops import PurgeRequest
from origin.accounts.account_store import USER_CHANGED
from origin.accounts.avatar import avatar_tag
from origin.captions.caption_store import CAPTIONS_CHANGED
from origin.engagement.engagement_store import ENGAGED
from origin.lifecycle.announcements import (
    CATALOGUE_TOMBSTONE,
    VIDEO_DELETED,
    VIDEO_FAILED,
    VIDEO_READY,
    VIDEO_STATE,
)
from origin.media.answers import caption_tag
from origin.sounds.sound_store import forget_sound_of

_log = logging.getLogger(__name__)
FOLLOW_CHANGED = "follow.changed"
USER_LIKES = "user.likes"
USER_ERASED = "user.erased"
NOTIFY = "notify"
STREAM = "pr:events"
_STREAM_LENGTH = 1_000_000

Payload = dict[str, Any]


class Copies:
    """Keeps user_videos, followers, user_engagements, totals, sound uses and notifications in step."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._handlers: dict[str, Callable[[Record, Payload], Awaitable[None]]] = {
            VIDEO_STATE: self._video_state,
            FOLLOW_CHANGED: self._follow,
            ENGAGED: self._engaged,
            USER_LIKES: self._likes,
            VIDEO_READY: self._ready,
            VIDEO_DELETED: self._deleted,
            VIDEO_FAILED: self._failed,
            NOTIFY: self._notify,
        }

    async def handle(self, records: Sequence[Record]) -> None:
        for record in records:
            handler = self._handlers.get(record.topic)
            if handler is not None:
                await handler(record, msgspec.json.decode(record.payload))

    async def _video_state(self, record: Record, video: Payload) -> None:
        owner = int(video["ownerId"])
        async with self._shards.write(Family.USER, owner) as connection:
            await connection.execute(
                """insert into user_videos (user_id, video_id, shard, state, visibility, version)
                   values ($1, $2, $3, $4, $5, $6)
                   on conflict (user_id, video_id) do update set state = excluded.state,
                       visibility = excluded.visibility, version = excluded.version
                   where user_videos.version < excluded.version""",
                owner,
                int(video["videoId"]),
                shard_of(Family.USER, owner),
                video["state"],
                video["visibility"],
                video["version"],
            )
            await connection.execute(
                """update users set videos = (
                       select count(*) from user_videos
                       where user_id = $1 and state = 'ready' and visibility <> 'private')
                   where id = $1""",
                owner,
            )
        if video["soundId"] is not None:
            await self._sound_use(int(video["soundId"]), int(video["videoId"]), used=video["state"] == "ready")

    async def _sound_use(self, sound_id: int, video_id: int, *, used: bool) -> None:
        async with self._shards.control() as connection, connection.transaction():
            status = await connection.execute(
                "insert into sound_uses (sound_id, video_id) values ($1, $2) on conflict do nothing"
                if used
                else "delete from sound_uses where sound_id = $1 and video_id = $2",
                sound_id,
                video_id,
            )
            if affected(status):
                await connection.execute(
                    "update sounds set uses = uses + $2 where id = $1", sound_id, 1 if used else -1
                )

    async def _follow(self, record: Record, follow: Payload) -> None:
        follower, followee = int(follow["followerId"]), int(follow["followeeId"])
        async with self._shards.write(Family.USER, followee) as connection:
            status = await connection.execute(
                """insert into followers (followee_id, follower_id, shard) values ($1, $2, $3) on conflict do nothing"""
                if follow["on"]
                else "delete from followers where followee_id = $1 and follower_id = $2 and shard = $3",
                followee,
                follower,
                shard_of(Family.USER, followee),
            )
            if affected(status):
                await connection.execute(
                    "update users set followers = followers + $2 where id = $1", followee, 1 if follow["on"] else -1
                )
        if follow["on"]:
            await self._tell(followee, record.seq, "follow", {"userId": str(follower)})

    async def _engaged(self, record: Record, change: Payload) -> None:
        user, video = int(change["userId"]), int(change["videoId"])
        async with self._shards.write(Family.USER, user) as connection:
            await connection.execute(
                """insert into user_engagements (user_id, kind, video_id, shard, created_at)
                   values ($1, $2, $3, $4, $5) on conflict do nothing"""
                if change["on"]
                else """delete from user_engagements where user_id = $1 and kind = $2 and video_id = $3 and shard = $4
                       and $5::timestamptz is not null""",
                user,
                change["kind"],
                video,
                shard_of(Family.USER, user),
                record.created_at,
            )
        owner = int(change["ownerId"])
        if change["on"] and change["kind"] == "like" and owner != user:
            await self._tell(owner, record.seq, "like", {"userId": str(user), "videoId": str(video)})

    async def _likes(self, record: Record, change: Payload) -> None:
        """An increment, so applied once: only if this user has not seen the record yet."""
        user = int(change["userId"])
        async with self._shards.write(Family.USER, user) as connection:
            await connection.execute(
                "update users set likes = likes + $2, likes_seq = $3 where id = $1 and likes_seq < $3",
                user,
                int(change["likes"]),
                record.seq,
            )

    async def _ready(self, record: Record, video: Payload) -> None:
        await self._tell(
            int(video["ownerId"]), record.seq, "video-ready", {"videoId": video["videoId"], "title": video["title"]}
        )

    async def _deleted(self, record: Record, video: Payload) -> None:
        await forget_sound_of(self._shards, VideoId(int(video["videoId"])))

    async def _failed(self, record: Record, video: Payload) -> None:
        await self._tell(
            int(video["ownerId"]),
            record.seq,
            "video-failed",
            {"videoId": video["videoId"], "title": video["title"], "reason": video["reason"]},
        )

    async def _notify(self, record: Record, note: Payload) -> None:
        await self._tell(int(note["userId"]), record.seq, note["kind"], note["payload"])

    async def _tell(self, user: int, seq: int, kind: str, payload: Payload) -> None:
        """A notification whose id is the record's number: told once."""
        async with self._shards.write(Family.USER, user) as connection:
            await connection.execute(
                """insert into notifications (id, user_id, shard, kind, payload)
                   select $1, $2, $3, $4, $5 where exists (select 1 from users where id = $2 and state = 'active')
                   on conflict do nothing""",
                seq,
                user,
                shard_of(Family.USER, user),
                kind,
                msgspec.json.encode(payload).decode(),
            )


class Purger:
    """Tells the control plane to purge what a deleted or withdrawn video left in caches."""

    def __init__(self, session: aiohttp.ClientSession, *, url: str, key: Secret) -> None:
        self._session = session
        self._url = url
        self._key = key

    async def handle(self, records: Sequence[Record]) -> None:
        """Raises Unavailable: the log position stays, the orders are sent again later (purging twice is harmless)."""
        found = [f"video-{record.key}" for record in records if record.topic in (VIDEO_DELETED, CATALOGUE_TOMBSTONE)]
        found += [f"user-{record.key}" for record in records if record.topic == USER_ERASED]
        found += [avatar_tag(UserId(int(record.key))) for record in records if _outdates_avatar(record)]
        found += [caption_tag(int(record.key)) for record in records if record.topic == CAPTIONS_CHANGED]
        tags = tuple(dict.fromkeys(found))
        if not tags or not self._url:
            return
        body = msgspec.json.encode(PurgeRequest(tags=tags))
        headers = {"Authorization": f"Bearer {str.__str__(self._key)}", "Content-Type": "application/json"}
        try:
            async with self._session.post(f"{self._url}/internal/v1/purges", data=body, headers=headers) as answer:
                if answer.status >= 300:
                    raise Unavailable(f"the control plane answered {answer.status} to a purge order")
        except (aiohttp.ClientError, TimeoutError) as err:
            raise Unavailable("the control plane does not answer; purge orders wait") from err


def _outdates_avatar(record: Record) -> bool:
    return record.topic == USER_CHANGED and bool(msgspec.json.decode(record.payload).get("avatar"))


class Streams:
    """Publishes every record to one Valkey stream, under its own number: a repeat is refused by the stream itself."""

    def __init__(self, valkey: Redis) -> None:
        self._valkey = valkey

    async def handle(self, records: Sequence[Record]) -> None:
        try:
            for record in records:
                await self._add(record)
        except RedisError as err:
            raise HotStateUnavailable("Valkey is away; records wait in the log") from err

    async def _add(self, record: Record) -> None:
        fields: dict[Any, Any] = {"topic": record.topic, "key": record.key, "payload": record.payload}
        try:
            await self._valkey.xadd(STREAM, fields, id=f"{record.seq}-0", maxlen=_STREAM_LENGTH, approximate=True)
        except ResponseError as err:
            # "ID ... is equal or smaller": it is there already. Decided by asking, not by the message
            info = await self._valkey.xinfo_stream(STREAM)
            last = info["last-generated-id"]
            if int((last.decode() if isinstance(last, bytes) else last).split("-")[0]) < record.seq:
                raise HotStateUnavailable("Valkey refused a record") from err
