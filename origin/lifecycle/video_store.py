"""The videos table: reads, and every transition as one compare-and-set with its outbox records and jobs.

What each of them tells the rest of the platform is in announcements.py.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import msgspec

from foundation.ids import UserId, VideoId
from foundation.stores.job_queue import cancel, enqueue
from foundation.stores.postgres import Connection, Shards, affected
from foundation.stores.shard_map import Family, shard_of
from foundation.wire.catalogue import Counters, Creator, Sound
from foundation.wire.media import MediaManifest
from origin.audit import Act, note
from origin.errors import NotYours, StateConflict, UnknownVideo
from origin.lifecycle.announcements import (
    VIDEO_ACCESS,
    VIDEO_DELETED,
    VIDEO_FAILED,
    VIDEO_STATE,
    announce,
    announce_ready,
    index_video_texts,
    read_counters,
    upsert_item,
    withdraw,
)
from origin.lifecycle.object_keys import original_revision
from origin.lifecycle.states import VideoState, Visibility, before, is_open
from origin.lifecycle.video import COLUMNS, Video, video_of

PACKAGE_JOB = "package"
EMBED_JOB = "embed"
SWEEP_JOB = "sweep"
ERASE_JOB = "erase"
PUBLISH_JOB = "publish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What `complete` and PATCH say of a video."""

    title: str
    description: str
    hashtags: tuple[str, ...]
    sound: Sound | None
    visibility: Visibility
    publish_at: dt.datetime | None
    edits: str
    """JSON of `packager.edits.Edits`."""
    partner_id: VideoId | None
    """The other video of a duet or stitch."""
    remixes_open: bool
    hidden: bool = False
    """In no list but the owner's: the account is shadow-banned."""


