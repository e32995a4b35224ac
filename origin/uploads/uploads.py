"""Begin, feed and finish an upload: what all three protocols share."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import msgspec

from foundation.errors import BadInput
from foundation.ids import Snowflake, UserId, VideoId
from foundation.stores.objects import ObjectStore, Part
from origin.accounts.account_store import Account
from origin.errors import StateConflict, UploadIncomplete
from origin.lifecycle.object_keys import original_key
from origin.lifecycle.states import VideoState, Visibility, narrowed
from origin.lifecycle.video import Video
from origin.lifecycle.video_store import Metadata, VideoStore
from origin.text import clean_text
from origin.uploads.ingredients import NO_INGREDIENTS, Ingredients
from origin.uploads.messages import Completion
from origin.uploads.rules import UploadRules, clean_hashtags
from origin.uploads.upload_store import Upload, UploadStore
from packager.errors import RefusedInput
from packager.sniff import HEAD_BYTES, demuxer_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """Shell around the stores; raises the errors of `origin.errors` named in each method."""

    videos: VideoStore
    uploads: UploadStore
    objects: ObjectStore
    rules: UploadRules
    ids: Snowflake
    region: str
    life_s: float
    clock_s: Callable[[], float]

    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.clock_s(), tz=dt.UTC)

    async def begin(
        self,
        owner: UserId,
        *,
        video_id: VideoId,
        filename: str,
        size: int | None,
        protocol: str,
        metadata: str = "",
    ) -> Upload:
        """A new video in state `created` with an open multipart upload; the earlier one if `video_id` has one."""
        existing = await self.uploads.find(video_id)
        if existing is not None:
            return existing
        key = original_key(video_id, 1)
        s3_upload_id = await self.objects.create_multipart(key, content_type="application/octet-stream")
        upload = Upload(
            video_id=video_id,
            owner_id=owner,
            revision=1,
            protocol=protocol,
            object_key=key,
            s3_upload_id=s3_upload_id,
            filename=filename,
            size=size,
            received=0,
            state="open",
            expires_at=self.now() + dt.timedelta(seconds=self.life_s),
            metadata=metadata,
        )
        if await self.uploads.create(upload, region=self.region):
            return upload
        await self.objects.abort_multipart(key, s3_upload_id)  # another init with the same key was first
        return await self.uploads.owned(video_id, owner)

    async def replace(self, video: Video, *, filename: str, size: int) -> Upload:
        """An upload whose completion gives `video` another file; its id, counters and comments stay. StateConflict."""
        key = original_key(video.id, video.revision + 1)
        s3_upload_id = await self.objects.create_multipart(key, content_type="application/octet-stream")
        upload = Upload(
            video_id=video.id,
            owner_id=video.owner_id,
            revision=video.revision + 1,
            protocol="parts",
            object_key=key,
            s3_upload_id=s3_upload_id,
            filename=filename,
            size=size,
            received=0,
            state="open",
            expires_at=self.now() + dt.timedelta(seconds=self.life_s),
        )
        try:
            former = await self.uploads.reopen(upload)
        except StateConflict:
            await self.objects.abort_multipart(key, s3_upload_id)
            raise
        if former is not None and former.state == "open":
            await self.objects.abort_multipart(former.object_key, former.s3_upload_id)
        return upload

    async def put_part(self, upload: Upload, number: int, body: AsyncIterator[bytes], *, length: int | None) -> Part:
        """Stream one part to the store. Raises BadInput if it has not the size of its number."""
        if upload.size is None or upload.protocol != "parts":
            raise StateConflict(f"this upload goes by {upload.protocol}, not by parts")
        expected = self.rules.part_size(upload.size, number)
        if length is not None and length != expected:
            raise BadInput(
                f"part {number} of this file has {expected} bytes, you announced {length}", expected=expected
            )
        etag = await self.objects.put_part(
            upload.object_key, upload.s3_upload_id, number, _exactly(body, expected), size=expected
        )
        part = Part(number=number, size=expected, etag=etag)
        await self.uploads.add_part(upload.video_id, part)
        return part

    async def complete(
        self, upload: Upload, account: Account, body: Completion, ingredients: Ingredients = NO_INGREDIENTS
    ) -> Video:
        """Join the parts and hand the video over to processing; repeating it changes nothing.

        Raises UploadIncomplete, RefusedInput (not a video: the video is then `failed`), BadInput.
        """
        metadata = self._metadata(account, body, ingredients)
        video = await self.videos.get(upload.video_id)
        if upload.state != "open" or (upload.revision == 1 and video.state is not VideoState.CREATED):
            return video
        await self._join(upload)
        try:
            demuxer_of(await self._head(upload.object_key))
        except RefusedInput as err:
            if video.state is VideoState.CREATED:
                await self.videos.fail(upload.video_id, revision=video.revision, code=err.code, detail=err.detail)
            raise
        if upload.revision > 1:
            await self.videos.replaced(upload.video_id, original_key=upload.object_key)
            return await self.videos.get(upload.video_id)
        if not await self.videos.uploaded(upload.video_id, metadata, original_key=upload.object_key):
            current = await self.videos.find(upload.video_id)
            if current is None or current.state is VideoState.DELETED:  # a delete was faster: leave nothing behind
                await self.objects.delete(upload.object_key)
        return await self.videos.get(upload.video_id)

    def _metadata(self, account: Account, body: Completion, ingredients: Ingredients) -> Metadata:
        return Metadata(
            title=clean_text(body.title).strip(),
            description=clean_text(body.description).strip(),
            hashtags=clean_hashtags(body.hashtags),
            sound=ingredients.sound,
            visibility=narrowed(Visibility(body.visibility), account_private=account.private),
            publish_at=body.publish_at,
            edits=msgspec.json.encode(body.edits).decode() if body.edits is not None else "{}",
            partner_id=ingredients.partner_id,
            remixes_open=not account.teen if body.remixes_open is None else body.remixes_open,
            hidden=account.hidden,
        )

    async def _join(self, upload: Upload) -> None:
        parts = await self._stored_parts(upload)
        if parts is None or not await self.objects.complete_multipart(upload.object_key, upload.s3_upload_id, parts):
            # no such upload at the store: another complete has joined it, or it was aborted
            info = await self.objects.head(upload.object_key)
            if info is None or (upload.size is not None and info.size != upload.size):
                raise UploadIncomplete("the parts of this upload are gone: begin again with init")

    async def _stored_parts(self, upload: Upload) -> list[Part] | None:
        if upload.protocol == "presigned":
            parts = await self.objects.list_parts(upload.object_key, upload.s3_upload_id)
            if parts is None:
                return None
        else:
            parts = await self.uploads.parts(upload.video_id)
        self._check_complete(upload, parts)
        return parts

    def _check_complete(self, upload: Upload, parts: list[Part]) -> None:
        size = upload.size if upload.size is not None else upload.received
        have = {part.number for part in parts}
        if upload.protocol == "parts":
            missing = [number for number in range(1, self.rules.part_count(size) + 1) if number not in have]
            if missing:
                raise UploadIncomplete(
                    f"{len(missing)} parts are missing, first: {missing[:20]}", missingParts=missing[:1000]
                )
        received = sum(part.size for part in parts)
        if received != size:
            raise UploadIncomplete(f"{received} of {size} bytes have arrived", receivedBytes=received, filesize=size)

    async def _head(self, key: str) -> bytes:
        async with self.objects.open(key, headers={"Range": f"bytes=0-{HEAD_BYTES - 1}"}) as body:
            return await body.read() if body.status in (200, 206) else b""

    def with_size(self, upload: Upload, size: int) -> Upload:
        return replace(upload, size=size)


async def _exactly(body: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """Pass `size` bytes through. Raises BadInput when more or fewer come."""
    seen = 0
    async for chunk in body:
        seen += len(chunk)
        if seen > size:
            raise BadInput(f"this part is longer than its {size} bytes", expected=size)
        yield chunk
    if seen != size:
        raise BadInput(f"the part broke off after {seen} of {size} bytes: send it again", expected=size)
