"""Uploads and their parts in Postgres (on the video's shard); idempotency keys on the user's."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from foundation.ids import UserId, VideoId
from foundation.stores.objects import Part
from foundation.stores.postgres import Connection, Shards
from foundation.stores.shard_map import Family, shard_of
from origin.errors import NotYours, StateConflict, UnknownVideo, UploadClosed, UploadExpired
from origin.lifecycle.video_store import VideoStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A row of `uploads`. `size` None: not told yet; `received` counts tus bytes only."""

    video_id: VideoId
    owner_id: UserId
    revision: int
    protocol: str
    object_key: str
    s3_upload_id: str
    filename: str
    size: int | None
    received: int
    state: str
    expires_at: dt.datetime
    metadata: str = ""
    """tus Upload-Metadata as sent."""


_COLUMNS = """video_id, owner_id, revision, protocol, object_key, s3_upload_id, filename, size, received, state,
    expires_at, metadata"""


class UploadStore:
    def __init__(self, shards: Shards, videos: VideoStore) -> None:
        self._shards = shards
        self._videos = videos

    async def claim_key(self, user_id: UserId, key: str, video_id: VideoId) -> VideoId:
        """The video this idempotency key stands for: `video_id` the first time, the earlier one afterwards."""
        async with self._shards.write(Family.USER, user_id) as connection:
            await connection.execute(
                """insert into idempotency_keys (user_id, key, shard, video_id) values ($1, $2, $3, $4)
                   on conflict do nothing""",
                user_id,
                key,
                shard_of(Family.USER, user_id),
                video_id,
            )
            found = await connection.fetchval(
                "select video_id from idempotency_keys where user_id = $1 and key = $2", user_id, key
            )
        return VideoId(found)

    async def create(self, upload: Upload, *, region: str) -> bool:
        """Write video and upload in one transaction; False if the video exists (a concurrent init with its key)."""
        async with self._shards.write(Family.VIDEO, upload.video_id) as connection:
            if await connection.fetchval("select true from videos where id = $1", upload.video_id):
                return False
            await self._videos.create(connection, video_id=upload.video_id, owner_id=upload.owner_id, region=region)
            await _insert(connection, upload)
        return True

    async def reopen(self, upload: Upload) -> Upload | None:
        """Begin a replacement: a fresh upload in place of the completed one; returns the former.

        Raises StateConflict unless the video is ready or failed.
        """
        async with self._shards.write(Family.VIDEO, upload.video_id) as connection:
            state = await connection.fetchval("select state from videos where id = $1 for update", upload.video_id)
            if state not in ("ready", "failed"):
                raise StateConflict("only a video that is ready or failed can get another file")
            row = await connection.fetchrow(
                f"delete from uploads where video_id = $1 returning {_COLUMNS}",  # noqa: S608
                upload.video_id,
            )
            await _insert(connection, upload)
        return _upload(row) if row is not None else None

    async def find(self, video_id: VideoId) -> Upload | None:
        async with self._shards.read(Family.VIDEO, video_id) as connection:
            row = await connection.fetchrow(
                f"select {_COLUMNS} from uploads where video_id = $1",  # noqa: S608
                video_id,
            )
        return _upload(row) if row is not None else None

    async def owned(self, video_id: VideoId, owner: UserId) -> Upload:
        """Raises UnknownVideo, NotYours."""
        upload = await self.find(video_id)
        if upload is None:
            raise UnknownVideo(f"there is no upload for video {video_id}")
        if upload.owner_id != owner:
            raise NotYours("this upload belongs to someone else")
        return upload

    async def open(self, video_id: VideoId, owner: UserId, *, now: dt.datetime) -> Upload:
        """An upload that still takes bytes. Raises UnknownVideo, NotYours, UploadClosed, UploadExpired."""
        upload = await self.owned(video_id, owner)
        if upload.state != "open":
            raise UploadClosed("this upload is complete")
        if upload.expires_at <= now:
            raise UploadExpired("this upload has expired: begin again with init")
        return upload

    async def parts(self, video_id: VideoId) -> list[Part]:
        async with self._shards.read(Family.VIDEO, video_id) as connection:
            rows = await connection.fetch(
                "select number, size, etag from upload_parts where video_id = $1 order by number", video_id
            )
        return [Part(number=row["number"], size=row["size"], etag=row["etag"]) for row in rows]

    async def add_part(self, video_id: VideoId, part: Part) -> None:
        """Record a stored part; the last one sent under a number counts. Raises UnknownVideo, UploadClosed."""
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            # the key share lock keeps the upload from being deleted under the new part
            state = await connection.fetchval("select state from uploads where video_id = $1 for key share", video_id)
            if state is None:
                raise UnknownVideo("this video was deleted meanwhile")
            if state != "open":
                raise UploadClosed("this upload is complete")
            await connection.execute(
                """insert into upload_parts (video_id, number, shard, size, etag) values ($1, $2, $3, $4, $5)
                   on conflict (video_id, number) do update set size = excluded.size, etag = excluded.etag""",
                video_id,
                part.number,
                shard_of(Family.VIDEO, video_id),
                part.size,
                part.etag,
            )


async def _insert(connection: Connection, upload: Upload) -> None:
    await connection.execute(
        """insert into uploads (video_id, shard, owner_id, revision, protocol, object_key, s3_upload_id,
               filename, size, expires_at, metadata)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
        upload.video_id,
        shard_of(Family.VIDEO, upload.video_id),
        upload.owner_id,
        upload.revision,
        upload.protocol,
        upload.object_key,
        upload.s3_upload_id,
        upload.filename,
        upload.size,
        upload.expires_at,
        upload.metadata,
    )


def _upload(row: Any) -> Upload:
    return Upload(**dict(row))
