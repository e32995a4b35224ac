"""Bodies and replies of the upload routes."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from foundation.ids import IdText
from foundation.wire import Wire
from origin.uploads.rules import FILENAME_PATTERN, HASHTAG_PATTERN, KEY_PATTERN, MAX_HASHTAGS
from packager.edits import Edits

Hashtags = Annotated[
    tuple[Annotated[str, Meta(max_length=60, extra_json_schema={"pattern": HASHTAG_PATTERN})], ...],
    Meta(max_length=MAX_HASHTAGS),
]
"""With or without '#'; empty ones are dropped."""


class UploadInit(Wire, frozen=True, kw_only=True):
    filename: Annotated[str, Meta(min_length=1, max_length=255, extra_json_schema={"pattern": FILENAME_PATTERN})]
    filesize: Annotated[int, Meta(ge=0)]
    """Bytes; the document says how many this installation takes."""
    duration_ms: Annotated[int, Meta(ge=0)] | None = None
    duration_ms_seed: Annotated[int, Meta(ge=0)] | None = msgspec.field(default=None, name="duration_ms")
    """The same, as the seed's clients write it."""
    video_id: Annotated[str, Meta(min_length=8, max_length=64, pattern=KEY_PATTERN)] | None = None
    """An id the client made (a UUID, say): a repeated init with it gives the same upload. Or send Idempotency-Key."""


class UploadLimits(Wire, frozen=True, kw_only=True):
    """What the caller may upload, before a byte is sent."""

    tier: str
    uploads_a_day: int
    uploads_left: int
    resets_in: int
    """Seconds until the day's count starts again (00:00 UTC)."""
    max_file_bytes: int
    min_duration_ms: int
    max_duration_ms: int
    chunk_size: int
    """Bytes of every part but the last."""


class UploadTicket(Wire, frozen=True, kw_only=True):
    video_id: str
    upload_url: str
    """PUT {uploadUrl}?part=N with raw bytes, N from 1, in any order, in parallel; GET it for the parts received."""
    chunk_size: int
    """Bytes of every part but the last."""
    expires_at: int
    """Unix ms; not completed by then, the upload is collected."""


class ReceivedPart(Wire, frozen=True, kw_only=True):
    part: int
    size: int


class ReceivedParts(Wire, frozen=True, kw_only=True):
    parts: tuple[ReceivedPart, ...]
    part_count: int
    received_bytes: int
    filesize: int


class PartReceipt(Wire, frozen=True, kw_only=True):
    part: int
    size: int
    etag: str


class PartQuery(Wire, frozen=True, kw_only=True):
    part: Annotated[int, Meta(ge=1, le=10_000)]


class Completion(Wire, frozen=True, kw_only=True):
    title: Annotated[str, Meta(max_length=150)] = ""
    description: Annotated[str, Meta(max_length=2200)] = ""
    hashtags: Hashtags = ()
    music_id: IdText | None = None
    """Sound of the library, named under the video; with `edits.sound` it is also mixed under the clip."""
    partner_id: IdText | None = None
    """The other video of `edits.partner` (duet or stitch): public and open to remixes, or one's own."""
    remixes_open: bool | None = None
    """Whether others may duet and stitch this video and use its sound; left out: yes, for a teen no."""
    visibility: Literal["public", "unlisted", "followers", "private"] = "public"
    edits: Edits | None = None
    publish_at: Annotated[dt.datetime, Meta(tz=True)] | None = None
    """With time zone: stay unpublished until then."""


class VideoStatus(Wire, frozen=True, kw_only=True):
    video_id: str
    status: str
    """created, uploaded, processing, ready, review, blocked, failed."""
    state: str
    stage: str
    progress: float
    """0 to 1 over the whole processing."""
    reason: str | None = None
    """Why it failed, for people."""
    code: str | None = None
    """Why it failed, for programs."""
    urls: dict[str, str] = msgspec.field(default_factory=dict)
    """Filled once it plays."""


class PresignedParts(Wire, frozen=True, kw_only=True):
    parts: tuple[PresignedPart, ...]
    expires_in: int


class PresignedPart(Wire, frozen=True, kw_only=True):
    part: int
    url: str


class PresignBody(Wire, frozen=True, kw_only=True):
    parts: Annotated[tuple[Annotated[int, Meta(ge=1, le=10_000)], ...], Meta(min_length=1, max_length=100)]
