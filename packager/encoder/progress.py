"""How far a job is, as one fraction that never falls, whichever thread reports."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import av

from packager.events import ChildMessage, Progress
from packager.ladder import Rung

Pictures = Iterator[tuple[int, av.VideoFrame]]
_EVERY = 8
_STEP = 0.005


class ProgressMeter:
    """Work is counted in pixels encoded, roughly CPU time; the sound is a fixed small share."""

    _SOUND_SHARE = 0.03

    def __init__(self, emit: Callable[[ChildMessage], None]) -> None:
        self._emit = emit
        self._lock = threading.Lock()  # reports leave in the order of their fractions
        self._total = 1.0
        self._sound = 0.0
        self._work: dict[str, float] = {}
        self._last = 0.0

    def plan(self, rungs: Sequence[Rung]) -> None:
        self._total = sum(_work(rung) for rung in rungs)

    def sound(self, part: float) -> None:
        with self._lock:
            self._sound = part
            self._report("sound")

    def counted(self, stage: str, pictures: Pictures, rungs: Sequence[Rung]) -> Pictures:
        """The same pictures; as they pass, the work on these rungs counts as done."""
        total = max(rung.total_frames * rung.decimate for rung in rungs)
        work = sum(_work(rung) for rung in rungs)
        for index, picture in pictures:
            yield index, picture
            if index % _EVERY == 0:
                self._passed(stage, work * index / total)
        self._passed(stage, work)

    def _passed(self, stage: str, work: float) -> None:
        with self._lock:
            self._work[stage] = work
            self._report(stage)

    def _report(self, stage: str) -> None:
        pictures = min(1.0, sum(self._work.values()) / self._total)
        fraction = self._SOUND_SHARE * self._sound + (0.99 - self._SOUND_SHARE) * pictures
        if fraction >= self._last + _STEP or fraction >= 0.99:
            self._last = max(self._last, fraction)
            self._emit(Progress(stage=stage, fraction=round(self._last, 4)))


def _work(rung: Rung) -> float:
    return rung.width * rung.height * rung.total_frames + 0.1
