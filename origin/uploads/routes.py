"""Routes of the seed's upload API: init, parts, complete, and presigned parts straight to the object store."""

from __future__ import annotations

import re
from typing import Any

from foundation.errors import BadInput
from foundation.http.endpoint import Access, Call, Header, endpoint
from foundation.ids import VideoId
from origin.accounts.access import AccessStore
from origin.errors import (
    DurationRefused,
    FileTooLarge,
    NotYours,
    QuotaExceeded,
    RemixRefused,
    SoundNotReady,
    StateConflict,
    UnknownSound,
    UnknownVideo,
    UploadClosed,
    UploadExpired,
    UploadIncomplete,
)
from origin.lifecycle.routes import status_of
from origin.limits import Limits
from origin.uploads.ingredients import NO_INGREDIENTS, Pantry
from origin.uploads.messages import (
    Completion,
    PartQuery,
    PartReceipt,
    PresignBody,
    PresignedPart,
    PresignedParts,
    ReceivedPart,
    ReceivedParts,
    UploadInit,
    UploadLimits,
    UploadTicket,
    VideoStatus,
)
from origin.uploads.rules import KEY_PATTERN
from origin.uploads.upload_store import Upload
from origin.uploads.uploads import Uploads
from packager.errors import RefusedInput

_KEY = re.compile(KEY_PATTERN)
IDEMPOTENCY_KEY = Header(
    name="Idempotency-Key",
    description="A repeat with the same key changes nothing and gets the same answer",
    schema={"type": "string", "pattern": KEY_PATTERN, "maxLength": 128},
)
_PRESIGN_LIFE_S = 3600


