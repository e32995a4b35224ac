"""Appending to an upload at an offset, in pieces of any size, onto an S3 multipart upload."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import web

from foundation.errors import Gone
from foundation.stores.objects import ObjectStore, Part
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family
from origin.errors import FileTooLarge
from origin.uploads.tus_protocol import Checksum, ChecksumMismatch, OffsetConflict
from origin.uploads.upload_store import Upload


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
