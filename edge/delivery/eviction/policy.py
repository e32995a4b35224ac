"""What every eviction policy offers."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol


class Entry:
    """A key under a policy's care. `hits` counts uses since the policy last looked; whoever serves it adds to it."""

    __slots__ = ("hits", "key", "mark", "size")

    def __init__(self, key: Hashable, size: int) -> None:
        self.key = key
        self.size = size
        self.hits = 0
        self.mark: object = None
        """The policy's own note on the entry."""


class Policy(Protocol):
    """Holds entries up to `capacity` bytes. A use is `entry.hits += 1`: cheap enough for the fast lane."""

    @property
    def capacity(self) -> int: ...

    @property
    def used(self) -> int: ...

    def insert(self, key: Hashable, size: int) -> tuple[Entry, list[Entry]]:
        """Take in a key that is not held (size <= capacity); returns its entry and those that had to leave.

        The new entry itself may be among them: it was not admitted.
        """

    def remove(self, entry: Entry) -> None:
        """Forget an entry that is held."""

    def __len__(self) -> int: ...
