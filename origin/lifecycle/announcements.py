"""What a change of a video tells the rest of the platform, inside the transaction of the change.

Topics: `video.state` (every change an owner's list must see), `video.ready`, `video.failed`, `video.deleted`, and for
PoPs `catalogue.upsert` / `catalogue.tombstone`. The flusher of counters adds `catalogue.counters`. `video.access`: what
caches hold of the media says the wrong thing about who may have them.
"""

from __future__ import annotations

from foundation.ids import VideoId
from foundation.stores.outbox import append
from foundation.stores.postgres import Connection
from foundation.stores.shard_map import Family, shard_of
from foundation.wire.catalogue import Counters, Creator
from origin.lifecycle.states import VideoState, Visibility
from origin.lifecycle.video import COLUMNS, Video, catalogue_item, counters_of, video_of
from origin.search.video_index import index_video, unindex_video

VIDEO_STATE = "video.state"
VIDEO_READY = "video.ready"
VIDEO_FAILED = "video.failed"
VIDEO_DELETED = "video.deleted"
VIDEO_ACCESS = "video.access"
CATALOGUE_UPSERT = "catalogue.upsert"
CATALOGUE_TOMBSTONE = "catalogue.tombstone"
CATALOGUE_COUNTERS = "catalogue.counters"

COUNTERS = """
select c.video_id, c.views + coalesce(sum(j.views), 0)::bigint as views,
    c.likes + coalesce(sum(j.likes), 0)::bigint as likes,
    c.comments + coalesce(sum(j.comments), 0)::bigint as comments,
    c.shares + coalesce(sum(j.shares), 0)::bigint as shares
from video_counters c left join counter_journal j on j.video_id = c.video_id
where c.video_id = any($1) group by c.video_id"""


async def read_counters(connection: Connection, video_id: VideoId) -> Counters:
    row = await connection.fetchrow(COUNTERS, [video_id])
    return counters_of(row) if row is not None else Counters()


async def announce_ready(connection: Connection, video: Video, creator: Creator, *, news: bool = True) -> None:
    """Inside the transaction that made (or kept) `video` ready: hashtags, PoPs, the owner's list, the uploader.

    `news`: it, or its new file, is out by this; one more rung is none, and the uploader is told once.
    """
    await announce(connection, VIDEO_STATE, video)
    if news:
        await announce(connection, VIDEO_READY, video)
    if video.in_catalogue:
        await index_video_texts(connection, video)
        await upsert_item(connection, video, creator)


async def refresh_creator(connection: Connection, video_ids: list[int], creator: Creator, *, hidden: bool) -> None:
    """Bring videos of one creator in step with the account; `hidden` takes them out of every list but the owner's.

    In the caller's transaction, inside the fences of the videos' shards.
    """
    rows = await connection.fetch(
        f"""with old as (select id, shadow_banned as was_hidden from videos
               where id = any($1) and state <> 'deleted' order by id for update)
            update videos v set shadow_banned = $2, version = version + (was_hidden <> $2)::int
            from old where v.id = old.id returning {COLUMNS}, old.was_hidden""",  # noqa: S608
        video_ids,
        hidden,
    )
    for row in rows:
        video = video_of(row)
        if video.in_catalogue:
            if row["was_hidden"]:
                await index_video_texts(connection, video)
            await upsert_item(connection, video, creator)
        elif hidden and not row["was_hidden"]:
            await withdraw(connection, video)


async def upsert_item(connection: Connection, video: Video, creator: Creator) -> None:
    item = catalogue_item(video, creator, await read_counters(connection, video.id))
    await append(connection, topic=CATALOGUE_UPSERT, key=str(video.id), payload=item)


async def withdraw(connection: Connection, video: Video) -> None:
    """Take the video out of every list that is not its owner's."""
    await connection.execute("delete from video_hashtags where video_id = $1", video.id)
    await unindex_video(connection, video.id)
    await append(connection, topic=CATALOGUE_TOMBSTONE, key=str(video.id), payload={})


async def index_video_texts(connection: Connection, video: Video) -> None:
    """What it is found by: hashtags, and words. Only what is out for everybody is found."""
    await connection.execute("delete from video_hashtags where video_id = $1", video.id)
    if video.visibility is not Visibility.PUBLIC:
        await unindex_video(connection, video.id)
    else:
        await index_video(
            connection,
            video.id,
            title=video.title,
            description=video.description,
            hashtags=video.hashtags,
            published_s=(video.published_at or video.created_at).timestamp(),
        )
        await connection.execute(
            """insert into video_hashtags (tag, video_id, shard, published_at)
               select tag, $2, $3, $4 from unnest($1::text[]) as tag on conflict do nothing""",
            list(video.hashtags),
            video.id,
            shard_of(Family.VIDEO, video.id),
            video.published_at,
        )


async def announce(
    connection: Connection,
    topic: str,
    video: Video,
    *,
    state: VideoState | None = None,
    version: int | None = None,
    reason: str = "",
) -> None:
    await append(
        connection,
        topic=topic,
        key=str(video.id),
        payload={
            "videoId": str(video.id),
            "ownerId": str(video.owner_id),
            "state": str(state or video.state),
            "visibility": str(video.visibility),
            "version": version or video.version,
            "title": video.title,
            "soundId": video.sound.id if video.sound else None,
            "reason": reason,
        },
    )
