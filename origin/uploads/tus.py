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
import base64
import binascii
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any

import msgspec
from aiohttp import web

from foundation.errors import BadInput, Conflict, Gone, RequestError, UnsupportedMedia
from foundation.http.endpoint import Access, Call, endpoint
from foundation.ids import VideoId, parse_id
from foundation.stores.objects import ObjectStore, Part
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family
from origin.accounts.access import AccessStore
from origin.accounts.account_store import Account
from origin.errors import FileTooLarge, UnknownVideo
from origin.limits import Limits
from origin.uploads.messages import Completion
from origin.uploads.upload_store import Upload
from origin.uploads.uploads import Uploads

PATH = "/api/v1/uploads/tus"
VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination"
_LAST_WRITE_S = 30.0
_ALGORITHMS = ("sha1", "sha256", "md5")
_BODY = "application/offset+octet-stream"
_RESOURCE = PATH + "/{id:[0-9]{1,19}}"


class WrongVersion(RequestError):
    code = "tus-version"
    status = 412
    title = "This server speaks tus 1.0.0"


class OffsetConflict(Conflict):
    code = "tus-offset"
    title = "The offset is not where the upload stands"


class ChecksumMismatch(RequestError):
    code = "tus-checksum"
    status = 460
    title = "The checksum does not match"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """`Upload-Checksum: sha1 <base64>`."""

    algorithm: str
    digest: bytes


def parse_metadata(header: str) -> dict[str, str]:
    """Key-value pairs of Upload-Metadata: "name b64, flag". Raises BadInput."""
    pairs: dict[str, str] = {}
    for piece in filter(None, (piece.strip() for piece in header.split(","))):
        key, _, encoded = piece.partition(" ")
        if key in pairs:
            raise BadInput(f"Upload-Metadata: {key[:40]!r} twice")
        try:
            pairs[key] = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, ValueError) as err:
            raise BadInput(f"Upload-Metadata: the value of {key[:40]!r} is not base64 of UTF-8") from err
    return pairs


def parse_checksum(header: str | None) -> Checksum | None:
    """Raises BadInput for an algorithm we did not announce."""
    if header is None:
        return None
    algorithm, _, encoded = header.partition(" ")
    if algorithm not in _ALGORITHMS:
        raise BadInput(f"Upload-Checksum: use one of {', '.join(_ALGORITHMS)}")
    try:
        return Checksum(algorithm=algorithm, digest=base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError) as err:
        raise BadInput("Upload-Checksum: the digest is not base64") from err


def parse_count(request: web.Request, header: str) -> int | None:
    """A non-negative integer header, None if absent. Raises BadInput."""
    text = request.headers.get(header)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadInput(f"{header}: a non-negative integer")
    return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class TusStore:
    """Appends bytes to an upload: full parts to S3, the rest to a tail object."""

    shards: Shards
    objects: ObjectStore
    part_bytes: int

    async def append(
        self, upload: Upload, body: AsyncIterator[bytes], *, offset: int, checksum: Checksum | None
    ) -> int:
        """Store what comes, returns the new offset. Raises OffsetConflict, ChecksumMismatch, FileTooLarge, Gone.

        With a checksum nothing is kept unless all of it fits; without one, everything that arrived is.
        """
        if upload.received != offset:
            raise OffsetConflict(f"the upload stands at {upload.received}", offset=upload.received)
        full, tail_bytes = divmod(offset, self.part_bytes)
        tail = await self._tail(upload, offset, tail_bytes)
        sink = _Sink(store=self, upload=upload, buffer=bytearray(tail), parts=full, offset=offset)
        await sink.take(body, limit=upload.size, checksum=checksum)
        if sink.offset != offset or sink.stored:
            await self._advance(upload, sink, offset)
            if tail:
                await self.objects.delete(tail_key(upload, offset))
        return sink.offset

    async def _advance(self, upload: Upload, sink: _Sink, offset: int) -> None:
        async with self.shards.write(Family.VIDEO, upload.video_id) as connection:
            shard = await connection.fetchval(
                """update uploads set received = $3 where video_id = $1 and received = $2 and state = 'open'
                   returning shard""",
                upload.video_id,
                offset,
                sink.offset,
            )
            if shard is None:
                raise OffsetConflict("the upload has moved on meanwhile: ask where it stands")
            await connection.executemany(
                """insert into upload_parts (video_id, number, shard, size, etag) values ($1, $2, $3, $4, $5)
                   on conflict (video_id, number) do update set size = excluded.size, etag = excluded.etag""",
                [(upload.video_id, part.number, shard, part.size, part.etag) for part in sink.stored],
            )

    async def _tail(self, upload: Upload, offset: int, size: int) -> bytes:
        if size == 0:
            return b""
        tail = await self.objects.get_bytes(tail_key(upload, offset))
        if tail is None or len(tail) != size:
            raise Gone("a piece of this upload is lost: begin again")
        return tail

    async def set_length(self, upload: Upload, size: int) -> None:
        """The length of an upload begun with Upload-Defer-Length. Raises OffsetConflict if it was set to another."""
        async with self.shards.write(Family.VIDEO, upload.video_id) as connection:
            done = await connection.fetchval(
                """update uploads set size = $2 where video_id = $1 and (size is null or size = $2) and received <= $2
                   returning true""",
                upload.video_id,
                size,
            )
        if not done:
            raise OffsetConflict("the length of this upload is set already, or more has arrived")


