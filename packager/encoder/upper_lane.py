"""The upper rungs: a thread beside the first rung's that takes what processor time is left."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Iterator

import av

from packager.encoder.halt import Halt, start_thread
from packager.encoder.scene import Scene
from packager.encoder.spool import Spool
from packager.ladder import Rung
from packager.mp4.rung_file import RungLayout

Made = tuple[Rung, RungLayout, bytes]
"""A finished rung: what it is, its file, its avcC."""
NICE = 19
"""The lowest claim there is: the first rung is hardly slowed, and an idle core is used all the same."""
_WAIT_S = 0.2


class UpperLane:
    """Runs `wave` to its end in a thread of low priority, which the threads that it starts inherit."""

    def __init__(self, wave: Iterator[Made], halt: Halt) -> None:
        """Raises NoThread."""
        self._wave = wave
        self._halt = halt
        self._made: queue.SimpleQueue[Made | None] = queue.SimpleQueue()
        start_thread("upper-rungs", self._run)

    def made(self) -> Iterator[Made]:
        """Each rung as it is finished, lowest first. Waits; raises what went wrong in the job."""
        while (item := self._next()) is not None:
            yield item

    def _next(self) -> Made | None:
        while True:
            self._halt.check()
            try:
                return self._made.get(timeout=_WAIT_S)
            except queue.Empty:
                continue

    def _run(self) -> None:
        try:
            stand_back()
            for item in self._wave:
                self._made.put(item)
            self._made.put(None)
        except BaseException as err:  # raised again by `made`
            self._halt.because(err)


def stand_back() -> None:
    """Lower the calling thread's priority (Linux has one for each thread, and new threads inherit it)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def upper_pictures(scene: Scene, spool: Spool, *, threads: int) -> Iterator[tuple[int, av.VideoFrame]]:
    """All pictures: those the first lane left in the spool, the others decoded again."""
    last: av.VideoFrame | None = None
    again: Iterator[tuple[int, av.VideoFrame]] | None = None
    for place in range(scene.total):
        picture = spool.take(place)
        if picture is not None:
            again = None  # its decoder goes with it
        else:
            again = again or scene.resumed(place, last, threads=threads)
            found = next(again, None)
            if found is None:
                return
            picture = found[1]
        last = picture
        yield place, picture
