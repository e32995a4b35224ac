"""One append-only file of catalogue changes: what makes a restart warm, and where an item's details live.

Record: u32 length, u32 xxh32 of the payload (little-endian), payload = JSON of a CatalogueChange. A torn or damaged
tail (power loss) is cut off at opening; the change log of the origin gives those records again.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import xxhash

from foundation.wire.catalogue import CatalogueChange

_HEAD = struct.Struct("<II")
_MAX_RECORD = 4 * 1024 * 1024
_decode = msgspec.json.Decoder(CatalogueChange).decode

Place = tuple[int, int]
"""Offset and length of a payload."""


class CatalogueJournal:
    """Blocking file I/O: appends run in a thread, single reads hit the page cache. Close it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._end = 0

    @property
    def size_bytes(self) -> int:
        return self._end

    def replay(self) -> Iterator[tuple[CatalogueChange, Place]]:
        """Every record from the start; afterwards the file ends behind the last whole one."""
        size = os.fstat(self._fd).st_size
        offset = 0
        with os.fdopen(os.dup(self._fd), "rb") as file:
            file.seek(0)
            while offset + _HEAD.size <= size:
                length, check = _HEAD.unpack(file.read(_HEAD.size))
                payload = file.read(length) if length <= _MAX_RECORD else b""
                if len(payload) < length or length == 0 or xxhash.xxh32_intdigest(payload) != check:
                    break
                place = (offset + _HEAD.size, length)
                offset += _HEAD.size + length
                yield _decode(payload), place
        os.ftruncate(self._fd, offset)
        self._end = offset

    def append(self, changes: Iterable[CatalogueChange]) -> list[Place]:
        """Write the records (not fsynced: the origin still has them) and say where each payload lies."""
        places: list[Place] = []
        blob = bytearray()
        for change in changes:
            payload = msgspec.json.encode(change)
            places.append((self._end + len(blob) + _HEAD.size, len(payload)))
            blob += _HEAD.pack(len(payload), xxhash.xxh32_intdigest(payload)) + payload
        _write_all(self._fd, memoryview(blob), self._end)
        self._end += len(blob)
        return places

    def read(self, place: Place) -> CatalogueChange:
        offset, length = place
        return _decode(os.pread(self._fd, length, offset))

    def rewritten(self, places: Iterable[Place], last: CatalogueChange) -> tuple[CatalogueJournal, list[Place]]:
        """A new file under this one's name with only the payloads at `places` (and `last`, for its position).

        This journal goes on reading its old file until it is closed, so the owner can swap journal and places at once.
        """
        fresh = self._path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        other = CatalogueJournal(fresh)
        moved: list[Place] = []
        batch: list[CatalogueChange] = []
        for place in places:
            batch.append(self.read(place))
            if len(batch) == 1000:
                moved += other.append(batch)
                batch.clear()
        moved += other.append(batch)
        other.append([last])
        os.fsync(other._fd)
        fresh.rename(self._path)
        other._path = self._path
        return other, moved

    def close(self) -> None:
        os.close(self._fd)


def _write_all(fd: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(fd, data, offset)
        data, offset = data[written:], offset + written
