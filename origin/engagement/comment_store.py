"""Comments on the video's shard; every count they move goes through the journal or the comment's own row."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from foundation.ids import CommentId, UserId, VideoId
from foundation.stores.outbox import append
from foundation.stores.postgres import Shards, affected
from foundation.stores.shard_map import Family, shard_of
from origin.engagement.engagement_store import journal
from origin.errors import NotYours, UnknownComment, UnknownVideo

MAX_PINS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    id: CommentId
    user_id: UserId
    parent_id: CommentId | None
    body: str
    likes: int
    replies: int
    pinned: bool
    created_at: dt.datetime
    liked: bool = False


_COLUMNS = "c.id, c.user_id, c.parent_id, c.body, c.likes, c.replies, c.pinned, c.created_at"


class CommentStore:
    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def add(
        self,
        comment_id: CommentId,
        video_id: VideoId,
        user_id: UserId,
        *,
        body: str,
        parent_id: CommentId | None,
        owner_id: UserId,
    ) -> Comment:
        """Raises UnknownComment if the parent is gone; a reply to a reply joins the same thread."""
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            if not await connection.fetchval(
                "select true from videos where id = $1 and state = 'ready' for key share", video_id
            ):
                raise UnknownVideo(f"there is no video {video_id}")
            parent = None
            if parent_id is not None:
                parent = await connection.fetchrow(
                    """select id, parent_id, user_id from comments
                       where id = $1 and video_id = $2 and state = 'visible' for update""",
                    parent_id,
                    video_id,
                )
                if parent is None:
                    raise UnknownComment("the comment you answer is gone")
            thread = (parent["parent_id"] or parent["id"]) if parent is not None else None
            row = await connection.fetchrow(
                """insert into comments as c (id, video_id, shard, user_id, parent_id, body)
                   values ($1, $2, $3, $4, $5, $6)
                   returning c.id, c.user_id, c.parent_id, c.body, c.likes, c.replies, c.pinned, c.created_at""",
                comment_id,
                video_id,
                shard_of(Family.VIDEO, video_id),
                user_id,
                thread,
                body,
            )
            if thread is not None:
                await connection.execute("update comments set replies = replies + 1 where id = $1", thread)
            await journal(connection, video_id, comments=1)
            told = parent["user_id"] if parent is not None else owner_id
            if told != user_id:
                await append(
                    connection,
                    topic="notify",
                    key=str(told),
                    payload={
                        "userId": str(told),
                        "kind": "reply" if parent is not None else "comment",
                        "payload": {"videoId": str(video_id), "commentId": str(comment_id), "userId": str(user_id)},
                    },
                )
        return _comment(row)

    async def authors(self, video_id: VideoId, comment_id: CommentId) -> frozenset[UserId]:
        """Who wrote the comment, and who began its thread. Raises UnknownComment."""
        async with self._shards.read(Family.VIDEO, video_id) as connection:
            row = await connection.fetchrow(
                """select c.user_id, coalesce(t.user_id, c.user_id) as thread_of
                   from comments c left join comments t on t.id = c.parent_id
                   where c.id = $1 and c.video_id = $2 and c.state = 'visible'""",
                comment_id,
                video_id,
            )
        if row is None:
            raise UnknownComment("there is no such comment")
        return frozenset((UserId(row["user_id"]), UserId(row["thread_of"])))

    async def page(
        self,
        video_id: VideoId,
        viewer: UserId | None,
        *,
        before: tuple[bool, int] | None,
        limit: int,
        without: frozenset[UserId],
    ) -> list[Comment]:
        """Top-level comments, pinned first, then newest; `before` is the key of the last one shown."""
        pinned, last_id = before if before is not None else (True, 2**63 - 1)
        async with self._shards.read(Family.VIDEO, video_id) as connection:
            rows = await connection.fetch(
                f"""select {_COLUMNS}, {_LIKED} from comments c
                    where c.video_id = $1 and c.parent_id is null and c.state = 'visible'
                        and (c.pinned, c.id) < ($3, $4) and c.user_id <> all($5)
                    order by c.pinned desc, c.id desc limit $6""",  # noqa: S608
                video_id,
                viewer or 0,
                pinned,
                last_id,
                list(without),
                limit,
            )
        return [_comment(row) for row in rows]

    async def replies(
        self,
        video_id: VideoId,
        thread: CommentId,
        viewer: UserId | None,
        *,
        after: int,
        limit: int,
        without: frozenset[UserId],
    ) -> list[Comment]:
        """Answers in a thread under this video, oldest first; none for a thread of another one."""
        async with self._shards.read(Family.VIDEO, video_id) as connection:
            rows = await connection.fetch(
                f"""select {_COLUMNS}, {_LIKED} from comments c
                    where c.parent_id = $1 and c.video_id = $3 and c.state = 'visible' and c.id > $4
                        and c.user_id <> all($5)
                    order by c.id limit $6""",  # noqa: S608
                thread,
                viewer or 0,
                video_id,
                after,
                list(without),
                limit,
            )
        return [_comment(row) for row in rows]

    async def remove(self, video_id: VideoId, comment_id: CommentId, by: UserId, *, video_owner: UserId) -> None:
        """By its author or the video's creator; a thread goes with its answers. Raises UnknownComment, NotYours."""
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            row = await connection.fetchrow(
                """select user_id, parent_id from comments
                   where id = $1 and video_id = $2 and state = 'visible' for update""",
                comment_id,
                video_id,
            )
            if row is None:
                raise UnknownComment("there is no such comment")
            if by not in (row["user_id"], video_owner):
                raise NotYours("only its author and the video's creator may delete a comment")
            status = await connection.execute(
                """update comments set state = 'deleted', body = '', pinned = false
                   where (id = $1 or parent_id = $1) and state = 'visible'""",
                comment_id,
            )
            if row["parent_id"] is not None:
                await connection.execute("update comments set replies = replies - 1 where id = $1", row["parent_id"])
            await journal(connection, video_id, comments=-affected(status))

    async def like(self, video_id: VideoId, comment_id: CommentId, user_id: UserId, *, on: bool) -> None:
        """Idempotent. Raises UnknownComment."""
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            known = await connection.fetchval(
                "select true from comments where id = $1 and video_id = $2 and state = 'visible' for key share",
                comment_id,
                video_id,
            )
            if not known:
                raise UnknownComment("there is no such comment")
            status = await connection.execute(
                """insert into comment_likes (comment_id, user_id, video_id, shard) values ($1, $2, $3, $4)
                   on conflict do nothing"""
                if on
                else """delete from comment_likes
                       where comment_id = $1 and user_id = $2 and video_id = $3 and shard = $4""",
                comment_id,
                user_id,
                video_id,
                shard_of(Family.VIDEO, video_id),
            )
            if affected(status):
                await connection.execute(
                    "update comments set likes = likes + $2 where id = $1", comment_id, 1 if on else -1
                )

    async def pin(self, video_id: VideoId, comment_id: CommentId, *, on: bool) -> None:
        """At most MAX_PINS top-level comments; the oldest pin gives way. Raises UnknownComment."""
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            # two pins at once would each keep the other's
            await connection.execute("select 1 from videos where id = $1 for no key update", video_id)
            status = await connection.execute(
                """update comments set pinned = $3
                   where id = $1 and video_id = $2 and parent_id is null and state = 'visible'""",
                comment_id,
                video_id,
                on,
            )
            if not affected(status):
                raise UnknownComment("there is no such top-level comment")
            await connection.execute(
                """update comments set pinned = false where id in (
                       select id from comments where video_id = $1 and pinned and id <> $2
                       order by id desc offset $3)""",
                video_id,
                comment_id,
                MAX_PINS - 1,
            )


_LIKED = "exists (select 1 from comment_likes l where l.comment_id = c.id and l.user_id = $2) as liked"


def _comment(row: Any) -> Comment:
    return Comment(**dict(row))
