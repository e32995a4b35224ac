"""Decoded pictures on their way from the first rung's lane to the others', so that most are decoded once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

import av

from packager.encoder.halt import Halt

_WAIT_S = 0.2


class Spool:
    """At most `capacity` pictures, in order from place 0. One thread puts, another takes.

    The first lane is several times quicker than the others and never waits for them: the picture that finds no room
    ends the spool, and the others get the rest by decoding it again.
    """

    def __init__(self, *, capacity: int, halt: Halt) -> None:
        self._capacity = capacity
        self._halt = halt
        self._changed = threading.Condition()
        self._held: deque[av.VideoFrame] = deque()
        self._closed = False
        self._count = 0
        self.last: av.VideoFrame | None = None
        """The picture that was taken last."""

    def put(self, picture: av.VideoFrame) -> None:
        """The picture of the next place. Ignored after the spool ended."""
        with self._changed:
            if self._closed:
                return
            if len(self._held) >= self._capacity:
                self._closed = True
            else:
                self._held.append(picture)
                self._count += 1
            self._changed.notify()

    def close(self) -> None:
        """There are no more pictures."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    @property
    def count(self) -> int:
        """Pictures that went in; final once `pictures` has ended."""
        return self._count

    def pictures(self) -> Iterator[tuple[int, av.VideoFrame]]:
        """Pictures by place as they come, until the spool ends. Waits for them."""
        place = 0
        while (picture := self._next()) is not None:
            self.last = picture
            yield place, picture
            place += 1

    def _next(self) -> av.VideoFrame | None:
        with self._changed:
            while not self._held:
                self._halt.check()
                if self._closed:
                    return None
                self._changed.wait(_WAIT_S)
            return self._held.popleft()
