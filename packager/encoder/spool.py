"""Decoded pictures on their way from the first rung's lane to the others', so that most are decoded once."""

from __future__ import annotations

import threading
from collections import deque

import av

from packager.encoder.halt import Halt
from packager.encoder.pace import Pace

_WAIT_S = 0.2


class Spool:
    """At most `capacity` pictures of `total`, in order. One thread puts, another takes.

    The first lane is several times quicker than the others. Where the spool is full it waits only as long as its pace
    allows; then it goes ahead, and pictures are left out until all that are still to come find room. So there is one
    gap at most: a held picture between two gaps would be worth nothing, since decoding passes through it anyway.
    """

    def __init__(self, *, capacity: int, total: int, halt: Halt, pace: Pace) -> None:
        self._capacity = capacity
        self._total = total
        self._halt = halt
        self._pace = pace
        self._changed = threading.Condition()
        self._held: deque[tuple[int, av.VideoFrame]] = deque()
        self._leaving_out = False
        self._wanted = 0
        self._closed = False

    def put(self, place: int, picture: av.VideoFrame) -> None:
        """The picture of the next place. Waits while there is no room and time to spare; raises what halts the job."""
        with self._changed:
            self._decide(place)
            if not self._leaving_out and place >= self._wanted:
                self._held.append((place, picture))
            self._changed.notify()

    def close(self) -> None:
        """There are no more pictures."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self, place: int) -> av.VideoFrame | None:
        """The picture of that place, None if it was left out. Waits for it; places rise."""
        with self._changed:
            self._wanted = place
            self._changed.notify()
            while True:
                while self._held and self._held[0][0] < place:
                    self._held.popleft()
                if self._held:
                    return self._held.popleft()[1] if self._held[0][0] == place else None
                if self._leaving_out or self._closed:
                    return None
                self._halt.check()
                self._changed.wait(_WAIT_S)

    def _decide(self, place: int) -> None:
        if self._leaving_out:
            self._leaving_out = self._total - place > self._capacity - len(self._held)
            return
        while len(self._held) >= self._capacity:
            self._halt.check()
            if self._capacity == 0 or not self._pace.spare(place):
                self._leaving_out = True
                return
            with self._pace.waiting():
                self._changed.wait(_WAIT_S)