@dataclass(slots=True, kw_only=True)
class _Sink:
    """One PATCH under way: `buffer` holds less than a part between reads."""

    store: TusStore
    upload: Upload
    buffer: bytearray
    parts: int
    offset: int
    stored: list[Part] = field(default_factory=list)

    async def take(self, body: AsyncIterator[bytes], *, limit: int | None, checksum: Checksum | None) -> None:
        digest = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum is not None else None
        try:
            async for chunk in body:
                if limit is not None and self.offset + len(chunk) > limit:
                    raise FileTooLarge("more bytes than the announced length", maxBytes=limit)
                if digest is not None:
                    digest.update(chunk)
                self.buffer += chunk
                self.offset += len(chunk)
                while len(self.buffer) >= self.store.part_bytes:
                    await self._store(bytes(self.buffer[: self.store.part_bytes]))
                    del self.buffer[: self.store.part_bytes]
        except (ConnectionError, web.HTTPException):
            if digest is not None:
                raise  # a checksum covers the whole PATCH: nothing of a broken one counts
        if digest is not None and checksum is not None and digest.digest() != checksum.digest:
            raise ChecksumMismatch("the bytes do not have this checksum: send them again")
        await self._keep_tail(final=limit is not None and self.offset == limit)

    async def _keep_tail(self, *, final: bool) -> None:
        # a tail that now ends the file (its length was told late) becomes the last part when the upload is joined
        if final and self.buffer:
            await self._store(bytes(self.buffer))
            self.buffer.clear()
        elif self.buffer:
            await self.store.objects.put_bytes(
                tail_key(self.upload, self.offset), bytes(self.buffer), content_type="application/octet-stream"
            )

    async def _store(self, data: bytes) -> None:
        self.parts += 1
        etag = await self.store.objects.put_part(
            self.upload.object_key, self.upload.s3_upload_id, self.parts, data, size=len(data)
        )
        self.stored.append(Part(number=self.parts, size=len(data), etag=etag))


def tail_key(upload: Upload, offset: int) -> str:
    return f"{upload.object_key}.tail-{offset}"


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

    @endpoint("OPTIONS", _RESOURCE, summary="What this tus server can do", status=204, tag="tus")
    async def tus_resource_options(self, call: Call[None]) -> web.Response:
        return web.Response(status=204, headers=self._abilities())

    @endpoint(
        "POST",
        PATH,
        summary="tus: create an upload",
        body_type=_BODY,
        reply="created; see Location",
        status=201,
        access=Access.USER,
        problems=(FileTooLarge, WrongVersion),
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
        _completion(metadata)  # refuse bad metadata before a byte is sent
        await self._limits.daily(request, what="uploads", user_id=account.id, tier=account.tier)
        upload = await self._uploads.begin(
            account.id,
            video_id=VideoId(self._uploads.ids.next_id()),
            filename=filename[:255],
            size=size,
            protocol="tus",
            metadata=request.headers.get("Upload-Metadata", ""),
        )
        headers = {"Location": f"{self._public_url}{PATH}/{upload.video_id}", **self._expiry(upload)}
        if request.content_type == _BODY and request.body_exists:
            offset = await self._take(request, account, upload, offset=0)
            headers["Upload-Offset"] = str(offset)
        return _answer(201, headers)

    @endpoint("HEAD", _RESOURCE, summary="tus: where the upload stands", reply="offset", access=Access.USER, tag="tus")
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
        _RESOURCE,
        summary="tus: append bytes",
        body_type=_BODY,
        reply=None,
        status=204,
        access=Access.USER,
        problems=(OffsetConflict, ChecksumMismatch, WrongVersion),
        tag="tus",
    )
    async def tus_patch(self, call: Call[None]) -> web.Response:
        request = call.request
        self._check_version(request)
        if request.content_type != _BODY:
            raise UnsupportedMedia(f"Content-Type: {_BODY}")
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
        "POST", _RESOURCE, summary="tus: PATCH or DELETE by X-HTTP-Method-Override", access=Access.USER, tag="tus"
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

    @endpoint("DELETE", _RESOURCE, summary="tus: give the upload up", status=204, access=Access.USER, tag="tus")
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
            raise
        metadata = parse_metadata(upload.metadata)
        if upload.size is not None and new_offset == upload.size and metadata.get("complete") == "true":
            await self._uploads.complete(upload, account, _completion(metadata))
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
            "Tus-Checksum-Algorithm": ",".join(_ALGORITHMS),
        }


def _completion(metadata: dict[str, str]) -> Completion:
    """What Upload-Metadata says of the video. Raises BadInput (msgspec.ValidationError becomes one)."""
    wanted: dict[str, Any] = {
        name: metadata[name] for name in ("title", "description", "visibility") if name in metadata
    }
    if metadata.get("hashtags"):
        wanted["hashtags"] = [tag for tag in metadata["hashtags"].split(",") if tag.strip()]
    return msgspec.convert(wanted, Completion)


def _answer(status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(status=status, headers={"Tus-Resumable": VERSION, **headers})


async def announce_tus(request: web.Request, response: web.StreamResponse) -> None:
    """`on_response_prepare`: every answer under the tus path carries the version, a 412 the versions we speak."""
    if request.path.startswith(PATH):
        response.headers.setdefault("Tus-Resumable", VERSION)
        response.headers.setdefault("Tus-Version", VERSION)
