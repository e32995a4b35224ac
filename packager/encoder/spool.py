"""Decoded pictures on their way from the first rung's lane to the others', so that most are decoded once."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import av

from packager.encoder.halt import Halt
from packager.encoder.overflow import Overflow, Slot
from packager.encoder.pace import Pace

_WAIT_S = 0.2


@dataclass(slots=True, kw_only=True, eq=False)
class _Held:
    """A picture in memory, on disk, or in memory on its way to disk."""

    picture: av.VideoFrame | None
    slot: Slot | None = None
    places: int = 1
    """How often it will still be taken: a picture that stands has several places."""


class Spool:
    """At most `capacity` pictures in memory and what `overflow` takes on disk, in order. One thread puts, another
    takes; a third one may run `spill`.

    The first lane is several times quicker than the others. Pictures beyond three quarters of the capacity are written
    to disk. Where that is full or too slow the lane waits only as long as its pace allows; then it goes ahead, and
    pictures are left out until all that are still to come find room. So there is one gap at most: a held picture
    between two gaps would be worth nothing, since decoding passes through it anyway.
    """

    def __init__(self, *, capacity: int, total: int, halt: Halt, pace: Pace, overflow: Overflow | None = None) -> None:
        self._capacity = capacity
        self._enough = capacity * 3 // 4
        self._total = total
        self._halt = halt
        self._pace = pace
        self._overflow = overflow
        self._changed = threading.Condition()
        self._held: deque[tuple[int, _Held]] = deque()
        self._unwritten: deque[_Held] = deque()
        self._in_memory = 0
        self._newest: tuple[av.VideoFrame, _Held] | None = None
        self._latest: tuple[_Held, av.VideoFrame | None] | None = None
        self._leaving_out = False
        self._wanted = 0
        self._closed = False

    def put(self, place: int, picture: av.VideoFrame) -> None:
        """The picture of the next place. Waits while there is no room and time to spare; raises what halts the job."""
        with self._changed:
            if self._newest is not None and self._newest[0] is picture and self._newest[1].places:
                self._newest[1].places += 1
                self._held.append((place, self._newest[1]))
            else:
                self._decide(place)
                if not self._leaving_out and place >= self._wanted:
                    self._hold(place, picture)
            self._changed.notify_all()

    def close(self) -> None:
        """There are no more pictures."""
        with self._changed:
            self._closed = True
            self._newest = None
            self._changed.notify_all()

    def take(self, place: int) -> av.VideoFrame | None:
        """The picture of that place, None if it was left out. Waits for it; places rise."""
        held = self._next_held(place)
        if held is None:
            return None
        picture = self._picture_of(held)
        with self._changed:
            self._let_go(held)
        return picture

    def spill(self) -> None:
        """Write pictures to disk until there are no more. Blocks: a thread of its own runs it."""
        assert self._overflow is not None
        while (item := self._next_unwritten()) is not None:
            held, picture = item
            slot = self._overflow.write(picture)
            with self._changed:
                if slot is not None and held.places:
                    held.slot, held.picture = slot, None
                    self._in_memory -= 1
                elif slot is not None:
                    self._overflow.release(slot)
                self._changed.notify_all()

    def discard(self) -> None:
        """Nobody puts or takes any more."""
        self._held.clear()
        if self._overflow is not None:
            self._overflow.close()

    def _hold(self, place: int, picture: av.VideoFrame) -> None:
        held = _Held(picture=picture)
        self._newest = (picture, held)
        self._held.append((place, held))
        self._in_memory += 1
        if self._overflow is not None and self._in_memory > self._enough:
            self._unwritten.append(held)

    def _decide(self, place: int) -> None:
        if self._leaving_out:
            self._leaving_out = self._total - place > self._capacity - self._in_memory + self._room_on_disk()
            return
        while self._in_memory >= self._capacity:
            self._halt.check()
            if self._capacity == 0 or not self._pace.spare(place):
                self._leave_out()
                return
            with self._pace.waiting():
                self._changed.wait(_WAIT_S)

    def _leave_out(self) -> None:
        self._leaving_out = True
        if self._overflow is not None and self._room_on_disk():  # too slow: it would be so again after the gap
            self._overflow.shut()
            self._unwritten.clear()

    def _room_on_disk(self) -> int:
        return 0 if self._overflow is None else self._overflow.room()

    def _next_held(self, place: int) -> _Held | None:
        with self._changed:
            self._wanted = place
            self._changed.notify_all()
            while True:
                while self._held and self._held[0][0] < place:
                    self._let_go(self._held.popleft()[1])
                if self._held:
                    return self._held.popleft()[1] if self._held[0][0] == place else None
                if self._leaving_out or self._closed:
                    return None
                self._halt.check()
                self._changed.wait(_WAIT_S)

    def _picture_of(self, held: _Held) -> av.VideoFrame | None:
        with self._changed:  # its writer changes both
            picture, slot = held.picture, held.slot
        if slot is None or self._overflow is None:
            return picture
        if self._latest is None or self._latest[0] is not held:
            self._latest = (held, self._overflow.read(slot))
        return self._latest[1]

    def _let_go(self, held: _Held) -> None:
        held.places -= 1
        if held.places:
            return
        if held.slot is None:
            self._in_memory -= 1
        elif self._overflow is not None:
            self._overflow.release(held.slot)
        self._changed.notify_all()

    def _next_unwritten(self) -> tuple[_Held, av.VideoFrame] | None:
        with self._changed:
            while not self._closed:
                while self._unwritten and self._in_memory > self._enough:
                    held = self._unwritten.popleft()
                    if held.places and held.picture is not None:
                        return held, held.picture
                self._unwritten.clear()
                self._halt.check()
                self._changed.wait(_WAIT_S)
            return None
