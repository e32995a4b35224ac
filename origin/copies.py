"""Rows on other shards, kept in step with the log: user_videos, followers, user_engagements, totals, notifications.

The truth commits where it happens (a follow on the follower's shard, a video on its own). Here one batch of the log is
folded into what each row comes to (pure), then written with one transaction per server and one statement per table.
Applying a batch again changes nothing: a copy is a state and not a step, an increment carries the number of its record.
Decision 0608 has the measurements.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from foundation.stores.outbox import Record
from foundation.stores.postgres import Connection, Shards
from foundation.stores.shard_map import Family, shard_of
from origin.consumers import FOLLOW_CHANGED, NOTIFY, USER_LIKES
from origin.engagement.engagement_store import ENGAGED
from origin.lifecycle.announcements import VIDEO_FAILED, VIDEO_READY, VIDEO_STATE

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoCopy:
    state: str
    visibility: str
    version: int


@dataclass(slots=True)
class UserChanges:
    """What a batch comes to for the users of one server; the user who owns the row is first in every key."""

    videos: dict[tuple[int, int], VideoCopy] = field(default_factory=dict)
    """(owner, video)"""
    followers: dict[tuple[int, int], bool] = field(default_factory=dict)
    """(followee, follower): whether it holds at the end of the batch"""
    engagements: dict[tuple[int, str, int], dt.datetime | None] = field(default_factory=dict)
    """(user, kind, video): since when; None: taken back"""
    likes: list[tuple[int, int, int]] = field(default_factory=list)
    """(user, increment, seq)"""
    notes: list[tuple[int, int, str, str]] = field(default_factory=list)
    """(user, seq, kind, payload as JSON)"""

    def users(self) -> set[int]:
        keyed: Iterable[tuple[Any, ...]] = (*self.videos, *self.followers, *self.engagements, *self.likes, *self.notes)
        return {key[0] for key in keyed}


@dataclass(slots=True)
class Changes:
    """The whole batch: by server for users, and what lives in the control database."""

    users: dict[str, UserChanges] = field(default_factory=lambda: defaultdict(UserChanges))
    sound_uses: dict[tuple[int, int], bool] = field(default_factory=dict)
    """(sound, video)"""


class _Fold:
    """Takes records one by one, in log order."""

    def __init__(self, server_of: Callable[[int], str]) -> None:
        self.changes = Changes()
        self._server_of = server_of
        self._by_topic: dict[str, Callable[[Record, Payload], None]] = {
            VIDEO_STATE: self._video,
            VIDEO_READY: self._ready,
            VIDEO_FAILED: self._failed,
            FOLLOW_CHANGED: self._follow,
            ENGAGED: self._engaged,
            USER_LIKES: self._likes,
            NOTIFY: self._notify,
        }

    def take(self, record: Record) -> None:
        fold_topic = self._by_topic.get(record.topic)
        if fold_topic is not None:
            fold_topic(record, msgspec.json.decode(record.payload))

    def _of(self, user: int) -> UserChanges:
        return self.changes.users[self._server_of(user)]

    def _tell(self, user: int, record: Record, kind: str, payload: Payload) -> None:
        self._of(user).notes.append((user, record.seq, kind, msgspec.json.encode(payload).decode()))

    def _video(self, record: Record, video: Payload) -> None:
        owner, video_id = int(video["ownerId"]), int(video["videoId"])
        copy = VideoCopy(state=video["state"], visibility=video["visibility"], version=video["version"])
        known = self._of(owner).videos.get((owner, video_id))
        if known is None or known.version < copy.version:
            self._of(owner).videos[owner, video_id] = copy
        if video["soundId"] is not None:
            self.changes.sound_uses[int(video["soundId"]), video_id] = video["state"] == "ready"

    def _follow(self, record: Record, follow: Payload) -> None:
        followee, follower = int(follow["followeeId"]), int(follow["followerId"])
        self._of(followee).followers[followee, follower] = follow["on"]
        if follow["on"]:
            self._tell(followee, record, "follow", {"userId": str(follower)})

    def _engaged(self, record: Record, change: Payload) -> None:
        user, video, owner = int(change["userId"]), int(change["videoId"]), int(change["ownerId"])
        self._of(user).engagements[user, change["kind"], video] = record.created_at if change["on"] else None
        if change["on"] and change["kind"] == "like" and owner != user:
            self._tell(owner, record, "like", {"userId": str(user), "videoId": str(video)})

    def _likes(self, record: Record, change: Payload) -> None:
        user = int(change["userId"])
        self._of(user).likes.append((user, int(change["likes"]), record.seq))

    def _ready(self, record: Record, video: Payload) -> None:
        told = {name: video[name] for name in ("videoId", "title")}
        self._tell(int(video["ownerId"]), record, "video-ready", told)

    def _failed(self, record: Record, video: Payload) -> None:
        told = {name: video[name] for name in ("videoId", "title", "reason")}
        self._tell(int(video["ownerId"]), record, "video-failed", told)

    def _notify(self, record: Record, note: Payload) -> None:
        self._tell(int(note["userId"]), record, note["kind"], note["payload"])


def fold(records: Iterable[Record], server_of: Callable[[int], str]) -> Changes:
    """What `records`, in log order, come to. `server_of` gives the server that holds a user's rows. Pure."""
    folding = _Fold(server_of)
    for record in records:
        folding.take(record)
    return folding.changes


