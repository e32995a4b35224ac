"""Collects uploads nobody finished: the multipart upload at the store, the video row and its parts."""

from __future__ import annotations

import asyncio
import logging

from foundation.errors import PopreelError
from foundation.ids import VideoId
from foundation.stores.objects import ObjectStore
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family
from origin.lifecycle.object_keys import originals_prefix

_log = logging.getLogger(__name__)
_BATCH = 100


class UploadCollector:
    def __init__(self, shards: Shards, *, objects: ObjectStore) -> None:
        self._shards = shards
        self._objects = objects

    async def run(self, *, every_s: float) -> None:
        while True:
            try:
                await self.collect()
            except PopreelError as err:
                _log.info("collection paused", extra={"event": "collect_paused", "cause": err.detail})
            await asyncio.sleep(every_s)

    async def collect(self) -> list[VideoId]:
        """Remove expired open uploads of videos still `created`; returns their ids. May run in several processes."""
        collected: list[VideoId] = []
        for server in self._shards.servers.values():
            async with server.primary() as connection:
                rows = await connection.fetch(
                    """select u.video_id, u.object_key, u.s3_upload_id, v.state from uploads u
                       join videos v on v.id = u.video_id
                       where u.state = 'open' and u.expires_at < now() and v.state <> 'deleted' limit $1""",
                    _BATCH,
                )
            for row in rows:
                await self._objects.abort_multipart(row["object_key"], row["s3_upload_id"])
                async with self._shards.write(Family.VIDEO, row["video_id"]) as connection:
                    if row["state"] != "created":  # a replacement nobody finished: the video stays as it is
                        await connection.execute(
                            "update uploads set state = 'complete' where video_id = $1 and object_key = $2",
                            row["video_id"],
                            row["object_key"],
                        )
                        continue
                    # only if nobody completed it meanwhile
                    gone = await connection.fetchval(
                        "delete from videos where id = $1 and state = 'created' returning id", row["video_id"]
                    )
                    await connection.execute("delete from video_counters where video_id = $1", gone)
                if gone is not None:
                    await self._objects.delete_prefix(originals_prefix(row["video_id"]))
                    collected.append(VideoId(gone))
        return collected
