"""Purges in the order they came, kept beside the cache: a response read back later still meets the purges it missed.

Every stored response carries the journal number at which its fetch began. A purge with a higher number applies to it:
nothing on disk has to be found and rewritten for a purge to hold, and a fetch under way cannot bring back what it took.
The file is shared by the workers (append under a lock). Past MAX_ORDERS the oldest are dropped and responses older than
the floor count as purged; a file past MAX_FILE_BYTES is replaced by one with its newer half and the floor.
"""

from __future__ import annotations

import fcntl
import os
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import msgspec

from edge.delivery.store.stored_response import StoredResponse

MAX_ORDERS = 20_000
MAX_FILE_BYTES = 4 << 20


class Verdict(StrEnum):
    KEEP = "keep"
    STALE = "stale"
    GONE = "gone"


class Purge(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the journal. One of url, prefix, tag is set (none in a floor); all are cache keys or tags."""

    number: int
    url: str | None = None
    prefix: str | None = None
    tag: str | None = None
    soft: bool = False
    order: int = 0
    """Sequence number in the control plane's log, 0 for a purge given here."""
    is_floor: bool = False
    """Purges up to `number` are no longer listed."""


class PurgeJournal:
    """Numbers purges and judges responses. Without a path it lives in memory only."""

    def __init__(self, path: Path | None, *, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        self._path = path
        self._max_file_bytes = max_file_bytes
        self._read_to = 0
        self._first_line = b""
        """Of the file that was read up to there: another one begins otherwise."""
        self._numbers: dict[tuple[str, str, bool], int] = {}
        self._prefixes: dict[tuple[str, bool], int] = {}
        self.head = 0
        """Number of the last purge known here."""
        self.floor = 0
        """Purges up to this number are no longer listed."""
        self.order_head = 0
        """Highest control-plane order applied: the acknowledgement."""

    def read(self) -> list[Purge]:
        """Lines other workers (or an earlier life) wrote since the last look; `note` them. Raises OSError."""
        if self._path is None or not self._path.exists():
            return []
        with self._path.open("rb") as file:
            return self._lines_since(file)

    def write(self, purge: Purge) -> list[Purge]:
        """Record `purge` durably under the next number. Blocks on the disk: for an executor, one call at a time.

        Returns what is to be noted, in order: purges of other workers not seen yet, then this one. Raises OSError.
        """
        if self._path is None:
            return [msgspec.structs.replace(purge, number=self.head + 1)]
        with self._open_locked(self._path) as file:
            others = self._lines_since(file)
            purge = msgspec.structs.replace(purge, number=max([self.head, *(other.number for other in others)]) + 1)
            file.seek(0, os.SEEK_END)
            torn = self._read_to < file.tell()  # a crash left half a line: end it, or it would swallow ours
            file.write(b"\n" * torn + msgspec.json.encode(purge) + b"\n")
            file.flush()
            os.fsync(file.fileno())
            self._read_to = file.tell()
            if self._read_to > self._max_file_bytes:
                self._replace(self._path, file)
        return [*others, purge]

    @staticmethod
    def _open_locked(path: Path) -> BinaryIO:
        """The journal that is at `path` once the lock is ours: it may be replaced while we wait for the lock."""
        while True:
            file = path.open("ab+")
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
            file.close()

    @staticmethod
    def _replace(path: Path, file: BinaryIO) -> None:
        """Keep the newer half of the lines, led by a floor that stands for the rest. Readers see either file whole."""
        file.seek(0)
        lines = file.read().splitlines(keepends=True)
        older, newer = lines[: len(lines) // 2], lines[len(lines) // 2 :]
        floor = max((purge.number for purge in _decoded(older)), default=0)
        order = max((purge.order for purge in _decoded(older)), default=0)
        beside = path.with_name(path.name + ".new")
        with beside.open("wb") as fresh:
            fresh.write(msgspec.json.encode(Purge(number=floor, order=order, is_floor=True)) + b"\n" + b"".join(newer))
            fresh.flush()
            os.fsync(fresh.fileno())
        beside.replace(path)

    def _lines_since(self, file: BinaryIO) -> list[Purge]:
        file.seek(0)
        first_line = file.readline()
        if first_line != self._first_line:  # the first look, or replaced: to hear of a purge twice does no harm
            self._first_line, self._read_to = first_line, 0
        file.seek(self._read_to)
        data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read_to += len(whole)
        return _decoded(whole.splitlines())

    def note(self, purge: Purge) -> None:
        """From now on `purge` counts."""
        knew_all = self.head >= purge.number
        self.head = max(self.head, purge.number)
        self.order_head = max(self.order_head, purge.order)
        if purge.is_floor:
            if not knew_all:  # who heard of them one by one need not take them all together
                self._raise_floor(purge.number)
        elif purge.prefix is not None:
            self._prefixes[(purge.prefix, purge.soft)] = purge.number
        elif purge.tag is not None:
            self._numbers[("tag", purge.tag, purge.soft)] = purge.number
        elif purge.url is not None:
            self._numbers[("url", purge.url, purge.soft)] = purge.number
        if len(self._numbers) + len(self._prefixes) > MAX_ORDERS:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        numbers = sorted([*self._numbers.values(), *self._prefixes.values()])
        self._raise_floor(numbers[len(numbers) // 2])

    def _raise_floor(self, number: int) -> None:
        self.floor = max(self.floor, number)
        self._numbers = {key: number for key, number in self._numbers.items() if number > self.floor}
        self._prefixes = {key: number for key, number in self._prefixes.items() if number > self.floor}

    def verdict(self, stored: StoredResponse) -> Verdict:
        """What the purges since `stored` began to be fetched mean for it."""
        if stored.sequence == self.head:
            return Verdict.KEEP
        if stored.sequence < self.floor or self._is_hit(stored, soft=False):
            return Verdict.GONE
        return Verdict.STALE if self._is_hit(stored, soft=True) else Verdict.KEEP

    def _is_hit(self, stored: StoredResponse, *, soft: bool) -> bool:
        since = stored.sequence
        if self._numbers.get(("url", stored.key, soft), 0) > since:
            return True
        if any(self._numbers.get(("tag", tag, soft), 0) > since for tag in stored.tags):
            return True
        return any(
            number > since and of_soft == soft and stored.key.startswith(prefix)
            for (prefix, of_soft), number in self._prefixes.items()
        )


def _decoded(lines: list[bytes]) -> list[Purge]:
    found = []
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=Purge))
        except msgspec.DecodeError:
            continue  # a line torn by a crash; its purge was never acknowledged
    return found
