"""A slice on disk: a fixed head that says what it is and sums it up, then the bytes.

    magic 4 | index u32 | length u64 | body id 16 | xxh3-128 of all that and the bytes 16 | bytes

A torn write, a flipped bit, a file under another's name: all fail the sum and are refetched, never served.
"""

from __future__ import annotations

import struct

import xxhash

_HEAD = struct.Struct(">4sIQ16s")
_MAGIC = b"PRS1"
SUM_BYTES = 16
HEAD_BYTES = _HEAD.size + SUM_BYTES


class CorruptSlice(Exception):
    """The file is not the slice its name says, or not all of it."""


def encode_head(body_id: str, index: int, data: bytes) -> bytes:
    """The head to write before `data`."""
    head = _HEAD.pack(_MAGIC, index, len(data), bytes.fromhex(body_id))
    return head + _sum(head, data)


def decode(raw: bytes, body_id: str, index: int) -> bytes:
    """The slice's bytes. Raises CorruptSlice."""
    expected = (
        _HEAD.pack(_MAGIC, index, len(raw) - HEAD_BYTES, bytes.fromhex(body_id)) if len(raw) > HEAD_BYTES else b""
    )
    if not expected or raw[: _HEAD.size] != expected:
        raise CorruptSlice(f"slice {body_id}.{index}: head does not fit the file")
    data = raw[HEAD_BYTES:]
    if _sum(expected, data) != raw[_HEAD.size : HEAD_BYTES]:
        raise CorruptSlice(f"slice {body_id}.{index}: checksum does not match")
    return data


def _sum(head: bytes, data: bytes) -> bytes:
    digest = xxhash.xxh3_128(head)
    digest.update(data)
    return bytes(digest.digest())
