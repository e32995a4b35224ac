"""A rung's file goes to the object store while it is being encoded: after the last picture little is left to send.

The packager's FileGrew says how far a file has come and from which byte on it will not change any more. Its head (the
index) is filled in at the end, so part 1, which holds the head, is sent last. Files too small for that go up whole.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from foundation.stores.errors import ObjectsUnavailable
from foundation.stores.objects import ObjectStore, Part

PART_BYTES = 8 * 1024 * 1024
"""S3 takes 5 MiB and more, except for the last part. A part is held in memory while it is sent."""
_TRIES = 3
_FIRST_WAIT_S = 0.2


@dataclass(slots=True, kw_only=True)
class GrowingFile:
    """Sends `path` to `key`; `run` belongs to a task, `grew` and `finished` tell it of progress. One use."""

    objects: ObjectStore
    key: str
    path: Path
    """The final name; until it is final the bytes are in `{path}.part`."""
    content_type: str
    cache_control: str
    slots: asyncio.Semaphore
    part_bytes: int = PART_BYTES
    _size: int = 0
    _final_from: int = 0
    _is_final: bool = False
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    _parts: list[Part] = field(default_factory=list)

    def grew(self, size: int, final_from: int) -> None:
        self._size, self._final_from = size, final_from
        self._moved.set()

    def finished(self, size: int) -> None:
        self._size, self._is_final = size, True
        self._moved.set()

    async def run(self) -> None:
        """Return when the object is whole in the store. Raises ObjectsUnavailable. Else nothing stays."""
        while not self._is_final and not self._may_send(2):
            await self._wait()
        if self._is_final:  # it was small, or quick
            async with self.slots:
                await self.objects.put_file(
                    self.key, self.path, content_type=self.content_type, cache_control=self.cache_control
                )
            return
        upload_id = await self.objects.create_multipart(
            self.key, content_type=self.content_type, cache_control=self.cache_control
        )
        try:
            await self._send_all(upload_id)
        except BaseException:
            with suppress(ObjectsUnavailable):
                await asyncio.shield(self.objects.abort_multipart(self.key, upload_id))
            raise

    async def _send_all(self, upload_id: str) -> None:
        descriptor = await asyncio.to_thread(self._open)
        try:
            number = 2
            while not self._is_final or self._start(number) < self._size:
                if self._may_send(number):
                    await self._send(upload_id, descriptor, number)
                    number += 1
                else:
                    await self._wait()
            await self._send(upload_id, descriptor, 1)
        finally:
            os.close(descriptor)
        self._parts.sort(key=lambda part: part.number)
        if not await self.objects.complete_multipart(self.key, upload_id, self._parts):
            raise ObjectsUnavailable(f"the upload of {self.key} was gone when it was complete", retry_after_s=1)

    def _open(self) -> int:
        """The descriptor stays good when the file gets its final name."""
        try:
            return os.open(self.path.with_name(self.path.name + ".part"), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def _start(self, number: int) -> int:
        return (number - 1) * self.part_bytes

    def _may_send(self, number: int) -> bool:
        whole = self._start(number) >= self._final_from and self._start(number + 1) <= self._size
        return whole or (self._is_final and self._start(number) < self._size)

    async def _send(self, upload_id: str, descriptor: int, number: int) -> None:
        async with self.slots:
            length = min(self.part_bytes, self._size - self._start(number))
            data = await asyncio.to_thread(os.pread, descriptor, length, self._start(number))
            etag = await self._put(upload_id, number, data)
        self._parts.append(Part(number=number, size=len(data), etag=etag))

    async def _put(self, upload_id: str, number: int, data: bytes) -> str:
        for attempt in range(_TRIES - 1):
            try:
                return await self.objects.put_part(self.key, upload_id, number, data, size=len(data))
            except ObjectsUnavailable:
                await asyncio.sleep(_FIRST_WAIT_S * 4**attempt)
        return await self.objects.put_part(self.key, upload_id, number, data, size=len(data))

    async def _wait(self) -> None:
        await self._moved.wait()
        self._moved.clear()
