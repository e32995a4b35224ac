"""Captions in the row of their video, and in the item that PoPs have of it, in one transaction."""

from __future__ import annotations

import msgspec

from foundation.errors import Conflict
from foundation.ids import UserId, VideoId
from foundation.stores.outbox import append
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family
from foundation.wire.catalogue import CaptionFile, Creator
from origin.errors import NotYours, UnknownVideo
from origin.lifecycle.announcements import upsert_item
from origin.lifecycle.video import COLUMNS, Video, video_of

MAX_LANGUAGES = 40
CAPTIONS_CHANGED = "captions.changed"


class CaptionStore:
    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def set(
        self, video_id: VideoId, owner: UserId, creator: Creator, *, lang: str, file: str | None
    ) -> tuple[Video, str | None]:
        """Name the file of a language (None: it has none) and give the video and the former file's name.

        Raises UnknownVideo, NotYours, Conflict (too many languages).
        """
        async with self._shards.write(Family.VIDEO, video_id) as connection:
            row = await connection.fetchrow(
                f"select {COLUMNS} from videos v where v.id = $1 and state <> 'deleted' for update",  # noqa: S608
                video_id,
            )
            if row is None:
                raise UnknownVideo(f"there is no video {video_id}")
            before = video_of(row)
            if before.owner_id != owner:
                raise NotYours("this video belongs to someone else")
            former = next((caption.file for caption in before.captions if caption.lang == lang), None)
            kept = [caption for caption in before.captions if caption.lang != lang]
            if file is not None:
                kept.append(CaptionFile(lang=lang, file=file))
            if len(kept) > MAX_LANGUAGES:
                raise Conflict(f"a video has captions in at most {MAX_LANGUAGES} languages")
            changed = await connection.fetchrow(
                f"update videos v set captions = $2, version = version + 1 where id = $1 returning {COLUMNS}",  # noqa: S608
                video_id,
                msgspec.json.encode(sorted(kept, key=lambda caption: caption.lang)).decode(),
            )
            video = video_of(changed)
            if former is not None:
                await append(connection, topic=CAPTIONS_CHANGED, key=str(video_id), payload={})
            if video.in_catalogue:
                await upsert_item(connection, video, creator)
            return video, former
