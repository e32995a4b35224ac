"""Boxes of ISO/IEC 14496-12: writing them, and a bounded reader for our own and foreign bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

MAX_BOXES = 200_000
"""Upper bound on boxes visited by one walk: a fragmented file of 10 minutes has about 4000."""


class BoxError(ValueError):
    """A box does not fit the bytes around it."""


def box(kind: bytes, *parts: bytes) -> bytes:
    """size(32) kind payload. Payloads of 4 GiB and more are not for this function."""
    payload = b"".join(parts)
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where a box lies: `start` of its header, `body` of its payload, `end` (exclusive); offsets into the buffer."""

    kind: bytes
    start: int
    body: int
    end: int


def walk(data: bytes | memoryview, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Sibling boxes from `start` to `end`. Raises BoxError where a size is impossible."""
    end = len(data) if end is None else end
    for _ in range(MAX_BOXES):
        if start == end:
            return
        found = _box_at(data, start, end)
        yield found
        start = found.end
    raise BoxError(f"more than {MAX_BOXES} boxes")


def _box_at(data: bytes | memoryview, start: int, end: int) -> Box:
    if start + 8 > end:
        raise BoxError(f"{end - start} stray bytes at {start}")
    size, kind = struct.unpack_from(">I4s", data, start)
    body = start + 8
    if size == 1:
        if start + 16 > end:
            raise BoxError(f"box {kind!r} at {start} has no room for its 64-bit size")
        (size,) = struct.unpack_from(">Q", data, start + 8)
        body = start + 16
    elif size == 0:  # to the end of the file
        size = end - start
    if size < body - start or start + size > end:
        raise BoxError(f"box {kind!r} at {start} claims {size} bytes of {end - start}")
    return Box(kind=kind, start=start, body=body, end=start + size)


def find(data: bytes | memoryview, path: str, start: int = 0, end: int | None = None) -> Box | None:
    """The first box at a path such as "moov/trak/mdia"."""
    head, _, rest = path.partition("/")
    for found in walk(data, start, end):
        if found.kind == head.encode():
            return find(data, rest, found.body, found.end) if rest else found
    return None
