"""When to start a process again. Pure."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
HEALTHY_AFTER_S = 30.0
"""A run this long counts as healthy: the next failure starts from the shortest pause again."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses 0.1, 0.2, 0.4 ... 10 s for failures in a row."""

    failures: int = 0

    def after(self, *, ran_s: float) -> tuple[float, Backoff]:
        """The pause before the next start, and the state after a run of `ran_s` seconds."""
        failures = 0 if ran_s >= HEALTHY_AFTER_S else self.failures
        return min(FIRST_PAUSE_S * 2**failures, LONGEST_PAUSE_S), Backoff(min(failures + 1, 16))