class Copies:
    """Writes what a batch of the log comes to."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def handle(self, records: Sequence[Record]) -> None:
        """Raises ShardUnavailable (a server is away, or a shard has just moved): the batch is then handled again."""
        changes = fold(records, lambda user: self._shards.map.server(Family.USER, shard_of(Family.USER, user)))
        for server, users in changes.users.items():
            await self._write(server, users)
        if changes.sound_uses:
            await self._count_sounds(changes.sound_uses)

    async def _write(self, server: str, changes: UserChanges) -> None:
        users = changes.users()
        entered = {shard_of(Family.USER, user) for user in users}
        async with self._shards.write_many(Family.USER, server, tuple(entered)) as connection:
            # in one order for everybody who locks several
            await connection.execute("select from users where id = any($1) order by id for no key update", list(users))
            for write in (_write_videos, _write_followers, _write_engagements, _write_likes, _write_notes):
                await write(connection, changes)

    async def _count_sounds(self, uses: dict[tuple[int, int], bool]) -> None:
        columns = _columns([(sound, video, used) for (sound, video), used in uses.items()])
        async with self._shards.control() as connection:
            await connection.execute(_SOUND_USES, *columns)


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    """Rows as the arrays of an unnest."""
    return [list(column) for column in zip(*rows, strict=True)]


async def _write_videos(connection: Connection, changes: UserChanges) -> None:
    if changes.videos:
        rows = [
            (owner, video, shard_of(Family.USER, owner), copy.state, copy.visibility, copy.version)
            for (owner, video), copy in changes.videos.items()
        ]
        await connection.execute(_VIDEOS, *_columns(rows))
        await connection.execute(_VIDEO_COUNTS, list({owner for owner, _ in changes.videos}))


async def _write_followers(connection: Connection, changes: UserChanges) -> None:
    if changes.followers:
        rows = [
            (followee, follower, shard_of(Family.USER, followee), on)
            for (followee, follower), on in changes.followers.items()
        ]
        await connection.execute(_FOLLOWERS, *_columns(rows))


async def _write_engagements(connection: Connection, changes: UserChanges) -> None:
    if changes.engagements:
        rows = [
            (user, kind, video, shard_of(Family.USER, user), since)
            for (user, kind, video), since in changes.engagements.items()
        ]
        await connection.execute(_ENGAGEMENTS, *_columns(rows))


async def _write_likes(connection: Connection, changes: UserChanges) -> None:
    if changes.likes:
        await connection.execute(_LIKES, *_columns(changes.likes))


async def _write_notes(connection: Connection, changes: UserChanges) -> None:
    if changes.notes:
        rows = [(seq, user, shard_of(Family.USER, user), kind, text) for user, seq, kind, text in changes.notes]
        await connection.execute(_NOTES, *_columns(rows))


# The version guard lets an older copy change nothing.
_VIDEOS = """
insert into user_videos (user_id, video_id, shard, state, visibility, version)
select * from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::text[], $5::text[], $6::bigint[])
on conflict (user_id, video_id) do update set state = excluded.state, visibility = excluded.visibility,
    version = excluded.version
where user_videos.version < excluded.version"""

_VIDEO_COUNTS = """
update users u set videos = c.videos
from (select user_id, count(*) filter (where state = 'ready' and visibility <> 'private') as videos
      from user_videos where user_id = any($1) group by user_id) c
where u.id = c.user_id"""

# The totals move by the rows that really came or went.
_FOLLOWERS = """
with t as (select * from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::boolean[])
    as t (followee_id, follower_id, shard, holds)),
came as (
    insert into followers (followee_id, follower_id, shard)
    select followee_id, follower_id, shard from t where holds on conflict do nothing returning followee_id),
went as (
    delete from followers f using t where not t.holds
        and f.followee_id = t.followee_id and f.follower_id = t.follower_id
    returning f.followee_id),
steps as (select followee_id, sum(step) as step from (
    select followee_id, 1 as step from came union all select followee_id, -1 from went) s group by followee_id)
update users u set followers = followers + s.step from steps s where u.id = s.followee_id"""

_ENGAGEMENTS = """
with t as (select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::smallint[], $5::timestamptz[])
    as t (user_id, kind, video_id, shard, since)),
went as (
    delete from user_engagements e using t where t.since is null
        and e.user_id = t.user_id and e.kind = t.kind and e.video_id = t.video_id)
insert into user_engagements (user_id, kind, video_id, shard, created_at)
select * from t where since is not null on conflict do nothing"""

# Increments: only of records this user has not seen yet (likes_seq), so that a repeat adds nothing.
_LIKES = """
update users u set likes = u.likes + n.likes, likes_seq = n.seq
from (select x.id, sum(t.likes) as likes, max(t.seq) as seq
      from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as t (user_id, likes, seq)
      join users x on x.id = t.user_id and x.likes_seq < t.seq group by x.id) n
where u.id = n.id"""

# A notification's id is the record's number: told once.
_NOTES = """
insert into notifications (id, user_id, shard, kind, payload)
select t.id, t.user_id, t.shard, t.kind, t.payload::jsonb
from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::text[], $5::text[])
    as t (id, user_id, shard, kind, payload)
join users u on u.id = t.user_id and u.state = 'active' on conflict do nothing"""

_SOUND_USES = """
with t as (select * from unnest($1::bigint[], $2::bigint[], $3::boolean[]) as t (sound_id, video_id, used)),
came as (
    insert into sound_uses (sound_id, video_id) select sound_id, video_id from t where used
    on conflict do nothing returning sound_id),
went as (
    delete from sound_uses s using t where not t.used and s.sound_id = t.sound_id and s.video_id = t.video_id
    returning s.sound_id),
steps as (select sound_id, sum(step) as step from (
    select sound_id, 1 as step from came union all select sound_id, -1 from went) s group by sound_id)
update sounds s set uses = uses + t.step from steps t where s.id = t.sound_id"""