class VideoStore:
    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    # -- reads

    async def find(self, video_id: VideoId, *, fresh: bool = True) -> Video | None:
        async with self._shards.read(Family.VIDEO, video_id, fresh=fresh) as connection:
            row = await connection.fetchrow(f"select {COLUMNS} from videos v where v.id = $1", video_id)  # noqa: S608
        return video_of(row) if row is not None else None

    async def get(self, video_id: VideoId, *, fresh: bool = True) -> Video:
        """A video that is not deleted. Raises UnknownVideo."""
        video = await self.find(video_id, fresh=fresh)
        if video is None or video.state is VideoState.DELETED:
            raise UnknownVideo(f"there is no video {video_id}")
        return video

    async def owned(self, video_id: VideoId, owner: UserId) -> Video:
        """Raises UnknownVideo, NotYours."""
        video = await self.get(video_id)
        if video.owner_id != owner:
            raise NotYours("this video belongs to someone else")
        return video

    async def counters_of(self, video_id: VideoId) -> Counters:
        async with self._shards.read(Family.VIDEO, video_id) as connection:
            return await read_counters(connection, video_id)

    # -- upload

    async def create(self, connection: Connection, *, video_id: VideoId, owner_id: UserId, region: str) -> None:
        shard = shard_of(Family.VIDEO, video_id)
        await connection.execute(
            "insert into videos (id, shard, owner_id, region) values ($1, $2, $3, $4)",
            video_id,
            shard,
            owner_id,
            region,
        )
        await connection.execute("insert into video_counters (video_id, shard) values ($1, $2)", video_id, shard)

    async def uploaded(self, video_id: VideoId, metadata: Metadata, *, original_key: str) -> bool:
        """created -> uploaded with metadata, outbox and job in one transaction; False if it was past that already."""
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            row = await connection.fetchrow(
                f"""update videos v set state = 'uploaded', version = version + 1, stage = 'queued', progress = 0,
                       title = $2, description = $3, hashtags = $4, sound_id = $5, sound_title = $6, sound_artist = $7,
                       visibility = $8, publish_at = $9, edits = $10, original_key = $11, partner_id = $12,
                       remixes_open = $13, shadow_banned = $14, uploaded_at = now()
                   where id = $1 and state = 'created' returning {COLUMNS}""",  # noqa: S608
                video_id,
                metadata.title,
                metadata.description,
                list(metadata.hashtags),
                int(metadata.sound.id) if metadata.sound else None,
                metadata.sound.title if metadata.sound else None,
                metadata.sound.artist if metadata.sound else None,
                str(metadata.visibility),
                metadata.publish_at,
                metadata.edits,
                original_key,
                metadata.partner_id,
                metadata.remixes_open,
                metadata.hidden,
            )
            if row is None:
                return False
            video = video_of(row)
            await connection.execute("update uploads set state = 'complete' where video_id = $1", video_id)
            await enqueue(connection, kind=PACKAGE_JOB, key=str(video_id), family=Family.VIDEO, snowflake=video_id)
            await announce(connection, VIDEO_STATE, video)
            return True

    async def replaced(self, video_id: VideoId, *, original_key: str) -> bool:
        """A new file for a ready or failed video: the next revision is processed while the old one is served."""
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            row = await connection.fetchrow(
                f"""update videos v set version = version + 1, revision = revision + 1, attempt = 0, stage = 'queued',
                       progress = 0, original_key = $2, error_code = null, error_detail = null, embedding = null,
                       state = case when state = 'failed' then 'processing' else state end
                   where id = $1 and state in ('ready', 'failed') and original_key is distinct from $2
                   returning {COLUMNS}""",  # noqa: S608
                video_id,
                original_key,
            )
            if row is None:
                return False
            await connection.execute("update uploads set state = 'complete' where video_id = $1", video_id)
            await _package_anew(connection, video_id)
            await announce(connection, VIDEO_STATE, video_of(row))
            return True

    # -- processing, called by the worker

    async def begin_processing(self, video_id: VideoId) -> Video | None:
        """uploaded or processing -> processing; for a replacement of a ready video only the stage moves.

        When a worker was on this upload before, the content gets a new revision, which fences that worker out (each of
        its compare-and-sets names the old one) and keeps published bytes immutable.
        None when there is nothing to do any more (deleted, blocked, done).
        """
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            row = await connection.fetchrow(
                f"""update videos v set state = case when state = 'ready' then 'ready' else 'processing' end,
                       version = version + 1, stage = 'fetching', progress = 0, attempt = attempt + 1,
                       revision = revision + least(attempt, 1), error_code = null, error_detail = null
                   where id = $1 and (state in ('uploaded', 'processing', 'failed')
                        or (state = 'ready' and (revision is distinct from ready_revision or not complete)))
                   returning {COLUMNS}""",  # noqa: S608
                video_id,
            )
        return video_of(row) if row is not None else None

    async def progress(self, video_id: VideoId, *, revision: int, stage: str, fraction: float) -> bool:
        """Record where processing is; False when the video is not being processed any more: stop and erase."""
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            status = await connection.execute(
                """update videos set stage = $3, progress = $4
                   where id = $1 and revision = $2 and state in ('processing', 'ready')""",
                video_id,
                revision,
                stage,
                fraction,
            )
        return affected(status) == 1

    async def publish(
        self, video_id: VideoId, *, revision: int, manifest: MediaManifest, creator: Creator, complete: bool
    ) -> Video | None:
        """Serve `revision` with `manifest`: the compare-and-set that a delete wins. None: lost, erase what you wrote.

        The first call makes the video ready (or keeps it for its scheduled time); later ones add rungs.
        """
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            was = await connection.fetchval("select ready_revision from videos where id = $1 for update", video_id)
            row = await connection.fetchrow(
                f"""update videos v set manifest = $3, complete = $4, version = version + 1,
                       state = case when publish_at > now() then state else 'ready' end,
                       stage = case when publish_at > now() then 'scheduled' when $4 then '' else stage end,
                       progress = case when $4 then 1 else progress end,
                       ready_revision = revision,
                       published_at = case when publish_at > now() then null else coalesce(published_at, now()) end
                   where id = $1 and revision = $2 and state in ('processing', 'ready')
                   returning {COLUMNS}""",  # noqa: S608
                video_id,
                revision,
                msgspec.json.encode(manifest).decode(),
                complete,
            )
            if row is None:
                return None
            video = video_of(row)
            if video.state is VideoState.READY:
                # no news: one more rung, or the revision of another worker that took over the same upload
                news = was is None or was < original_revision(video.original_key or "")
                await announce_ready(connection, video, creator, news=news)
            else:
                await _publish_later(connection, video)
            return video

    async def publish_scheduled(self, video_id: VideoId, creator: Creator) -> Video | None:
        """processing -> ready once `publish_at` has come; None if it was deleted, moved or is out already."""
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            row = await connection.fetchrow(
                f"""update videos v set state = 'ready', stage = '', version = version + 1,
                       published_at = coalesce(published_at, now())
                   where id = $1 and state = 'processing' and manifest is not null and ready_revision is not null
                       and publish_at <= now() returning {COLUMNS}""",  # noqa: S608
                video_id,
            )
            if row is None:
                return None
            video = video_of(row)
            await announce_ready(connection, video, creator)
            return video

    async def embedded(self, video_id: VideoId, *, revision: int, vector: bytes, space: str, creator: Creator) -> bool:
        """Store the vector (256 little-endian float16) and tell the PoPs if the video is out; False: video is gone."""
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            row = await connection.fetchrow(
                f"""update videos v set embedding = $3, embedding_space = $4, version = version + 1
                   where id = $1 and revision = $2 and state <> 'deleted' returning {COLUMNS}""",  # noqa: S608
                video_id,
                revision,
                vector,
                space,
            )
            if row is None:
                return False
            video = video_of(row)
            if video.in_catalogue:
                await upsert_item(connection, video, creator)
            return True

    async def fail(self, video_id: VideoId, *, revision: int, code: str, detail: str) -> bool:
        """Give up this revision with a reason for the uploader. A video that is out stays out with what it has."""
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            row = await connection.fetchrow(
                f"""update videos v set version = version + 1, error_code = $3, error_detail = $4, stage = '',
                       state = case when state = 'ready' then 'ready' else 'failed' end,
                       revision = case when state = 'ready' then ready_revision else revision end
                   where id = $1 and revision = $2 and state = any($5) returning {COLUMNS}""",  # noqa: S608
                video_id,
                revision,
                code,
                detail[:1000],
                [*before(VideoState.FAILED), "ready"],
            )
            if row is None:
                return False
            video = video_of(row)
            await announce(connection, VIDEO_STATE, video)
            await announce(connection, VIDEO_FAILED, video, reason=detail[:500])
            return True

    # -- change and delete

    async def change(self, video_id: VideoId, owner: UserId, creator: Creator, changes: dict[str, Any]) -> Video:
        """Set columns of `changes` (known names only) and tell the PoPs. Raises UnknownVideo, NotYours, StateConflict
        (another time to be published for a video that is out)."""
        allowed = ("title", "description", "hashtags", "visibility", "comments_open", "remixes_open", "publish_at")
        names = [name for name in allowed if name in changes]
        assignments = "".join(f", {name} = ${index}" for index, name in enumerate(names, start=3))
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            old = await connection.fetchrow(
                f"select {COLUMNS} from videos v where v.id = $1 and state <> 'deleted' for update",  # noqa: S608
                video_id,
            )
            if old is None:
                raise UnknownVideo(f"there is no video {video_id}")
            if old["owner_id"] != owner:
                raise NotYours("this video belongs to someone else")
            if "publish_at" in changes and old["published_at"] is not None:
                raise StateConflict("this video is out already: hide it by its visibility instead")
            row = await connection.fetchrow(
                f"""update videos v set version = version + 1{assignments}
                    where id = $1 and owner_id = $2 returning {COLUMNS}""",  # noqa: S608
                video_id,
                owner,
                *(changes[name] for name in names),
            )
            video = video_of(row)
            if "publish_at" in changes and video.stage == "scheduled":
                await cancel(connection, kind=PUBLISH_JOB, key=str(video_id))
                await _publish_later(connection, video)
            await announce(connection, VIDEO_STATE, video)
            former = video_of(old)
            if video.served and is_open(video.visibility) != is_open(former.visibility):
                await announce(connection, VIDEO_ACCESS, video)
            if video.in_catalogue:
                await index_video_texts(connection, video)
                await upsert_item(connection, video, creator)
            elif former.in_catalogue:
                await withdraw(connection, video)
            return video

    async def delete(self, video_id: VideoId, *, owner: UserId | None, settle_s: float) -> bool:
        """Any state -> deleted, at once and for good; False if it was deleted before. `owner` None: the platform.

        The erase job follows now and once more after `settle_s`, when no worker can hold a lease any longer.
        Raises UnknownVideo, NotYours.
        """
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            row = await connection.fetchrow(
                f"select {COLUMNS} from videos v where v.id = $1 for update",  # noqa: S608
                video_id,
            )
            if row is None:
                raise UnknownVideo(f"there is no video {video_id}")
            video = video_of(row)
            if owner is not None and video.owner_id != owner:
                raise NotYours("this video belongs to someone else")
            if video.state is VideoState.DELETED:
                return False
            await connection.execute(
                """update videos set state = 'deleted', version = version + 1, deleted_at = now(), stage = '',
                       title = '', description = '', hashtags = '{}', embedding = null where id = $1""",
                video_id,
            )
            for kind in (PACKAGE_JOB, EMBED_JOB, PUBLISH_JOB, SWEEP_JOB):
                await cancel(connection, kind=kind, key=str(video_id))
                await connection.execute("delete from jobs where kind = $1 and key = $2", kind, str(video_id))
            await enqueue(
                connection,
                kind=ERASE_JOB,
                key=str(video_id),
                family=Family.VIDEO,
                snowflake=video_id,
                payload={"settleS": settle_s, "ownerId": str(video.owner_id)},
                priority=1,
            )
            await withdraw(connection, video)
            await announce(connection, VIDEO_STATE, video, state=VideoState.DELETED, version=video.version + 1)
            await announce(connection, VIDEO_DELETED, video)
            return True

    async def reprocess(self, video_id: VideoId, *, act: Act | None = None) -> Video:
        """failed -> processing again with a fresh job, for the uploader or as an operator's `act`.

        Raises UnknownVideo, StateConflict.
        """
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            row = await connection.fetchrow(
                f"""update videos v set state = 'processing', version = version + 1, stage = 'queued', progress = 0,
                       error_code = null, error_detail = null
                   where id = $1 and state = 'failed' and original_key is not null returning {COLUMNS}""",  # noqa: S608
                video_id,
            )
            if row is None:
                raise StateConflict("only a failed video whose original is kept can be processed again")
            await _package_anew(connection, video_id)
            if act is not None:
                await note(connection, act)
            return video_of(row)


async def _package_anew(connection: Connection, video_id: VideoId) -> None:
    """A fresh job, also while one for the former content is still running or about to be removed: that one loses its
    lease. Enqueueing alone would find it live, do nothing, and leave the video without a job when it ends."""
    await cancel(connection, kind=PACKAGE_JOB, key=str(video_id))
    # one that failed has had its answer: the operators' list holds what still waits for one
    await connection.execute(
        "delete from jobs where kind = $1 and key = $2 and state = 'failed'", PACKAGE_JOB, str(video_id)
    )
    await enqueue(connection, kind=PACKAGE_JOB, key=str(video_id), family=Family.VIDEO, snowflake=video_id)


async def _publish_later(connection: Connection, video: Video) -> None:
    """The job that brings a finished video out at its time (at once, if that has come)."""
    assert video.publish_at is not None
    wait_s = (video.publish_at - dt.datetime.now(dt.UTC)).total_seconds()
    await enqueue(
        connection,
        kind=PUBLISH_JOB,
        key=str(video.id),
        family=Family.VIDEO,
        snowflake=video.id,
        delay_s=max(0.0, wait_s),
    )
