"""Purges in the order they came, kept beside the cache: a response read back later still meets the purges it missed.

Every stored response carries the journal number at which its fetch began. A purge with a higher number applies to it:
nothing on disk has to be found and rewritten for a purge to hold, and a fetch under way cannot bring back what it took.
The file is shared by the workers (append under a lock). Past MAX_ORDERS the oldest are dropped and responses older than
the floor count as purged.
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


class Verdict(StrEnum):
    KEEP = "keep"
    STALE = "stale"
    GONE = "gone"


class Purge(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the journal. Exactly one of url, prefix, tag is set; all are cache keys or tags."""

    number: int
    url: str | None = None
    prefix: str | None = None
    tag: str | None = None
    soft: bool = False
    order: int = 0
    """Sequence number in the control plane's log, 0 for a purge given here."""


class PurgeJournal:
    """Numbers purges and judges responses. Without a path it lives in memory only."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._read_to = 0
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
        with self._path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            others = self._lines_since(file)
            purge = msgspec.structs.replace(purge, number=max([self.head, *(other.number for other in others)]) + 1)
            file.seek(0, os.SEEK_END)
            torn = self._read_to < file.tell()  # a crash left half a line: end it, or it would swallow ours
            file.write(b"\n" * torn + msgspec.json.encode(purge) + b"\n")
            file.flush()
            os.fsync(file.fileno())
            self._read_to = file.tell()
        return [*others, purge]

    def _lines_since(self, file: BinaryIO) -> list[Purge]:
        file.seek(self._read_to)
        data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read_to += len(whole)
        found = []
        for line in whole.splitlines():
            try:
                found.append(msgspec.json.decode(line, type=Purge))
            except msgspec.DecodeError:
                continue  # a line torn by a crash; its purge was never acknowledged
        return found

    def note(self, purge: Purge) -> None:
        """From now on `purge` counts."""
        self.head = max(self.head, purge.number)
        self.order_head = max(self.order_head, purge.order)
        if purge.prefix is not None:
            self._prefixes[(purge.prefix, purge.soft)] = purge.number
        elif purge.tag is not None:
            self._numbers[("tag", purge.tag, purge.soft)] = purge.number
        elif purge.url is not None:
            self._numbers[("url", purge.url, purge.soft)] = purge.number
        if len(self._numbers) + len(self._prefixes) > MAX_ORDERS:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        numbers = sorted([*self._numbers.values(), *self._prefixes.values()])
        self.floor = numbers[len(numbers) // 2]
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
