"""The cache directory: slices and descriptions as files. Blocking calls: run them in the disk executor.

    slices/ab/abcdef....3        slice 3 of body abcdef...
    responses/12/1234...         the stored variants of one URL, named by the hash of its key

Paths follow from keys, so a worker finds what another wrote without asking it. Files appear by rename, whole.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import xxhash

from edge.delivery.store import slice_file
from edge.delivery.store.stored_response import StoredResponse

_RESPONSES_MAGIC = b"PRR1"
MAX_RESPONSES_FILE_BYTES = 4 << 20
ABANDONED_S = 60.0
"""A file under a temporary name for this long belongs to a worker that died."""
_SLICE_NAME = re.compile(r"([0-9a-f]{32})\.([0-9]{1,7})")
_RESPONSES_NAME = re.compile(r"[0-9a-f]{32}")
_DIGEST_DIGITS = 15
"""Of a name, in hexadecimal: an integer of eight bytes."""
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[StoredResponse, ...])


class FoundSlice(NamedTuple):
    body_id: str
    slice_index: int
    size: int
    """Of the file, head included."""
    used_s: float


def _name_of(key: str) -> str:
    return xxhash.xxh3_128_hexdigest(key.encode())


def key_digest(key: str) -> int:
    """A key's short name in memory; two may share one."""
    return int(_name_of(key)[:_DIGEST_DIGITS], 16)


class CacheDirectory:
    """One directory, shared by the workers of a PoP."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._slices = root / "slices"
        self._responses = root / "responses"

    def prepare(self) -> None:
        """Make the folders. Raises OSError."""
        for folder in (self._slices, self._responses):
            for byte in range(256):
                (folder / f"{byte:02x}").mkdir(parents=True, exist_ok=True)

    def _slice_path(self, body_id: str, index: int) -> Path:
        return self._slices / body_id[:2] / f"{body_id}.{index}"

    def _responses_path(self, key: str) -> Path:
        name = _name_of(key)
        return self._responses / name[:2] / name

    def write_slice(self, body_id: str, index: int, data: bytes) -> int:
        """Returns the size of the file. Raises OSError."""
        head = slice_file.encode_head(body_id, index, data)
        _write_whole(self._slice_path(body_id, index), head, data)
        return len(head) + len(data)

    def read_slice(self, body_id: str, index: int) -> bytes | None:
        """The bytes, checked; None without a file. Raises CorruptSlice, OSError."""
        try:
            raw = self._slice_path(body_id, index).read_bytes()
        except FileNotFoundError:
            return None
        return slice_file.decode(raw, body_id, index)

    def has_slice(self, body_id: str, index: int) -> bool:
        return self._slice_path(body_id, index).exists()

    def delete_slice(self, body_id: str, index: int) -> None:
        self._slice_path(body_id, index).unlink(missing_ok=True)

    def write_responses(self, key: str, variants: tuple[StoredResponse, ...]) -> None:
        """Replace what is known of `key`; no variants removes it. Raises OSError."""
        path = self._responses_path(key)
        if not variants:
            path.unlink(missing_ok=True)
            return
        payload = _encoder.encode(variants)
        _write_whole(path, _RESPONSES_MAGIC + xxhash.xxh3_128_digest(payload), payload)

    def read_responses(self, key: str) -> tuple[StoredResponse, ...]:
        """Variants of `key`; () when there are none or the file is damaged. Raises OSError."""
        return tuple(stored for stored in _load(self._responses_path(key)) if stored.key == key)

    def described(self) -> set[int]:
        """`key_digest` of every key with a description."""
        names = (path.name for path in self._files(self._responses))
        return {int(name[:_DIGEST_DIGITS], 16) for name in names if _RESPONSES_NAME.fullmatch(name)}

    def all_slices(self) -> Iterator[FoundSlice]:
        """Every slice file; old leftovers of interrupted writes are removed on the way."""
        for path in self._files(self._slices):
            match = _SLICE_NAME.fullmatch(path.name)
            try:
                status = path.stat()
                if match is None:
                    if time.time() - status.st_mtime > ABANDONED_S:
                        path.unlink(missing_ok=True)
                else:
                    yield FoundSlice(match[1], int(match[2]), status.st_size, status.st_mtime)
            except FileNotFoundError:
                continue

    def sweep_responses(self, *, max_files: int) -> int:
        """Remove descriptions without a single slice, and the oldest beyond `max_files`; returns how many went.

        Slices are evicted one by one without looking for what describes them: this is where descriptions end.
        """
        kept: list[tuple[float, Path]] = []
        removed = 0
        for path in self._files(self._responses):
            variants = _load(path)
            if any(self._has_bytes(stored) for stored in variants):
                with contextlib.suppress(FileNotFoundError):
                    kept.append((path.stat().st_mtime, path))
            else:
                path.unlink(missing_ok=True)
                removed += 1
        kept.sort()
        for _, path in kept[: max(0, len(kept) - max_files)]:
            path.unlink(missing_ok=True)
            removed += 1
        return removed

    def _has_bytes(self, stored: StoredResponse) -> bool:
        return stored.total == 0 or any(self.has_slice(stored.body_id, index) for index in range(stored.slices))

    @staticmethod
    def _files(folder: Path) -> Iterator[Path]:
        for byte in range(256):
            try:
                entries = list(os.scandir(folder / f"{byte:02x}"))
            except FileNotFoundError:
                continue
            yield from (Path(entry.path) for entry in entries)


def _write_whole(path: Path, *parts: bytes) -> None:
    """Write beside and rename, so that a reader sees all or nothing. No fsync: the sums catch what a crash tears."""
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with beside.open("wb", buffering=0) as file:
            for part in parts:
                view = memoryview(part)
                while view:
                    view = view[file.write(view) :]
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def _load(path: Path) -> tuple[StoredResponse, ...]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_RESPONSES_FILE_BYTES)
    except FileNotFoundError:
        return ()
    if raw[:4] != _RESPONSES_MAGIC or xxhash.xxh3_128_digest(raw[20:]) != raw[4:20]:
        return ()
    try:
        return _decoder.decode(raw[20:])
    except msgspec.DecodeError:  # written by another version
        return ()
