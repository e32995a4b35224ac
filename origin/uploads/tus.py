"""tus 1.0.0 (tus.io/protocols/resumable-upload): creation, creation-with-upload, creation-defer-length, expiration,
checksum and termination.

S3 parts have 5 MiB at least, tus clients send what they like: bytes beyond the last full part are kept in a tail object
named by the offset they lead to. What arrived stays, also when the connection breaks in the middle of a PATCH. The new
offset is a compare-and-set against the old one, with no lock or connection held while bytes flow: of two PATCHes at one
offset one counts, the other is told where the upload stands. Upload-Metadata: `filename`, and `title`, `description`,
`hashtags` (comma list), `visibility`; with `complete` = "true" the last byte also completes the upload.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from foundation.errors import BadInput, Gone, UnsupportedMedia
from foundation.http.endpoint import Access, Call, Header, endpoint
from foundation.ids import VideoId, parse_id
from origin.accounts.access import AccessStore
from origin.accounts.account_store import Account
from origin.errors import FileTooLarge, QuotaExceeded, UnknownVideo
from origin.limits import Limits
from origin.uploads.tus_protocol import (
    ALGORITHMS,
    APPENDING_PROBLEMS,
    BODY_TYPE,
    CHECKSUM_HEADER,
    DEFER_HEADER,
    EXPIRES_HEADER,
    EXTENSIONS,
    LENGTH_HEADER,
    METADATA_HEADER,
    OFFSET_HEADER,
    OVERRIDE_HEADER,
    PATH,
    RESOURCE,
    RESUMABLE_HEADER,
    VERSION,
    ChecksumMismatch,
    OffsetConflict,
    WrongVersion,
    completion_of,
    parse_checksum,
    parse_count,
    parse_metadata,
)
from origin.uploads.tus_store import TusStore
from origin.uploads.upload_store import Upload
from origin.uploads.uploads import Uploads
from packager.errors import RefusedInput

_LAST_WRITE_S = 30.0


class TusRoutes:
    def __init__(
        self, *, uploads: Uploads, store: TusStore, access: AccessStore, limits: Limits, public_url: str
    ) -> None:
        self._uploads = uploads
        self._store = store
        self._access = access
        self._limits = limits
        self._public_url = public_url

    @endpoint("OPTIONS", PATH, summary="What this tus server can do", status=204, tag="tus")
    async def tus_options(self, call: Call[None]) -> web.Response:
        return web.Response(status=204, headers=self._abilities())

    @endpoint("OPTIONS", RESOURCE, summary="What this tus server can do", status=204, tag="tus")
    async def tus_resource_options(self, call: Call[None]) -> web.Response:
        return web.Response(status=204, headers=self._abilities())

    @endpoint(
        "POST",
        PATH,
        summary="tus: create an upload",
        body_type=BODY_TYPE,
        body_optional=True,
        status=201,
        access=Access.USER,
        headers=(RESUMABLE_HEADER, LENGTH_HEADER, DEFER_HEADER, METADATA_HEADER, CHECKSUM_HEADER),
        reply_headers=(Header(name="Location", description="URL of the upload", required=True), EXPIRES_HEADER),
        problems=(BadInput, FileTooLarge, WrongVersion, ChecksumMismatch, QuotaExceeded, RefusedInput),
        tag="tus",
    )
    async def tus_create(self, call: Call[None]) -> web.Response:
        """Upload-Length or Upload-Defer-Length: 1; Upload-Metadata with `filename`. A body holds the first bytes."""
        request = call.request
        self._check_version(request)
        account = await self._access.actor(call)
        metadata = parse_metadata(request.headers.get("Upload-Metadata", ""))
        size = self._announced(request)
        filename = metadata.get("filename") or metadata.get("name") or "upload"
        self._uploads.rules.check(filename=filename[:255], size=size if size is not None else 1, duration_ms=None)
        completion_of(metadata)  # refuse bad metadata before a byte is sent
        async with self._limits.counted(request, what="uploads", user_id=account.id, tier=account.tier):
            upload = await self._uploads.begin(
                account.id,
                video_id=VideoId(self._uploads.ids.next_id()),
                filename=filename[:255],
                size=size,
                protocol="tus",
                metadata=request.headers.get("Upload-Metadata", ""),
            )
        headers = {"Location": f"{self._public_url}{PATH}/{upload.video_id}", **self._expiry(upload)}
        if request.content_type == BODY_TYPE and request.body_exists:
            offset = await self._take(request, account, upload, offset=0)
            headers["Upload-Offset"] = str(offset)
        return _answer(201, headers)

    @endpoint(
        "HEAD",
        RESOURCE,
        summary="tus: where the upload stands",
        reply="offset",
        access=Access.USER,
        headers=(RESUMABLE_HEADER,),
        reply_headers=(OFFSET_HEADER, LENGTH_HEADER, DEFER_HEADER, METADATA_HEADER, EXPIRES_HEADER),
        problems=(UnknownVideo, Gone, WrongVersion),
        tag="tus",
    )
    async def tus_head(self, call: Call[None]) -> web.Response:
        self._check_version(call.request)
        upload = await self._upload(call)
        headers = {"Upload-Offset": str(upload.received), "Cache-Control": "no-store", **self._expiry(upload)}
        if upload.size is None:
            headers["Upload-Defer-Length"] = "1"
        else:
            headers["Upload-Length"] = str(upload.size)
        if upload.metadata:
            headers["Upload-Metadata"] = upload.metadata
        return _answer(200, headers)

    @endpoint(
        "PATCH",
        RESOURCE,
        summary="tus: append bytes",
        body_type=BODY_TYPE,
        status=204,
        access=Access.USER,
        headers=(RESUMABLE_HEADER, OFFSET_HEADER, LENGTH_HEADER, CHECKSUM_HEADER),
        reply_headers=(OFFSET_HEADER, EXPIRES_HEADER),
        problems=APPENDING_PROBLEMS,
        tag="tus",
    )
    async def tus_patch(self, call: Call[None]) -> web.Response:
        request = call.request
        self._check_version(request)
        if request.content_type != BODY_TYPE:
            raise UnsupportedMedia(f"Content-Type: {BODY_TYPE}")
        account = await self._access.actor(call)
        offset = parse_count(request, "Upload-Offset")
        if offset is None:
            raise BadInput("Upload-Offset: say where these bytes begin")
        upload = await self._upload(call)
        size = parse_count(request, "Upload-Length")
        if size is not None:
            self._uploads.rules.check(filename=upload.filename, size=size, duration_ms=None)
            await self._store.set_length(upload, size)
            upload = self._uploads.with_size(upload, size)
        if upload.state != "open":
            raise OffsetConflict("this upload is complete", offset=upload.received)
        new_offset = await self._take(request, account, upload, offset=offset)
        return _answer(204, {"Upload-Offset": str(new_offset), **self._expiry(upload)})

    @endpoint(
        "POST",
        RESOURCE,
        summary="tus: PATCH or DELETE by X-HTTP-Method-Override",
        body_type=BODY_TYPE,
        body_optional=True,
        status=204,
        access=Access.USER,
        headers=(
            RESUMABLE_HEADER,
            OVERRIDE_HEADER,
            replace(OFFSET_HEADER, required=False),
            LENGTH_HEADER,
            CHECKSUM_HEADER,
        ),
        problems=APPENDING_PROBLEMS,
        tag="tus",
    )
    async def tus_override(self, call: Call[None]) -> web.Response:
        match call.request.headers.get("X-HTTP-Method-Override", "").upper():
            case "PATCH":
                answer: web.Response = await self.tus_patch(call)
            case "DELETE":
                answer = await self.tus_delete(call)
            case _:
                raise BadInput("X-HTTP-Method-Override: PATCH or DELETE")
        return answer

    @endpoint(
        "DELETE",
        RESOURCE,
        summary="tus: give the upload up",
        status=204,
        access=Access.USER,
        headers=(RESUMABLE_HEADER,),
        problems=(UnknownVideo, Gone, WrongVersion),
        tag="tus",
    )
    async def tus_delete(self, call: Call[None]) -> web.Response:
        self._check_version(call.request)
        upload = await self._upload(call)
        await self._uploads.videos.delete(upload.video_id, owner=call.user(), settle_s=0)
        return _answer(204, {})

    async def _take(self, request: web.Request, account: Account, upload: Upload, *, offset: int) -> int:
        checksum = parse_checksum(request.headers.get("Upload-Checksum"))
        body = request.content.iter_chunked(256 * 1024)
        storing = asyncio.create_task(self._store.append(upload, body, offset=offset, checksum=checksum))
        try:
            new_offset = await asyncio.shield(storing)
        except asyncio.CancelledError:  # the client is gone: keep what it sent before we go, too
            await asyncio.wait({storing}, timeout=_LAST_WRITE_S)
            storing.cancel()
            await asyncio.gather(storing, return_exceptions=True)
            raise
        metadata = parse_metadata(upload.metadata)
        if upload.size is not None and new_offset == upload.size and metadata.get("complete") == "true":
            await self._uploads.complete(upload, account, completion_of(metadata))
        return new_offset

    async def _upload(self, call: Call[Any]) -> Upload:
        """The caller's live tus upload; what was deleted or has expired is gone."""
        upload = await self._uploads.uploads.find(VideoId(parse_id(call.path("id"))))
        if upload is None or upload.protocol != "tus":
            raise UnknownVideo("there is no such upload")
        if upload.owner_id != call.user():
            raise UnknownVideo("there is no such upload")  # nor does a stranger learn that there is
        if upload.state == "open" and upload.expires_at <= self._uploads.now():
            raise Gone("this upload has expired: create a new one")
        video = await self._uploads.videos.find(upload.video_id)
        if video is None or video.state == "deleted":
            raise Gone("this upload was given up")
        return upload

    def _announced(self, request: web.Request) -> int | None:
        size = parse_count(request, "Upload-Length")
        deferred = request.headers.get("Upload-Defer-Length")
        if (size is None) == (deferred is None) or deferred not in (None, "1"):
            raise BadInput("send either Upload-Length or Upload-Defer-Length: 1")
        return size

    def _check_version(self, request: web.Request) -> None:
        if request.headers.get("Tus-Resumable") != VERSION:
            raise WrongVersion(f"send Tus-Resumable: {VERSION}", versions=[VERSION])

    def _expiry(self, upload: Upload) -> dict[str, str]:
        return {"Upload-Expires": format_datetime(upload.expires_at, usegmt=True)} if upload.state == "open" else {}

    def _abilities(self) -> dict[str, str]:
        return {
            "Tus-Resumable": VERSION,
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(self._uploads.rules.max_file_bytes),
            "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
        }


def _answer(status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(status=status, headers={"Tus-Resumable": VERSION, **headers})


async def announce_tus(request: web.Request, response: web.StreamResponse) -> None:
    """`on_response_prepare`: every answer under the tus path carries the version, a 412 the versions we speak."""
    if request.path.startswith(PATH):
        response.headers.setdefault("Tus-Resumable", VERSION)
        response.headers.setdefault("Tus-Version", VERSION)
