"""A file for the library on its way in: looked at, streamed to the object store, handed to a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from foundation.errors import BadInput, RequestError
from foundation.ids import Snowflake
from foundation.stores.objects import ObjectStore, Part
from origin.audit import Act
from origin.errors import FileTooLarge
from origin.lifecycle.object_keys import sound_upload_key
from origin.sounds.sound_store import LibrarySound, SoundStore
from packager.sniff import HEAD_BYTES, sound_demuxer_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundIntake:
    sounds: SoundStore
    objects: ObjectStore
    ids: Snowflake
    max_bytes: int

    async def receive(self, sound_id: int, body: AsyncIterator[bytes], *, size: int | None, act: Act) -> LibrarySound:
        """Store the file and queue its preparation as `act`; `size` is what the sender announced.

        Raises UnknownSound, BadInput, FileTooLarge, RefusedInput (its first bytes are of no sound), StateConflict.
        """
        await self.sounds.describe(sound_id)
        if not size:
            raise BadInput("send the sound file as the body, with its Content-Length")
        if size > self.max_bytes:
            raise FileTooLarge(f"a sound may have {self.max_bytes} bytes, this one has {size}", maxBytes=self.max_bytes)
        head, rest = await _peeked(body)
        sound_demuxer_of(head)
        key = sound_upload_key(sound_id, self.ids.next_id())
        await self._store(key, _exactly(head, rest, size), size=size)
        try:
            await self.sounds.received(sound_id, original_key=key, act=act)
        except RequestError:  # after any other the job may be there, which cleans up
            await self.objects.delete(key)
            raise
        return await self.sounds.describe(sound_id)

    async def _store(self, key: str, body: AsyncIterator[bytes], *, size: int) -> None:
        """One part of a multipart upload: what breaks off never becomes an object."""
        upload_id = await self.objects.create_multipart(key, content_type="application/octet-stream")
        try:
            etag = await self.objects.put_part(key, upload_id, 1, body, size=size)
            await self.objects.complete_multipart(key, upload_id, [Part(number=1, size=size, etag=etag)])
        except BaseException:
            await self.objects.abort_multipart(key, upload_id)
            raise


async def _peeked(body: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """At least HEAD_BYTES from the front (fewer only if there are no more), and what comes after them."""
    head = b""
    async for chunk in body:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    return head, body


async def _exactly(head: bytes, rest: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """Raises BadInput when fewer bytes come than announced (more cannot: HTTP ends the body there)."""
    seen = len(head)
    yield head
    async for chunk in rest:
        seen += len(chunk)
        yield chunk
    if seen != size:
        raise BadInput(f"{seen} of {size} bytes arrived: send the file again")
