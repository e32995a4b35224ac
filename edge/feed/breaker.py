"""A circuit breaker: after several failures in a row, do not try for a while."""

from __future__ import annotations

from collections.abc import Callable


class CircuitBreaker:
    """Closed until `failures` in a row; then open for `pause_s`; then one try decides. Used from one thread."""

    def __init__(self, *, failures: int, pause_s: float, clock: Callable[[], float]) -> None:
        self._limit = failures
        self._pause_s = pause_s
        self._clock = clock
        self._failures = 0
        self._opened_at: float | None = None

    @property
    def open(self) -> bool:
        """True while trying is not worth it."""
        if self._opened_at is None:
            return False
        if self._clock() - self._opened_at >= self._pause_s:
            self._opened_at = self._clock()  # this caller is the one that tries
            return False
        return True

    def succeeded(self) -> None:
        self._failures = 0
        self._opened_at = None

    def failed(self) -> None:
        self._failures += 1
        if self._failures >= self._limit:
            self._opened_at = self._clock()
