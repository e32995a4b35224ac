"""How long the first rung may stand back so that fewer pictures are decoded twice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


class Pace:
    """Projects when the first rung's lane will end, from how fast it was while it worked.

    A lane that runs ahead of the bounded spool makes the others decode its pictures again; one that waits for them
    saves that, as long as the clip is playable in time. On a machine that cannot keep the goal it never waits.
    """

    def __init__(self, *, total: int, goal_s: float, clock: Callable[[], float]) -> None:
        """`total` pictures, to be done `goal_s` after now; `clock` in seconds."""
        self._total = total
        self._goal_s = goal_s
        self._clock = clock
        self._start = clock()
        self._waited_s = 0.0

    def spare(self, done: int) -> bool:
        """Whether the lane, having done that many pictures, may wait a little."""
        elapsed_s = self._clock() - self._start
        return projected_s(elapsed_s, self._waited_s, done=done, total=self._total) < self._goal_s

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """The lane waits in here."""
        since = self._clock()
        yield
        self._waited_s += self._clock() - since


def projected_s(elapsed_s: float, waited_s: float, *, done: int, total: int) -> float:
    """When all will be done if nobody waits any more; pure."""
    if done <= 0:
        return float("inf")
    return elapsed_s + (elapsed_s - waited_s) / done * (total - done)
