"""The `erase` and `sweep` jobs: what is left of a deleted video, and of revisions no longer served.

Erasing runs twice: at once, and after `settleS`, when every lease and request that could still write has ended. Only
then does the row go; until then it is the tombstone that makes late writers lose.
"""

from __future__ import annotations

from dataclasses import dataclass

from foundation.ids import VideoId
from foundation.stores.job_queue import Job, JobQueue, enqueue
from foundation.stores.objects import ObjectStore
from foundation.stores.postgres import Connection, Shards
from foundation.stores.shard_map import Family
from origin.lifecycle.object_keys import original_revision, originals_prefix, revision_prefix, video_prefix
from origin.lifecycle.video_store import ERASE_JOB, VideoStore
from origin.sounds.forgetting import SoundForgetting

_ROWS = (
    "delete from comment_likes where video_id = $1",
    "delete from comments where video_id = $1",
    "delete from engagements where video_id = $1",
    "delete from shares where video_id = $1",
    "delete from video_hashtags where video_id = $1",
    "delete from uploads where video_id = $1",
    "delete from counter_journal where video_id = $1",
)
_LAST_ROWS = (
    "delete from watch_events where video_id = $1",
    "delete from video_counters where video_id = $1",
    "delete from videos where id = $1 and state = 'deleted'",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasing:
    shards: Shards
    objects: ObjectStore
    videos: VideoStore
    queue: JobQueue
    sounds: SoundForgetting

    async def erase(self, job: Job) -> bool:
        """Erase once; True when the job was replaced by its second pass (and so is finished already)."""
        video_id = VideoId(int(job.key))
        final = bool(job.payload.get("final"))
        await self._objects(video_id)
        sound_id = await self._sound(job, video_id)
        async with self.shards.write(Family.VIDEO, video_id) as connection:
            for statement in _ROWS:
                await connection.execute(statement, video_id)
            if not final:
                await self.queue.finish(job, connection=connection)
                await self._second_pass(connection, job, video_id, sound_id)
                return True
            for statement in _LAST_ROWS:
                await connection.execute(statement, video_id)
        async with self.shards.write(Family.USER, int(job.payload["ownerId"])) as connection:
            await connection.execute("delete from user_videos where video_id = $1 and state = 'deleted'", video_id)
        return False

    async def _sound(self, job: Job, video_id: VideoId) -> int | None:
        """The second pass finds uploads that were being completed with the video's sound during the first."""
        if job.payload.get("soundId") is None:
            return await self.sounds.forget(video_id)
        await self.sounds.unname(int(job.payload["soundId"]))
        return None

    async def _second_pass(self, connection: Connection, job: Job, video_id: VideoId, sound_id: int | None) -> None:
        await enqueue(
            connection,
            kind=ERASE_JOB,
            key=job.key,
            family=Family.VIDEO,
            snowflake=video_id,
            payload={**job.payload, "final": True, "soundId": None if sound_id is None else str(sound_id)},
            delay_s=float(job.payload.get("settleS", 0)),
        )

    async def _objects(self, video_id: VideoId) -> None:
        async with self.shards.read(Family.VIDEO, video_id) as connection:
            upload = await connection.fetchrow(
                "select object_key, s3_upload_id from uploads where video_id = $1", video_id
            )
        if upload is not None:
            await self.objects.abort_multipart(upload["object_key"], upload["s3_upload_id"])
        await self.objects.delete_prefix(originals_prefix(video_id))
        await self.objects.delete_prefix(video_prefix(video_id))

    async def sweep(self, job: Job) -> None:
        """Remove revisions older than the one being served."""
        video = await self.videos.find(VideoId(int(job.key)))
        if video is None or video.ready_revision is None:
            return
        for revision in range(1, video.ready_revision):
            await self.objects.delete_prefix(revision_prefix(video.id, revision))
        for original in await self.objects.list_prefix(originals_prefix(video.id)):
            if 0 < original_revision(original.key) < original_revision(video.original_key or ""):
                await self.objects.delete(original.key)