class UploadRoutes:
    def __init__(
        self, *, uploads: Uploads, access: AccessStore, limits: Limits, pantry: Pantry, public_url: str
    ) -> None:
        self._uploads = uploads
        self._access = access
        self._limits = limits
        self._pantry = pantry
        self._public_url = public_url

    @endpoint(
        "GET",
        "/api/v1/videos/upload/limits",
        summary="What I may upload, and how often today",
        reply=UploadLimits,
        access=Access.USER,
    )
    async def upload_limits(self, call: Call[None]) -> UploadLimits:
        """Nothing is counted by asking; the same numbers stand in the RateLimit headers of init."""
        account, rules = await self._access.actor(call), self._uploads.rules
        quota = await self._limits.look(call.request, what="uploads", user_id=account.id, tier=account.tier)
        return UploadLimits(
            tier=account.tier,
            uploads_a_day=quota.limit,
            uploads_left=quota.remaining,
            resets_in=quota.reset_s,
            max_file_bytes=rules.max_file_bytes,
            min_duration_ms=rules.min_duration_ms,
            max_duration_ms=rules.max_duration_ms,
            chunk_size=rules.chunk_bytes,
        )

    @endpoint(
        "POST",
        "/api/v1/videos/upload/init",
        summary="Begin an upload",
        body=UploadInit,
        reply=UploadTicket,
        status=201,
        access=Access.USER,
        headers=(IDEMPOTENCY_KEY,),
        problems=(FileTooLarge, DurationRefused, QuotaExceeded),
    )
    async def init_upload(self, call: Call[UploadInit]) -> UploadTicket:
        """Limits and the day's quota are checked before any byte is sent. A repeat with the same `videoId` or
        `Idempotency-Key` header gives the same ticket and counts once."""
        return self._ticket(await self._begin(call, protocol="parts"))

    @endpoint(
        "POST",
        "/api/v1/videos/upload/presigned",
        summary="Begin an upload straight to the object store",
        body=UploadInit,
        reply=UploadTicket,
        status=201,
        access=Access.USER,
        headers=(IDEMPOTENCY_KEY,),
        problems=(FileTooLarge, DurationRefused, QuotaExceeded),
    )
    async def init_presigned(self, call: Call[UploadInit]) -> UploadTicket:
        """POST the part numbers you want to send to {uploadUrl}/urls, PUT the bytes to the URLs it gives, complete."""
        return self._ticket(await self._begin(call, protocol="presigned"))

    @endpoint(
        "POST",
        "/api/v1/videos/{id}/replace",
        summary="Begin to replace the file of a video",
        body=UploadInit,
        reply=UploadTicket,
        status=201,
        access=Access.USER,
        problems=(UnknownVideo, NotYours, StateConflict, FileTooLarge, DurationRefused, QuotaExceeded),
    )
    async def replace_file(self, call: Call[UploadInit]) -> UploadTicket:
        """Id, counters and comments stay; the old file plays until the new one is ready. Then parts and complete as
        for a new video (the metadata of complete is not used)."""
        account = await self._access.actor(call)
        video = await self._uploads.videos.owned(self._video_id(call), account.id)
        body = call.body
        duration_ms = body.duration_ms if body.duration_ms is not None else body.duration_ms_seed
        self._uploads.rules.check(filename=body.filename, size=body.filesize, duration_ms=duration_ms)
        async with self._limits.counted(call.request, what="uploads", user_id=account.id, tier=account.tier):
            return self._ticket(await self._uploads.replace(video, filename=body.filename, size=body.filesize))

    async def _begin(self, call: Call[UploadInit], *, protocol: str) -> Upload:
        body = call.body
        account = await self._access.actor(call)
        duration_ms = body.duration_ms if body.duration_ms is not None else body.duration_ms_seed
        self._uploads.rules.check(filename=body.filename, size=body.filesize, duration_ms=duration_ms)
        video_id = VideoId(self._uploads.ids.next_id())
        key = body.video_id or call.request.headers.get("Idempotency-Key")
        if key is not None:
            if not _KEY.fullmatch(key) or len(key) > 128:
                raise BadInput("Idempotency-Key: 1 to 128 visible ASCII characters")
            claimed = await self._uploads.uploads.claim_key(account.id, key, video_id)
            existing = await self._uploads.uploads.find(claimed)
            if existing is not None:
                return existing
            video_id = claimed
        async with self._limits.counted(call.request, what="uploads", user_id=account.id, tier=account.tier):
            return await self._uploads.begin(
                account.id, video_id=video_id, filename=body.filename, size=body.filesize, protocol=protocol
            )

    @endpoint(
        "PUT",
        "/api/v1/videos/{id}/upload",
        summary="Send one part",
        query=PartQuery,
        body_type="application/octet-stream",
        reply=PartReceipt,
        access=Access.USER,
        problems=(UnknownVideo, NotYours, StateConflict, UploadClosed, UploadExpired),
    )
    async def put_part(self, call: Call[None]) -> PartReceipt:
        """Raw bytes of part `part` (from 1). Any order, in parallel; sending one again is harmless."""
        account = await self._access.actor(call)
        upload = await self._uploads.uploads.open(self._video_id(call), account.id, now=self._uploads.now())
        part = await self._uploads.put_part(
            upload,
            call.query.part,
            call.request.content.iter_chunked(256 * 1024),
            length=call.request.content_length,
        )
        return PartReceipt(part=part.number, size=part.size, etag=part.etag)

    @endpoint(
        "GET",
        "/api/v1/videos/{id}/upload",
        summary="Which parts have arrived",
        reply=ReceivedParts,
        access=Access.USER,
        problems=(UnknownVideo, NotYours),
    )
    async def received_parts(self, call: Call[None]) -> ReceivedParts:
        upload = await self._uploads.uploads.owned(self._video_id(call), call.user())
        if upload.protocol == "presigned" and upload.state == "open":
            parts = await self._uploads.objects.list_parts(upload.object_key, upload.s3_upload_id) or []
        else:
            parts = await self._uploads.uploads.parts(upload.video_id)
        size = upload.size or 0
        return ReceivedParts(
            parts=tuple(ReceivedPart(part=part.number, size=part.size) for part in parts),
            part_count=self._uploads.rules.part_count(size) if size else 0,
            received_bytes=sum(part.size for part in parts),
            filesize=size,
        )

    @endpoint(
        "POST",
        "/api/v1/videos/{id}/upload/urls",
        summary="URLs to PUT parts at the object store",
        body=PresignBody,
        reply=PresignedParts,
        access=Access.USER,
        problems=(UnknownVideo, NotYours, StateConflict, UploadClosed, UploadExpired),
    )
    async def presign(self, call: Call[PresignBody]) -> PresignedParts:
        account = await self._access.actor(call)
        upload = await self._uploads.uploads.open(self._video_id(call), account.id, now=self._uploads.now())
        if upload.protocol != "presigned" or upload.size is None:
            raise StateConflict("begin with /api/v1/videos/upload/presigned to send parts to the object store")
        for number in call.body.parts:
            self._uploads.rules.part_size(upload.size, number)
        return PresignedParts(
            parts=tuple(
                PresignedPart(
                    part=number,
                    url=self._uploads.objects.presign_part(
                        upload.object_key, upload.s3_upload_id, number, expires_s=_PRESIGN_LIFE_S
                    ),
                )
                for number in call.body.parts
            ),
            expires_in=_PRESIGN_LIFE_S,
        )

    @endpoint(
        "POST",
        "/api/v1/videos/{id}/upload/complete",
        summary="Finish an upload and start processing",
        body=Completion,
        reply=VideoStatus,
        access=Access.USER,
        problems=(UnknownVideo, NotYours, UploadIncomplete, UnknownSound, SoundNotReady, RemixRefused, RefusedInput),
    )
    async def complete_upload(self, call: Call[Completion]) -> VideoStatus:
        """Idempotent: metadata, outbox record and job commit in one transaction, once."""
        account = await self._access.actor(call)
        upload = await self._uploads.uploads.owned(self._video_id(call), account.id)
        # a repeat changes nothing: what has gone since must not turn it into an error
        first = upload.state == "open" and upload.revision == 1
        ingredients = await self._pantry.chosen(call.body, by=account.id) if first else NO_INGREDIENTS
        return status_of(await self._uploads.complete(upload, account, call.body, ingredients))

    def _video_id(self, call: Call[Any]) -> VideoId:
        return VideoId(call.path_id("id"))

    def _ticket(self, upload: Upload) -> UploadTicket:
        return UploadTicket(
            video_id=str(upload.video_id),
            upload_url=f"{self._public_url}/api/v1/videos/{upload.video_id}/upload",
            chunk_size=self._uploads.rules.chunk_bytes,
            expires_at=int(upload.expires_at.timestamp() * 1000),
        )
